"""Newer peers than this machine has: a whole system in a directory, entered for the run.

Such a directory is made by mmdebstrap, with podman, crun, runc, conmon, uidmap and their helpers in it. This Python,
the checkout and the images of the benchmarks are bound into it under their own paths.
"""

import glob
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.bench.images import CACHE
from tests.system.machine import CLONE_NEWNS, LIBC, MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC, TOP, call, mount


def libraries_of_python() -> set[str]:
    """The shared libraries that this Python and its own extension modules are linked to."""
    files = [os.path.realpath(sys.executable), *glob.glob(f"{sysconfig.get_path('stdlib')}/lib-dynload/*.so")]
    shown = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"=> (/\S+)", shown))


def lacks(tree: Path, name: str) -> bool:
    """Whether the tree has no such file, or only the empty one that an earlier run was mounted on."""
    place = tree / name.lstrip("/")
    return not place.exists() or place.stat().st_size == 0


def bind_into(tree: Path, source: str, target: str = "") -> None:
    """Bind a file or a directory into the tree at its own path, or at `target`."""
    place = tree / (target or source).lstrip("/")
    if os.path.isdir(source):
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.touch()
    mount(os.path.realpath(source), str(place), "", MS_BIND | MS_REC)


def enter_tree(tree: Path) -> None:
    """Make `tree` the root of this process, in a mount namespace of its own. Needs root."""
    call("unshare", CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    mount(str(tree), str(tree), "", MS_BIND)
    for name in ("proc", "sys", "dev"):
        bind_into(tree, f"/{name}")
    mount("tmpfs", str(tree / "run"), "tmpfs")
    python = os.path.realpath(sys.executable)
    for source in (str(TOP), sys.prefix, str(CACHE), sysconfig.get_path("stdlib"), python):
        bind_into(tree, source)
    first_link = os.readlink(sys.executable) if os.path.islink(sys.executable) else ""
    for name in {first_link, "/usr/bin/python3"} - {"", python}:
        if name.startswith("/") and lacks(tree, name):
            bind_into(tree, python, name)
    for library in libraries_of_python():
        if lacks(tree, library):
            bind_into(tree, library)
    busybox = subprocess.run(
        ["sh", "-c", "command -v busybox"], capture_output=True, text=True, check=True
    ).stdout.strip()
    bind_into(tree, busybox)
    os.chdir(tree)
    os.makedirs("mnt", exist_ok=True)
    if LIBC.syscall(155 if os.uname().machine == "x86_64" else 41, b".", b"mnt") != 0:
        raise OSError("pivot_root failed")
    call("umount2", b"/mnt", MNT_DETACH)
    os.chdir("/")
