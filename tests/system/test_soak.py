"""Many containers in a row leave nothing behind: no process, mount, descriptor, file or lock."""

import os
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, leftovers


def files_below(directory: Path) -> int:
    return sum(len(names) + len(directories) for _, directories, names in os.walk(directory))


def soak(ocirun: Ocirun, count: int) -> None:
    ocirun("run", "--rm", BUSYBOX, "true")
    before = files_below(ocirun.directory)
    mounts = len(Path("/proc/self/mountinfo").read_text().splitlines())
    for number in range(count):
        if number % 10 == 9:
            ocirun("run", "--rm", "-d", "--name", "soak", BUSYBOX, "true")
            ocirun("wait", "soak", status=None)
        else:
            assert ocirun("run", "--rm", BUSYBOX, "echo", str(number)).word == str(number)
    assert leftovers(ocirun) == {}
    assert files_below(ocirun.directory) == before
    assert len(Path("/proc/self/mountinfo").read_text().splitlines()) == mounts


def test_a_hundred_containers_leave_nothing(fresh: Ocirun) -> None:
    soak(fresh, 100)


@pytest.mark.soak
def test_a_thousand_containers_leave_nothing(fresh: Ocirun) -> None:
    soak(fresh, 1000)
