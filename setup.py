"""Builds the C core: the extension `_ocirun_native` and the static helper `ocirun/libexec/ocirun-init`.

pyproject.toml has everything else. Environment: CC, CFLAGS; OCIRUN_SANITIZE=1 builds the helper with AddressSanitizer and
UndefinedBehaviorSanitizer (then it is dynamic: a static one cannot be sanitized); OCIRUN_WERROR=0 lets warnings of a
compiler newer than this file pass.
"""

import os
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

CORE = Path("cext")
HELPER = Path("ocirun/libexec/ocirun-init")
# Files of the extension that mean nothing to the helper.
EXTENSION_ONLY = {"spawn_helper.c"}

WARNINGS = [
    "-Wall",
    "-Wextra",
    *(["-Werror"] if os.environ.get("OCIRUN_WERROR") != "0" else []),
    "-Werror=unused-result",
]
FLAGS = ["-std=c17", "-D_GNU_SOURCE", *WARNINGS, "-Werror=vla"]
RELEASE = ["-Os", "-ffunction-sections", "-fdata-sections", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"]
RELEASE_LINK = ["-static", "-s", "-Wl,--gc-sections", "-Wl,-z,relro,-z,now,-z,noexecstack"]
SANITIZE = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-DOCIRUN_SANITIZE"]


def compiler() -> "list[str]":
    """The C compiler: $CC, else the one that built this Python if it is here, else cc."""
    words = os.environ.get("CC", sysconfig.get_config_var("CC") or "cc").split()
    return words if shutil.which(words[0]) else ["cc"]


def run(command: "list[str]") -> None:
    """Run one command of the build; what it prints is what the user sees."""
    subprocess.run(command, check=True)


def build_helper(target: Path, scratch: Path) -> None:
    """Compile and link the helper into `target`, as far as it is older than what it is made of."""
    sanitize = os.environ.get("OCIRUN_SANITIZE") == "1"
    sources = [path for path in sorted(CORE.glob("*.c")) if path.name not in EXTENSION_ONLY]
    flags = [*FLAGS, *(SANITIZE if sanitize else RELEASE), *os.environ.get("CFLAGS", "").split()]
    scratch.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp = scratch / "flags"
    wanted = " ".join([*compiler(), *flags, *map(str, sources)])
    same = stamp.exists() and stamp.read_text() == wanted
    common = max(path.stat().st_mtime for path in [*CORE.glob("*.h"), Path("setup.py")])
    objects = {source: scratch / f"{source.stem}.o" for source in sources}
    stale = [source for source, made in objects.items() if not (same and is_newer(made, source, common))]
    if not stale and target.exists():
        return
    stamp.unlink(missing_ok=True)
    print(f"building {target}: {len(stale)} of {len(sources)} files{' with sanitizers' if sanitize else ''}")
    commands = [[*compiler(), *flags, "-c", str(source), "-o", str(objects[source])] for source in stale]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(run, commands))
    link = ["-fsanitize=address,undefined"] if sanitize else RELEASE_LINK
    # Linked beside its place and moved: a helper that is being started is never half a file.
    made = target.with_name(f".{target.name}.new")
    run([*compiler(), *link, *map(str, objects.values()), "-o", str(made)])
    made.replace(target)
    stamp.write_text(wanted)


def is_newer(made: Path, source: Path, common: float) -> bool:
    """Whether the object `made` is newer than its source and than `common`, the last change of what all depend on."""
    return made.exists() and made.stat().st_mtime > max(source.stat().st_mtime, common)


class BuildCore(build_ext):
    """build_ext that makes the helper as well."""

    def run(self) -> None:
        """Build the extension, then the helper: into the source tree with --inplace, else into the build tree."""
        if not shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]):
            os.environ.setdefault("CC", "cc")
        super().run()
        top = Path() if self.inplace else Path(self.build_lib)
        build_helper(top / HELPER, Path(self.build_temp) / "helper")


setup(
    cffi_modules=["cext/build_ffi.py:ffibuilder"],
    cmdclass={"build_ext": BuildCore},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
