"""`kill`: a signal for the container's first process."""

from ocirun.engine.records import status
from ocirun.errors import ConflictError, NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.records import Container


def kill_container(container: "Container", signal: str = "SIGKILL") -> None:
    """Send `signal` (docker's words) to the container's first process; what it does with it shows later.

    Raises ConflictError with docker's words when it does not run, UsageError for an unknown signal.
    """
    from ocirun.engine.signals import parse_signal

    name = container.name or container.id
    try:
        number = parse_signal(signal)
    except UsageError as error:
        raise UsageError(f"cannot kill container: {name}: {error.what}", error.hint) from None
    from ocirun.runtime.lifecycle import signal_process
    from ocirun.runtime.states import check

    state = status(container)
    check("kill", state.status, name, container.id)
    try:
        signal_process(state.pid, state.start_time, number)
    except NotFoundError:
        # It ended since we looked.
        raise ConflictError(f"cannot kill container: {name}: container {container.id} is not running") from None
