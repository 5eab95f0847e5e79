"""commit --pause: the container stands still meanwhile, and goes on afterwards, whatever becomes of the committer."""

import signal
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, until

# A shell that never rests, its child that sleeps, and one that the user has stopped.
SCRIPT = (
    "head -c 20000000 /dev/urandom >/random; sleep 600 & sleep 601 & kill -STOP $!; echo ready; while :; do :; done"
)
DESCENDANTS = 3


def processes_below(first: int) -> dict[int, str]:
    """The state letters of process `first` and all its descendants, by their pids."""
    found: dict[int, str] = {}
    pending = [first]
    while pending:
        pid = pending.pop()
        try:
            found[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
            pending += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def stopped(first: int) -> int:
    return list(processes_below(first).values()).count("T")


def start(ocirun: Ocirun, name: str, *flags: str) -> int:
    """A container that runs SCRIPT; the pid of its first process."""
    ocirun("run", "-d", "--name", name, *flags, BUSYBOX, "sh", "-c", SCRIPT)
    until(lambda: "ready" in ocirun("logs", name).stdout, "the program")
    return int(ocirun.inspect(name)["State"]["Pid"])


@pytest.mark.parametrize("flags", [[], ["--init"]])
def test_killed_committer_leaves_nothing_stopped(fresh: Ocirun, name: str, flags: list[str]) -> None:
    ocirun = fresh
    first = start(ocirun, name, *flags)
    count = DESCENDANTS + len(flags)
    assert (len(processes_below(first)), stopped(first)) == (count, 1)
    for attempt in range(3):
        committer = ocirun.start("commit", name, f"never-{attempt}")
        until(lambda: stopped(first) == count, "all to stand still")
        committer.send_signal(signal.SIGKILL)
        committer.communicate()
        until(lambda: stopped(first) == 1, "all to go on")
    assert len(processes_below(first)) == count
    assert ocirun.status(name) == "running"
    ocirun("system", "prune", "-f")


def test_two_committers_at_once(fresh: Ocirun, name: str) -> None:
    """The container goes on after the last of them, and what the user has stopped does not."""
    ocirun = fresh
    first = start(ocirun, name)
    slow = ocirun.start("commit", name)
    until(lambda: stopped(first) == DESCENDANTS, "all to stand still")
    killed = ocirun.start("commit", name)
    slow.communicate(timeout=60)
    assert slow.returncode == 0
    killed.kill()
    killed.communicate()
    until(lambda: stopped(first) == 1, "all to go on")
    ocirun("system", "prune", "-f")


def test_commit_ends_with_the_processes_running(ocirun: Ocirun, name: str) -> None:
    first = start(ocirun, name)
    for _ in range(2):
        ocirun("rmi", ocirun("commit", name).word)
        assert stopped(first) == 1


def test_a_stopped_container_can_be_killed(ocirun: Ocirun, name: str) -> None:
    """The committer finds that it has ended, and makes the image all the same."""
    first = start(ocirun, name)
    committer = ocirun.start("commit", name)
    until(lambda: stopped(first) == DESCENDANTS, "all to stand still")
    ocirun("kill", name)
    identifier, _ = committer.communicate(timeout=60)
    assert committer.returncode == 0
    assert ocirun("wait", name).word == "137"
    ocirun("rmi", identifier.decode().strip())
