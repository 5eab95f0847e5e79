"""`stop`: ask the container's program to end, and make it end when it does not."""

import os

from ocirun.engine.records import status, wait_for_monitor
from ocirun.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.records import Container, State

DEFAULT_TIMEOUT = 10


def stop_container(container: "Container", timeout: "int | None" = None, signal: str = "") -> None:
    """Send the stop signal, and after `timeout` seconds SIGKILL; success means that the container has ended.

    `timeout` None is the container's own or 10 seconds, a negative one waits for ever; `signal` "" is the container's own
    or SIGTERM. A container that does not run is left as it is. Raises UsageError for an unknown signal.
    """
    from ocirun.engine.signals import parse_signal

    config = container.record.get("config") or {}
    number = parse_signal(signal or config.get("StopSignal") or "SIGTERM")
    seconds = timeout if timeout is not None else config.get("StopTimeout", DEFAULT_TIMEOUT)
    state = status(container)
    if state.running:
        _end(state, number, seconds)
    # The monitor still drains the output, writes the exit status and cleans up.
    wait_for_monitor(container, state)


def _end(state: "State", number: int, seconds: int) -> None:
    """Signal the process and wait for its end; after `seconds` kill it."""
    import select
    import signal

    from ocirun.runtime.lifecycle import open_process

    try:
        process = open_process(state.pid, state.start_time)
    except NotFoundError:
        return
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        signal.pidfd_send_signal(process, number)
        if not poll.poll(None if seconds < 0 else seconds * 1000):
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(process)
