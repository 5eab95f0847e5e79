"""Seccomp programs: a profile compiled to BPF once by libseccomp, then taken from a cache.

A start only compares the profile's text with the cached one and loads bytes; ctypes and libseccomp are touched on a
cache miss alone (runtime/seccomp_compiler.py). config-linux.md, Seccomp.
"""

import binascii
import json
import os

from ocirun.errors import InvalidError, StorageError
from ocirun.files import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Seccomp, SeccompRule

# Changes whenever the compiler makes other bytes of the same profile.
FORMAT = b"ocirun-seccomp-2"


def program(section: "Seccomp | None", host: "Host", cache_directory: str) -> bytes:
    """The BPF program for linux.seccomp of a configuration, b"" when there is no filter.

    `cache_directory` is made when missing; one that cannot be written is no error, it only costs time. Raises
    InvalidError for a broken profile, HostError when libseccomp is missing.
    """
    if not section:
        return b""
    key = b"\n".join(
        (
            FORMAT,
            f"{host.architecture} {host.kernel_release}".encode(),
            json.dumps(section, separators=(",", ":"), sort_keys=True).encode(),
        )
    )
    path = f"{cache_directory}/{binascii.crc32(key):08x}.bpf"
    cached = _read(path)
    # The checksum only names the file: the whole key is compared, so another profile can never stand in for this one.
    if cached.startswith(key + b"\0"):
        return cached[len(key) + 1 :]
    from ocirun.runtime.seccomp_compiler import compile_profile

    result = compile_profile(section)
    try:
        os.makedirs(cache_directory, 0o700, exist_ok=True)
        write_file(path, key + b"\0" + result, 0o600, durable=False)
    except (OSError, StorageError):
        pass
    return result


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def load_profile(path: str) -> "dict[str, Any]":
    """Read a profile in docker's format or the runtime specification's. Raises InvalidError with the reason."""
    try:
        with open(path, "rb") as file:
            value = json.load(file)
    except OSError as error:
        raise InvalidError(
            f"opening seccomp profile ({path}) failed: {os.strerror(error.errno or 0)}", "give the path of a JSON file"
        ) from error
    except ValueError as error:
        raise InvalidError(f"decoding seccomp profile {path} failed: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("defaultAction"), str):
        raise InvalidError(f"seccomp profile {path}: $.defaultAction is missing")
    return value


# uname -m -> what docker's profiles call it (includes.arches), and libseccomp's name of the architecture.
DOCKER_ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
}


def resolve_profile(profile: "dict[str, Any]", capabilities: "list[str]", host: "Host") -> "Seccomp":
    """Reduce a profile in docker's format to linux.seccomp of the specification.

    Rules with `includes` and `excludes` are kept or dropped by the container's capabilities, the architecture and the
    kernel; `archMap` becomes `architectures`. Raises InvalidError when the two kinds of architecture lists are mixed.
    """
    docker_name, native = DOCKER_ARCHITECTURES.get(host.architecture, (host.architecture, ""))
    result: Seccomp = {"defaultAction": profile["defaultAction"]}
    for name in ("defaultErrnoRet", "flags", "listenerPath"):
        if name in profile:
            result[name] = profile[name]
    architectures = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if architectures and profile.get("architectures"):
            raise InvalidError("seccomp profile: use either $.architectures or $.archMap")
        if entry.get("architecture") == native:
            architectures = [native, *(entry.get("subArchitectures") or ())]
    if architectures:
        result["architectures"] = architectures
    result["syscalls"] = []
    for index, rule in enumerate(profile.get("syscalls") or ()):
        if not isinstance(rule, dict) or not (rule.get("names") or rule.get("name")):
            raise InvalidError(f"seccomp profile: $.syscalls[{index}] has no names")
        if _applies(rule, capabilities, docker_name, host.kernel):
            kept: SeccompRule = {"names": rule.get("names") or [rule["name"]], "action": rule.get("action") or ""}
            if rule.get("args"):
                kept["args"] = rule["args"]
            if rule.get("errnoRet") is not None:
                kept["errnoRet"] = rule["errnoRet"]
            result["syscalls"].append(kept)
    return result


def _applies(rule: "dict[str, Any]", capabilities: "list[str]", architecture: str, kernel: "tuple[int, int]") -> bool:
    includes = rule.get("includes") or {}
    excludes = rule.get("excludes") or {}
    if architecture in (excludes.get("arches") or ()) or any(
        name in capabilities for name in excludes.get("caps") or ()
    ):
        return False
    if excludes.get("minKernel") and kernel >= _kernel(excludes["minKernel"]):
        return False
    if includes.get("arches") and architecture not in includes["arches"]:
        return False
    if not all(name in capabilities for name in includes.get("caps") or ()):
        return False
    return not includes.get("minKernel") or kernel >= _kernel(includes["minKernel"])


def _kernel(text: str) -> "tuple[int, int]":
    major, _, minor = text.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise InvalidError(f"seccomp profile: minKernel {text!r} is not of the form major.minor")
    return int(major), int(minor)
