"""Devices of the machine are not for containers, above all not when root inside is root outside."""

import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.security.conftest import member
from tests.system.harness import BUSYBOX, Ocirun, Result


def some_block_device() -> os.stat_result:
    """A block device of this machine that root can open."""
    for entry in sorted(Path("/dev").iterdir(), reverse=True):
        try:
            status = entry.stat()
            if stat.S_ISBLK(status.st_mode):
                os.close(os.open(entry, os.O_RDONLY))
                return status
        except OSError:
            continue
    pytest.skip("this machine has no block device that can be opened")


OPENS = """
import os, sys
for path in sys.argv[1:] or {paths!r}:
    try:
        os.mknod(path, {kind!r}, os.makedev({major}, {minor}))
    except OSError as error:
        print(path, "mknod", error.strerror)
    try:
        os.open(path, os.O_RDONLY)
        print(path, "OPENED")
    except OSError as error:
        print(path, "open", error.strerror)
"""


@pytest.mark.root
@pytest.mark.parametrize(
    "place", ["/root-fs-node", "/dev/node", "/dev/shm/node", "/tmp/node", "/volume/node", "/bind/node"]
)
def test_a_disk_of_the_machine_cannot_be_opened(
    attacker: Callable[..., Result], place: str, tmp_path: Path, name: str
) -> None:
    disk = some_block_device().st_rdev
    code = OPENS.format(paths=[place], kind=stat.S_IFBLK | 0o666, major=os.major(disk), minor=os.minor(disk))
    result = attacker(code, "-v", "/volume", "-v", f"{tmp_path}:/bind")
    assert "OPENED" not in result.stdout, result


@pytest.mark.root
@pytest.mark.parametrize("flags", [[], ["-v", "/nodes"], ["-v", "named:/nodes"]])
def test_a_device_in_a_layer_is_dead(ocirun: Ocirun, load_members: Callable[..., str], flags: list[str]) -> None:
    """Also when the content of the image is copied into a volume."""
    disk = some_block_device().st_rdev
    node = {"mode": 0o666, "devmajor": os.major(disk), "devminor": os.minor(disk)}
    image = load_members(member("nodes", tarfile.DIRTYPE), member("nodes/disk", tarfile.BLKTYPE, **node))
    result = ocirun("run", "--rm", *flags, image, "head", "-c", "1", "/nodes/disk", status=None)
    assert result.status != 0, result
    assert not result.stdout
    ocirun("volume", "rm", "-f", "named")


def test_devices_that_programs_need_work(ocirun: Ocirun) -> None:
    script = (
        "echo x >/dev/null && head -c 1 /dev/zero >/dev/full; head -c 4 /dev/urandom | wc -c; mkfifo /f && ls -l /f"
    )
    assert "4" in ocirun("run", "--rm", BUSYBOX, "sh", "-c", script).stdout


@pytest.mark.root
def test_who_asks_for_device_nodes_gets_them(ocirun: Ocirun) -> None:
    script = "mknod /dev/mine c 1 3 && echo x >/dev/mine && echo works"
    assert ocirun("run", "--rm", "--cap-add", "MKNOD", BUSYBOX, "sh", "-c", script).stdout == "works\n"
