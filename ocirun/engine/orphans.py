"""A container's program that outlived its monitor: it has undone its parent-death signal, and the monitor was killed.

Nobody takes its output or will record its end, and its state reads "exited", so it is ended when that is noticed.
"""

import os

from ocirun.engine.run_lock import take_run_lock
from ocirun.errors import NotFoundError, OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SECONDS_TO_DIE = 10


def end_orphan(directory: str, document: "dict[str, Any]", *, locked: bool) -> None:
    """Kill the program that the state `document` of the container at `directory` names, if it still runs, and wait for its end.

    That it has no monitor is proven by taking the run lock, which the caller has already when `locked`.
    """
    from ocirun.runtime.lifecycle import start_time

    pid, started = document.get("pid") or 0, document.get("start_time") or 0
    if not pid or not started or start_time(pid) != started:
        return
    try:
        lock = -1 if locked else take_run_lock(directory)
    except OcirunError:
        return
    try:
        _kill(pid, started)
    finally:
        if lock >= 0:
            os.close(lock)


def _kill(pid: int, started: int) -> None:
    import select
    import signal

    from ocirun.runtime.lifecycle import open_process

    try:
        process = open_process(pid, started)
    except NotFoundError:
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll(_SECONDS_TO_DIE * 1000)
    except OSError:
        # It has ended meanwhile, or belongs to somebody else by now.
        return
    finally:
        os.close(process)
