"""A small interpreter of classic BPF, to ask a seccomp program what it says to one system call (seccomp(2), BPF in filter.h)."""

import struct

ALLOW = 0x7FFF0000
KILL = 0
ARCH_X86_64 = 0xC000003E
ARCH_I386 = 0x40000003


def errno(number: int) -> int:
    return 0x00050000 | number


def judge(program: bytes, number: int, *arguments: int, architecture: int = ARCH_X86_64) -> int:
    """The program's answer to system call `number` with `arguments`, from code of `architecture`."""
    values = [argument & 0xFFFFFFFFFFFFFFFF for argument in arguments] + [0] * (6 - len(arguments))
    data = struct.pack("<iIQ6Q", number, architecture, 0, *values)
    instructions = [struct.unpack_from("<HBBI", program, offset) for offset in range(0, len(program), 8)]
    accumulator = place = 0
    while True:
        code, yes, no, value = instructions[place]
        place += 1
        match code:
            case 0x20:
                accumulator = int.from_bytes(data[value : value + 4], "little")
            case 0x06:
                return int(value)
            case 0x05:
                place += value
            case 0x15:
                place += yes if accumulator == value else no
            case 0x25:
                place += yes if accumulator > value else no
            case 0x35:
                place += yes if accumulator >= value else no
            case 0x45:
                place += yes if accumulator & value else no
            case 0x54:
                accumulator &= value
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")
