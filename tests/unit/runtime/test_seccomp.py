"""Seccomp profiles, compiled by the real libseccomp and then asked call by call."""

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest

from ocirun.errors import HostError, InvalidError, UnsupportedError
from ocirun.host import Host
from ocirun.runtime import capabilities, seccomp, seccomp_compiler
from ocirun.runtime.default_seccomp import NAMESPACE_FLAGS, PERSONALITIES, default_profile
from ocirun.runtime.plan_process import seccomp_flags
from tests.unit.runtime.filter_machine import ALLOW, ARCH_I386, KILL, errno, judge
from tests.unit.runtime.machines import RANGES

try:
    ctypes.CDLL("libseccomp.so.2")
except OSError:
    pytest.skip("libseccomp.so.2 is not here", allow_module_level=True)

# x86_64, from asm/unistd_64.h
READ, CLONE, SOCKET, PERSONALITY, PTRACE, MOUNT, UNSHARE, CLONE3, KEYCTL, CHROOT = (
    0,
    56,
    41,
    135,
    101,
    165,
    272,
    435,
    250,
    161,
)
IO_URING_SETUP, BPF, PIVOT_ROOT, SYSLOG, MKDIR = 425, 321, 155, 103, 83
EPERM, ENOSYS = errno(1), errno(38)
CLONE_THREAD_FLAGS = 0x3D0F00


def compiled(caps: list[str] | None = None, *, nested: bool = False) -> bytes:
    profile = default_profile(capabilities.DEFAULT if caps is None else caps, "x86_64", nested=nested)
    return seccomp_compiler.compile_profile(profile)


@pytest.fixture(scope="module")
def default() -> bytes:
    return compiled()


@pytest.mark.parametrize("number", [READ, MKDIR, PTRACE, CHROOT])
def test_ordinary_calls_pass(default: bytes, number: int) -> None:
    assert judge(default, number) == ALLOW


@pytest.mark.parametrize("number", [MOUNT, UNSHARE, KEYCTL, IO_URING_SETUP, BPF, PIVOT_ROOT, SYSLOG])
def test_dangerous_calls_are_refused(default: bytes, number: int) -> None:
    assert judge(default, number) == EPERM


def test_clone_may_make_threads_but_no_namespace(default: bytes) -> None:
    assert judge(default, CLONE, CLONE_THREAD_FLAGS) == ALLOW
    for bit in range(32):
        if NAMESPACE_FLAGS >> bit & 1:
            assert judge(default, CLONE, CLONE_THREAD_FLAGS | 1 << bit) == EPERM
    assert judge(default, CLONE3) == ENOSYS


def test_socket_families(default: bytes) -> None:
    for family in range(64):
        assert judge(default, SOCKET, family) == (EPERM if family in (38, 40) else ALLOW), family


def test_personalities(default: bytes) -> None:
    for value in PERSONALITIES:
        assert judge(default, PERSONALITY, value) == ALLOW
    assert judge(default, PERSONALITY, 0x400000) == EPERM


def test_calls_younger_than_the_profile_are_unknown(default: bytes) -> None:
    assert judge(default, 5000) == ENOSYS
    assert judge(default, 5000, architecture=ARCH_I386) == ENOSYS
    assert judge(default, 0x40000000 | 5000) == ENOSYS
    assert judge(default, -1) in (EPERM, ENOSYS)


def test_other_architectures(default: bytes) -> None:
    i386_read, i386_mount = 3, 21
    assert judge(default, i386_read, architecture=ARCH_I386) == ALLOW
    assert judge(default, i386_mount, architecture=ARCH_I386) == EPERM
    assert judge(default, 0x40000000 | READ) == ALLOW
    assert judge(default, READ, architecture=0x12345) == KILL


@pytest.mark.parametrize(
    "capability, number",
    [("CAP_SYS_ADMIN", MOUNT), ("CAP_SYS_ADMIN", CLONE3), ("CAP_BPF", BPF), ("CAP_SYSLOG", SYSLOG)],
)
def test_capabilities_open_calls(capability: str, number: int) -> None:
    assert judge(compiled([capability]), number) == ALLOW


def test_without_its_capability_chroot_is_refused() -> None:
    assert judge(compiled([]), CHROOT) == EPERM


def test_nested_opens_namespaces_and_nothing_else() -> None:
    program = compiled(nested=True)
    for number in (MOUNT, UNSHARE, CLONE3, PIVOT_ROOT):
        assert judge(program, number) == ALLOW
    assert judge(program, CLONE, NAMESPACE_FLAGS) == ALLOW
    for number in (KEYCTL, IO_URING_SETUP, BPF, SYSLOG):
        assert judge(program, number) == EPERM


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "armv7l", "ppc64le", "riscv64", "i686"])
def test_every_architecture_compiles(machine: str) -> None:
    program = seccomp_compiler.compile_profile(default_profile(capabilities.DEFAULT, machine))
    assert 8 * 100 < len(program) < 8 * 4096


def test_all_actions_and_comparisons() -> None:
    section: Any = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
            {
                "names": ["socket"],
                "action": "SCMP_ACT_KILL_PROCESS",
                "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_GE"}],
            },
            {
                "names": ["personality"],
                "action": "SCMP_ACT_LOG",
                "args": [
                    {"index": 0, "value": 3, "op": "SCMP_CMP_EQ"},
                    {"index": 0, "value": 4, "op": "SCMP_CMP_EQ"},
                ],
            },
            {
                "names": ["ptrace"],
                "action": "SCMP_ACT_TRAP",
                "args": [{"index": 1, "value": 0xF0, "valueTwo": 0x30, "op": "SCMP_CMP_MASKED_EQ"}],
            },
            {"names": ["chroot", "no_such_call"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
        ],
    }
    program = seccomp_compiler.compile_profile(section)
    assert judge(program, MKDIR) == errno(13)
    assert judge(program, SOCKET, 4) == ALLOW
    assert judge(program, SOCKET, 5) == 0x80000000
    assert [judge(program, PERSONALITY, value) for value in (2, 3, 4, 5)] == [ALLOW, 0x7FFC0000, 0x7FFC0000, ALLOW]
    assert judge(program, PTRACE, 0, 0x3F) == 0x00030000
    assert judge(program, PTRACE, 0, 0x4F) == ALLOW
    assert judge(program, CHROOT) == 0x7FF00007
    assert judge(program, 5000) == ALLOW, "who allows by default gets no ENOSYS"


@pytest.mark.parametrize(
    "section, message",
    [
        ({"defaultAction": "MOON"}, "$.defaultAction: unknown action 'MOON'"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}, "errno -1 is not a number from 0 to 65535"),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_MOON"]},
            "unknown architecture 'SCMP_ARCH_MOON'",
        ),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "X"}]},
            "$.syscalls[0].action: unknown action 'X'",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}
                ],
            },
            "$.syscalls[0].args[0].index: 9 is not a number from 0 to 5",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "op": "X"}]}],
            },
            "$.syscalls[0].args[0].op: unknown comparison 'X'",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_KILL",
                        "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": -1}],
                    }
                ],
            },
            "$.syscalls[0].args[0].value: not a number of 64 bits",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL", "args": ["x"]}],
            },
            "$.syscalls[0].args[0]: not an object",
        ),
    ],
)
def test_bad_profiles_name_their_place(section: Any, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        seccomp_compiler.compile_profile(section)
    assert message in str(caught.value)


def test_missing_library_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, **_: Any) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(HostError) as caught:
        seccomp_compiler.compile_profile({"defaultAction": "SCMP_ACT_ALLOW"})
    assert "libseccomp2" in caught.value.hint
    assert "seccomp=unconfined" in caught.value.hint


def test_cache_is_used_and_never_for_another_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "cache"
    section = default_profile([], "x86_64")
    first = seccomp.program(section, RANGES, str(directory))
    assert len(list(directory.iterdir())) == 1
    monkeypatch.setattr(seccomp_compiler, "compile_profile", lambda _: b"compiled again")
    assert seccomp.program(section, RANGES, str(directory)) == first
    assert seccomp.program(default_profile(["CAP_BPF"], "x86_64"), RANGES, str(directory)) == b"compiled again"
    newer = Host(uid=1, gid=1, kernel_release="7.0")
    assert seccomp.program(section, newer, str(directory)) == b"compiled again"
    [*_, cached] = sorted(directory.iterdir())
    for path in directory.iterdir():
        path.write_bytes(path.read_bytes().replace(b"SCMP_ACT_ERRNO", b"SCMP_ACT_ALLOW"))
    assert seccomp.program(section, RANGES, str(directory)) == b"compiled again"
    assert cached.stat().st_mode & 0o777 == 0o600


def test_no_filter_and_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert seccomp.program(None, RANGES, "/nowhere") == b""
    assert judge(seccomp.program(default_profile([], "x86_64"), RANGES, str(tmp_path / "file")), READ) == ALLOW


def test_flags() -> None:
    def flags(**section: Any) -> int:
        config: Any = {"linux": {"seccomp": section}}
        return seccomp_flags(config)

    assert flags(defaultAction="SCMP_ACT_LOG") == 4
    assert flags(flags=[]) == 0
    assert flags(flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]) == 2
    with pytest.raises(InvalidError, match="unknown flag 'MOON'"):
        flags(flags=["MOON"])
    with pytest.raises(UnsupportedError, match="listenerPath"):
        flags(listenerPath="/x")


def test_profile_files(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))
    assert seccomp.load_profile(str(good)) == {"defaultAction": "SCMP_ACT_ALLOW"}
    for text, message in (("{", "decoding seccomp profile"), ("[]", r"\$\.defaultAction is missing")):
        good.write_text(text)
        with pytest.raises(InvalidError, match=message):
            seccomp.load_profile(str(good))
    with pytest.raises(InvalidError, match=r"opening seccomp profile \(/nowhere\) failed: No such file or directory"):
        seccomp.load_profile("/nowhere")


def test_profiles_in_dockers_format_are_resolved() -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            {"name": "read", "action": "SCMP_ACT_ALLOW"},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["a"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
            {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}, "comment": "x"},
            {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "9.0"}},
            {"names": ["e"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
        ],
    }
    resolved = seccomp.resolve_profile(profile, ["CAP_BPF"], RANGES)
    assert resolved["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert [rule["names"] for rule in resolved["syscalls"]] == [["read"], ["bpf"], ["clone3"], ["c"]]
    assert resolved["syscalls"][2]["errnoRet"] == 38
    assert resolved["syscalls"][3] == {"action": "SCMP_ACT_ALLOW", "names": ["c"]}
    with pytest.raises(InvalidError, match="either"):
        seccomp.resolve_profile({**profile, "architectures": ["SCMP_ARCH_X86"]}, [], RANGES)
    for rule, message in (
        ({"names": ["x"], "includes": {"minKernel": "new"}}, "minKernel 'new'"),
        ({"action": "SCMP_ACT_ALLOW"}, r"\$\.syscalls\[0\] has no names"),
        ("read", r"\$\.syscalls\[0\] has no names"),
    ):
        with pytest.raises(InvalidError, match=message):
            seccomp.resolve_profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}, [], RANGES)
