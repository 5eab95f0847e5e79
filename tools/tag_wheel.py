"""tag_wheel.py WHEEL DIRECTORY: gives the wheel the oldest manylinux tag that its glibc symbols allow, into DIRECTORY.

Nothing is grafted in: the C core may link the C library only, and that is checked here.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ALLOWED_LIBRARIES = {"libc.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def needed_libraries(wheel: Path) -> set[str]:
    """The shared libraries that the extension modules in `wheel` are linked to."""
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        for name in archive.namelist():
            if name.endswith(".so"):
                path = archive.extract(name, scratch)
                shown = subprocess.run(["readelf", "-d", path], check=True, capture_output=True, text=True).stdout
                found.update(re.findall(r"\(NEEDED\).*\[(.+)\]", shown))
    return found


def glibc_floor(wheel: Path) -> tuple[int, int]:
    """The newest glibc version that a symbol in `wheel` asks for."""
    floor = (2, 17)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        for name in archive.namelist():
            if name.endswith(".so"):
                path = archive.extract(name, scratch)
                shown = subprocess.run(["readelf", "-V", path], check=True, capture_output=True, text=True).stdout
                versions = {(int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", shown)}
                floor = max({floor} | versions)
    return floor


def main() -> int:
    """Check, retag, and print what was made; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    foreign = needed_libraries(arguments.wheel) - ALLOWED_LIBRARIES
    if foreign:
        print(f"{arguments.wheel.name} is linked to {', '.join(sorted(foreign))}: no manylinux wheel", file=sys.stderr)
        return 1
    if "-abi3-" not in arguments.wheel.name:
        print(f"{arguments.wheel.name} is no abi3 wheel", file=sys.stderr)
        return 1
    major, minor = glibc_floor(arguments.wheel)
    tag = f"manylinux_{major}_{minor}_{platform.machine()}"
    command = [sys.executable, "-m", "wheel", "tags", "--remove", "--platform-tag", tag, str(arguments.wheel)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
    made = arguments.wheel.with_name(name)
    target = arguments.directory / name
    made.replace(target)
    print(json.dumps({"wheel": str(target), "glibc": f"{major}.{minor}", "bytes": target.stat().st_size}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
