"""Processes of containers: start one from a plan, know it again later, signal it without hitting another.

What is true is asked of the kernel: a pid alone may belong to somebody else by now, so it counts only together with its
start time.
"""

import os

from ocirun.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.runtime.steps import Plan


def start(plan: "Plan", descriptors: "dict[int, int]", mode: str = "monitor") -> int:
    """Start the helper on `plan` and return its pid. `descriptors` is {number in the helper: our descriptor}.

    4 must be one end of a SOCK_SEQPACKET pair; what becomes of the start is told there. Raises StepError when the helper
    itself cannot be started.
    """
    from ocirun import native

    return native.spawn(plan.encode(), mode, descriptors)


def parse_start_time(text: str) -> int:
    """Field 22 of /proc/PID/stat: clock ticks after boot (proc(5)). The command's name may hold blanks and brackets."""
    return int(text[text.rindex(")") + 2 :].split()[19])


def start_time(pid: int) -> int:
    """When process `pid` started, in clock ticks after boot; 0 when there is no such process, or only a zombie of it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    if text[text.rindex(")") + 2] in "ZX":
        return 0
    return parse_start_time(text)


def open_process(pid: int, started: int) -> int:
    """A pidfd of process `pid`, checked to be the one that started at `started`. The caller closes it.

    Raises NotFoundError when it has ended.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotFoundError(f"process {pid} does not run any more") from None
    # Read after opening: if the pid was given away before, the time differs; if later, the pidfd still means the old one.
    if start_time(pid) != started:
        os.close(descriptor)
        raise NotFoundError(f"process {pid} does not run any more")
    return descriptor


def signal_process(pid: int, started: int, number: int) -> None:
    """Send signal `number` to the process that has this pid and start time. Raises NotFoundError when it has ended."""
    # Not at the top: it costs 3 ms, and `run` comes by here without signalling anybody.
    import signal

    descriptor = open_process(pid, started)
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        raise NotFoundError(f"process {pid} does not run any more") from None
    finally:
        os.close(descriptor)
