"""--rm: the monitor takes the container out of sight at once, and leaves the volumes that others mount."""

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, entries, until

# Of inotify(7); the flags are those of sys/inotify.h.
MOVED_FROM, DELETED, NONBLOCK = 0x40, 0x200, 0o4000


class Watch:
    """What leaves a directory, and how: "moved" or "deleted", in order."""

    def __init__(self, directory: Path) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self.descriptor = library.inotify_init1(NONBLOCK)
        assert library.inotify_add_watch(self.descriptor, os.fsencode(directory), MOVED_FROM | DELETED) >= 0

    def events(self) -> list[tuple[str, str]]:
        """What has happened up to now, as (how, name)."""
        try:
            data = os.read(self.descriptor, 65536)
        except BlockingIOError:
            return []
        found = []
        while data:
            _, mask, _, length = struct.unpack_from("=iIII", data)
            name = data[16 : 16 + length].rstrip(b"\0").decode()
            found.append(("moved" if mask & MOVED_FROM else "deleted", name))
            data = data[16 + length :]
        return found


@pytest.fixture
def watch(ocirun: Ocirun) -> Iterator[Watch]:
    """A watch on the directory of containers."""
    found = Watch(ocirun.root / "containers")
    yield found
    os.close(found.descriptor)


def anonymous_volume(ocirun: Ocirun, name: str) -> str:
    return str(ocirun.inspect(name)["Mounts"][0]["Name"])


def volumes(ocirun: Ocirun) -> list[str]:
    return entries(ocirun.root / "volumes")


def test_a_container_vanishes_at_once(ocirun: Ocirun, watch: Watch) -> None:
    """No command sees it with a part of its files missing."""
    ocirun("run", "--rm", BUSYBOX, "sh", "-c", "mkdir -p /a/b; touch /a/b/c; chmod 0 /a/b /a")
    assert [how for how, _ in watch.events()] == ["moved"]
    assert entries(ocirun.root / "tmp") == []


def test_a_volume_that_another_container_mounts_stays(ocirun: Ocirun, name: str) -> None:
    """The other one mounts it by its id; with the last container that made it or not, it stays from then on, as with docker."""
    ocirun("run", "-d", "--rm", "--name", name, "-v", "/v", BUSYBOX, "sh", "-c", "echo data >/v/file; sleep 600")
    volume = anonymous_volume(ocirun, name)
    until(lambda: "data" in ocirun("exec", name, "cat", "/v/file", status=None).stdout, "the file")
    ocirun("create", "--name", f"{name}-2", "--mount", f"type=volume,src={volume},dst=/x", BUSYBOX, "cat", "/x/file")
    ocirun("stop", "-t", "0", name)
    until(lambda: ocirun("inspect", name, status=None).status != 0, "the removal")
    assert ocirun("start", "-a", f"{name}-2").stdout == "data\n"
    ocirun("rm", f"{name}-2")
    assert volumes(ocirun) == [volume]
    ocirun("volume", "rm", volume)


def test_a_volume_goes_when_the_other_container_has_gone(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--rm", "--name", name, "-v", "/v", "-v", "/w", BUSYBOX, "sleep", "600")
    ocirun("create", "--name", f"{name}-2", "-v", f"{anonymous_volume(ocirun, name)}:/x", BUSYBOX, "true")
    ocirun("rm", f"{name}-2")
    assert len(volumes(ocirun)) == 2
    ocirun("stop", "-t", "0", name)
    until(lambda: volumes(ocirun) == [], "the removal")


def test_a_volume_that_a_container_in_the_making_mounts_stays(ocirun: Ocirun, name: str) -> None:
    """Whoever makes a container holds the volume from before it looks until its record can be read."""
    ocirun("run", "-d", "--rm", "--name", name, "-v", "/v", BUSYBOX, "sleep", "600")
    volume = anonymous_volume(ocirun, name)
    descriptor = os.open(ocirun.root / "volumes" / volume, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        assert ocirun("kill", name).word == name
        until(lambda: ocirun("inspect", name, status=None).status != 0, "the removal")
    finally:
        os.close(descriptor)
    assert volumes(ocirun) == [volume]
    ocirun("volume", "rm", volume)


def test_a_container_is_made_while_its_volume_is_removed(ocirun: Ocirun, name: str) -> None:
    """It gets a new volume of that name, and never one that is going."""
    ocirun("run", "--name", name, "-v", "/v", BUSYBOX, "touch", "/v/old")
    volume = anonymous_volume(ocirun, name)
    place = ocirun.root / "volumes" / volume
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        made = ocirun.start("create", "--name", f"{name}-2", "-v", f"{volume}:/v", BUSYBOX, "ls", "/v")
        until(lambda: waits_for_lock(made.pid), "the second one to come to the volume")
        place.rename(ocirun.directory / "gone")
    finally:
        os.close(descriptor)
    made.communicate(timeout=60)
    assert made.returncode == 0
    assert ocirun("start", "-a", f"{name}-2").stdout == ""
    ocirun("rm", name, f"{name}-2")
    ocirun("volume", "rm", volume)


def waits_for_lock(pid: int) -> bool:
    """Whether the process waits for a lock: /proc/locks lists it behind an arrow."""
    words = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(str(pid) in line for line in words)
