"""What the kernel is asked for from inside: the seccomp profile, capabilities, and files that steer the machine."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, Result

# Numbers of x86_64, and of the table that all younger architectures share.
CALLS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

TRY = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for name, numbers in {calls!r}.items():
    number = numbers[0 if os.uname().machine == "x86_64" else 1]
    result = libc.syscall(number, -1, -1, -1, -1, -1)
    print(name, "OK" if result >= 0 else errno.errorcode[ctypes.get_errno()])
"""

CLONE = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
number = 56 if os.uname().machine == "x86_64" else 220
for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    pid = libc.syscall(number, flag | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    print(hex(flag), "MADE" if pid > 0 else errno.errorcode[ctypes.get_errno()])
"""

SOCKETS = """
import socket
for family in (38, 40):
    try:
        socket.socket(family, socket.SOCK_STREAM if family == 40 else socket.SOCK_SEQPACKET)
        print(family, "MADE")
    except OSError as error:
        print(family, error.errno)
"""

# In the 32 bit table other numbers are dangerous, and a filter for one architecture only would let them pass.
THIRTY_TWO_BITS = """
import ctypes, mmap, os, struct, sys
if os.uname().machine != "x86_64":
    print("EPERM")
    sys.exit()
code = bytes([0x53, 0xB8]) + struct.pack("<I", 310) + bytes([0xBB]) + struct.pack("<I", 0x10000000) + bytes([0xCD, 0x80, 0x5B, 0xC3])
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(code)
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
result = function()
print("EPERM" if result in (-1, -38) else result)
"""


@pytest.mark.parametrize("flags", [[], ["--user", "1000"], ["--security-opt", "no-new-privileges"]])
def test_calls_that_reach_deep_into_the_kernel_are_refused(
    attacker: Callable[..., Result], mode: str, flags: list[str]
) -> None:
    if mode == "single" and flags[:1] == ["--user"]:
        flags = []
    result = attacker(TRY.format(calls=CALLS), *flags)
    answers = dict(line.split() for line in result.lines)
    assert answers.keys() == CALLS.keys()
    assert {name: answer for name, answer in answers.items() if answer not in {"EPERM", "ENOSYS"}} == {}


def test_no_namespace_can_be_made_by_clone(attacker: Callable[..., Result]) -> None:
    lines = attacker(CLONE).lines
    assert len(lines) == 7
    assert all(line.endswith("EPERM") for line in lines), lines


def test_socket_families_without_a_namespace_are_refused(attacker: Callable[..., Result]) -> None:
    assert attacker(SOCKETS, "--network", "host").lines == ["38 1", "40 1"]


def test_calls_of_the_32_bit_table_are_filtered_too(attacker: Callable[..., Result]) -> None:
    result = attacker(THIRTY_TWO_BITS, status=None)
    assert result.stdout.strip() == "EPERM" or result.status > 128, result


@pytest.mark.parametrize("flags", [[], ["--user", "1000:1000"]])
def test_capabilities_of_run_and_exec(ocirun: Ocirun, name: str, mode: str, flags: list[str]) -> None:
    """CVE-2022-29162, CVE-2022-24769: inheritable capabilities that nobody asked for."""
    ocirun("run", "-d", "--name", name, *flags, BUSYBOX, "sleep", "600")
    look = ("sh", "-c", "grep -E '^(Cap|Seccomp:)' /proc/self/status")
    for words in (("exec", name, *look), ("exec", "-u", "0", name, *look), ("exec", "-t", name, *look)):
        if mode == "single" and flags and "-u" in words:
            continue
        values = dict(line.split(":\t") for line in ocirun(*words).lines)
        assert values["CapInh"] == values["CapAmb"] == "0" * 16, values
        assert int(values["CapBnd"], 16) & ~0xA80425FB == 0, values
        assert values["Seccomp"] == "2"


def test_exec_without_a_profile_needs_to_be_asked_for(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    assert ocirun("exec", name, "unshare", "-m", "true", status=None).status != 0


def test_nothing_that_steers_the_machine_can_be_written(ocirun: Ocirun) -> None:
    script = """
    for path in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/panic_on_oom /proc/sys/fs/binfmt_misc/register \
        /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/bus/pci/devices /sys/kernel/uevent_helper /sys/power/state \
        /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/release_agent /sys/kernel/mm/transparent_hugepage/enabled /proc/kcore /proc/keys \
        /sys/module/kernel/parameters/panic /sys/block/vda/queue/scheduler /proc/fs/xfs/stat /proc/timer_list; do
      { echo 1 >$path; } 2>/dev/null && [ -s $path ] && echo written: $path
      [ -e $path ] && chmod 666 $path 2>/dev/null && echo changed: $path
    done
    mkdir /sys/fs/cgroup/mine 2>/dev/null && echo cgroup made
    true"""
    # What is covered by /dev/null takes everything and keeps nothing; its mode is that of the covering /dev/null.
    lines = [
        line
        for line in ocirun("run", "--rm", BUSYBOX, "sh", "-c", script).lines
        if not re.search("kcore|keys|timer", line)
    ]
    assert lines == []


def test_masked_files_give_nothing(ocirun: Ocirun) -> None:
    script = "cat /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/latency_stats 2>/dev/null | head -c 100 | wc -c"
    assert ocirun("run", "--rm", BUSYBOX, "sh", "-c", script).word == "0"


def test_keys_of_the_user_stay_outside(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", BUSYBOX, "cat", "/proc/keys", "/proc/key-users", status=None)
    assert "_ses" not in result.stdout


def test_a_mask_is_no_way_to_change_the_machine_s_null(ocirun: Ocirun) -> None:
    """CVE-2025-31133: the covers are the machine's own /dev/null, so its mode and owner may not be changed through them."""
    before = Path("/dev/null").stat()
    script = (
        "for path in /proc/kcore /proc/keys /dev/null /dev/zero; do chmod 600 $path; chown 5 $path; rm -f $path; done"
    )
    ocirun("run", "--rm", BUSYBOX, "sh", "-c", script, status=None)
    after = Path("/dev/null").stat()
    assert (before.st_mode, before.st_uid, before.st_rdev) == (after.st_mode, after.st_uid, after.st_rdev)
