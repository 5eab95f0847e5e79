"""Compile linux.seccomp to BPF with the libseccomp that every distribution has.

Imported on a cache miss only: ctypes costs more than a whole start.
"""

import ctypes
import os
import struct

from ocirun.errors import HostError, InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.oci.runtime_documents import Seccomp, SeccompRule

ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
COMPARISONS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
# enum scmp_filter_attr
ATTRIBUTE_OPTIMIZE = 8
OPTIMIZE_TREE = 2
EPERM = 1
ENOSYS = 38

# linux/audit.h: what the kernel calls the architecture of a system call. x32 shares x86_64's and sets bit 30.
AUDIT_ARCHITECTURES = {
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0xC000003E,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_PPC64LE": 0xC0000015,
    "SCMP_ARCH_S390": 0x00000016,
    "SCMP_ARCH_S390X": 0x80000016,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
}
X32_BIT = 0x40000000
# Numbers from here on are not in sequence: x32's bit, and ARM's private calls (set_tls, cacheflush).
SEQUENCE_ENDS = {"SCMP_ARCH_ARM": 0x0F0000}

# linux/filter.h
LOAD = 0x20
JUMP = 0x05
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_OR_EQUAL = 0x35
RETURN = 0x06
OFFSET_NUMBER = 0
OFFSET_ARCHITECTURE = 4


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("index", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def compile_profile(section: "Seccomp") -> bytes:
    """The program as struct sock_filter records. Raises HostError without libseccomp, InvalidError for a bad profile."""
    library = _load()
    default = _action(section.get("defaultAction"), section.get("defaultErrnoRet"), "$.defaultAction")
    context = library.seccomp_init(default)
    if not context:
        raise InvalidError("linux.seccomp: libseccomp refuses the default action")
    try:
        # A tree instead of a list: the kernel runs a new filter for every system call there is, to remember the constant
        # answers, and that takes 0.7 ms of a start with a list. An older libseccomp (before 2.5) only has the list.
        library.seccomp_attr_set(context, ATTRIBUTE_OPTIMIZE, OPTIMIZE_TREE)
        architectures = _add_architectures(library, context, section)
        for index, rule in enumerate(section.get("syscalls") or ()):
            _add_rule(library, context, rule, default, f"$.syscalls[{index}]")
        result = _export(library, context)
    finally:
        library.seccomp_release(context)
    if default & 0x7FFF0000 in (0x7FFF0000, 0x7FFC0000):
        return result
    return unknown_call_prologue(_newest_calls(library, section, architectures)) + result


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as error:
        raise HostError(
            "libseccomp.so.2 is missing, and without it no seccomp filter can be made",
            "install the package libseccomp2 (libseccomp on Fedora and Alpine), or run with --security-opt "
            "seccomp=unconfined",
        ) from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_syscall_resolve_name_arch.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


def _action(name: "Any", errno: "Any", where: str) -> int:
    if name not in ACTIONS:
        raise InvalidError(f"linux.seccomp {where}: unknown action {name!r}")
    value = ACTIONS[name]
    if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
        number = EPERM if errno is None else errno
        if not isinstance(number, int) or not 0 <= number <= 0xFFFF:
            raise InvalidError(f"linux.seccomp {where}: errno {errno!r} is not a number from 0 to 65535")
        value |= number
    return value


def _add_architectures(library: ctypes.CDLL, context: int, section: "Seccomp") -> "dict[str, int]":
    tokens = {}
    for name in section.get("architectures") or ():
        token = library.seccomp_arch_resolve_name(str(name).removeprefix("SCMP_ARCH_").lower().encode())
        if token == 0:
            raise InvalidError(f"linux.seccomp $.architectures: unknown architecture {name!r}")
        status = library.seccomp_arch_add(context, token)
        if status not in (0, -17):  # EEXIST: the native one is there from the start
            raise InvalidError(f"linux.seccomp $.architectures: cannot add {name}: {os.strerror(-status)}")
        tokens[str(name)] = token
    return tokens


def _add_rule(library: ctypes.CDLL, context: int, rule: "SeccompRule", default: int, where: str) -> None:
    action = _action(rule.get("action"), rule.get("errnoRet"), f"{where}.action")
    if action == default:
        return  # says nothing new, and libseccomp would refuse it
    comparisons = [
        _comparison(argument, f"{where}.args[{index}]") for index, argument in enumerate(rule.get("args") or ())
    ]
    # All conditions of one rule must hold, but libseccomp takes one for each argument: of two on the same argument either
    # is enough, which is what every runtime has made of such profiles.
    alternatives = [comparisons]
    if len({comparison.index for comparison in comparisons}) < len(comparisons):
        alternatives = [[comparison] for comparison in comparisons]
    for name in rule.get("names") or ():
        number = library.seccomp_syscall_resolve_name(str(name).encode())
        if number == -1:
            continue  # libseccomp is older than this system call: see unknown_call_prologue
        for alternative in alternatives:
            array = (_Comparison * len(alternative))(*alternative)
            status = library.seccomp_rule_add_array(context, action, number, len(alternative), array)
            if status < 0:
                raise InvalidError(f"linux.seccomp {where}: cannot add a rule for {name}: {os.strerror(-status)}")


def _comparison(argument: "Any", where: str) -> _Comparison:
    if not isinstance(argument, dict):
        raise InvalidError(f"linux.seccomp {where}: not an object")
    operation = argument.get("op")
    if operation not in COMPARISONS:
        raise InvalidError(f"linux.seccomp {where}.op: unknown comparison {operation!r}")
    index = argument.get("index")
    if not isinstance(index, int) or not 0 <= index <= 5:
        raise InvalidError(f"linux.seccomp {where}.index: {index!r} is not a number from 0 to 5")
    values = (argument.get("value", 0), argument.get("valueTwo", 0))
    if not all(isinstance(value, int) and 0 <= value < 1 << 64 for value in values):
        raise InvalidError(f"linux.seccomp {where}.value: not a number of 64 bits")
    return _Comparison(index, COMPARISONS[operation], *values)


def _export(library: ctypes.CDLL, context: int) -> bytes:
    descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        status = library.seccomp_export_bpf(context, descriptor)
        if status < 0:
            raise InvalidError(f"linux.seccomp: libseccomp cannot write the program: {os.strerror(-status)}")
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _newest_calls(library: ctypes.CDLL, section: "Seccomp", architectures: "dict[str, int]") -> "dict[str, int]":
    """For each architecture, the highest number among the profile's system calls that libseccomp knows."""
    names = [str(name).encode() for rule in section.get("syscalls") or () for name in rule.get("names") or ()]
    result = {}
    for architecture, token in architectures.items():
        end = 1 << 31 if architecture == "SCMP_ARCH_X32" else SEQUENCE_ENDS.get(architecture, X32_BIT)
        numbers = (library.seccomp_syscall_resolve_name_arch(token, name) for name in names)
        highest = max((number for number in numbers if number < end), default=-1)
        if architecture in AUDIT_ARCHITECTURES and highest > 0:
            result[architecture] = highest
    return result


def unknown_call_prologue(newest: "dict[str, int]") -> bytes:
    """Instructions that answer ENOSYS to system calls younger than the profile, to be put before a program.

    A libc tries a new call first and falls back on ENOSYS, never on EPERM: without this, each new glibc breaks in old
    containers. `newest` is the highest number known for each architecture. The program that follows must begin by
    loading what it needs, as libseccomp's do.
    """
    instructions: list[tuple[int, int, int, int]] = []
    by_audit: dict[int, list[str]] = {}
    for architecture in newest:
        by_audit.setdefault(AUDIT_ARCHITECTURES[architecture], []).append(architecture)
    for audit, names in by_audit.items():
        body: list[tuple[int, int, int, int]] = [(LOAD, 0, 0, OFFSET_NUMBER)]
        for name in names:
            if name == "SCMP_ARCH_X32":
                continue
            # x32 numbers are above all others: they are judged by their own limit, or left to the program.
            body.append((JUMP_GREATER_OR_EQUAL, 2, 0, SEQUENCE_ENDS.get(name, X32_BIT)))
            body.append((JUMP_GREATER, 0, 1, newest[name]))
            body.append((RETURN, 0, 0, ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS))
        if "SCMP_ARCH_X32" in names:
            body.append((JUMP_GREATER, 0, 1, newest["SCMP_ARCH_X32"] | X32_BIT))
            body.append((RETURN, 0, 0, ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS))
        instructions.append((LOAD, 0, 0, OFFSET_ARCHITECTURE))
        instructions.append((JUMP_EQUAL, 0, len(body), audit))
        instructions += body
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)
