"""Freezing a container without cgroups: SIGSTOP to all its processes until none is left that runs, SIGCONT afterwards.

Its processes are those in the pid namespace of its first one, and their descendants (which may have made pid namespaces
of their own). A process that forks faster than it is found is found by the next look: its parent stands still by then.
"""

import os

from ocirun.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKS = 200
# Stopped, traced, zombie, dead; "D" cannot be stopped now and does nothing of its own meanwhile.
_STILL = frozenset("TtZXxD")


class Frozen:
    """A `with` block in which the processes of the container whose first process is `pid` stand still."""

    __slots__ = ("_pid", "_stopped")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stopped: dict[int, int] = {}

    def __enter__(self) -> "Frozen":
        try:
            self._stop_all()
        except BaseException:
            self.thaw()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.thaw()

    def thaw(self) -> None:
        """Let those run on that were stopped here; a second call does nothing."""
        import signal

        while self._stopped:
            _, descriptor = self._stopped.popitem()
            try:
                signal.pidfd_send_signal(descriptor, signal.SIGCONT)
            except OSError:
                # It was killed meanwhile.
                pass
            finally:
                os.close(descriptor)

    def _stop_all(self) -> None:
        quiet = 0
        for _ in range(_LOOKS):
            # Twice in a row, because a process may have been born behind the back of one look.
            quiet = quiet + 1 if self._stop_once() else 0
            if quiet == 2:
                return
            os.sched_yield()
        raise ConflictError("the container's processes could not be stopped", "commit without a pause: --pause=false")

    def _stop_once(self) -> bool:
        """Stop what runs; True when nothing did."""
        still = True
        for pid, state in members(self._pid):
            if state in _STILL or pid in self._stopped:
                still = still and state in _STILL
                continue
            still = False
            self._stop(pid)
        return still

    def _stop(self, pid: int) -> None:
        import signal

        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return
        self._stopped[pid] = descriptor
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
        except OSError:
            return


def members(first: int) -> "list[tuple[int, str]]":
    """(pid, state letter of proc_pid_stat(5)) of the processes of the container whose first process is `first`."""
    try:
        namespace = os.readlink(f"/proc/{first}/ns/pid")
    except OSError:
        return []
    found: dict[int, str] = {}
    others: dict[int, tuple[int, str]] = {}
    for pid, parent, state in _processes():
        try:
            inside = os.readlink(f"/proc/{pid}/ns/pid") == namespace
        except OSError:
            inside = False
        if inside:
            found[pid] = state
        else:
            others[pid] = (parent, state)
    # Descendants in pid namespaces of their own.
    grown = True
    while grown:
        grown = False
        for pid, (parent, state) in list(others.items()):
            if parent in found:
                found[pid] = state
                del others[pid]
                grown = True
    return list(found.items())


def _processes() -> "Iterator[tuple[int, int, str]]":
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                text = file.read()
        except OSError:
            continue
        fields = text[text.rindex(b")") + 2 :].split()
        yield int(name), int(fields[1]), fields[0].decode()
