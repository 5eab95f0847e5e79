"""`wait`: until a container has ended or is gone, and its exit status."""

from ocirun.engine.records import status
from ocirun.engine.run_lock import wait_for_run_lock
from ocirun.errors import NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container

CONDITIONS = ("not-running", "next-exit", "removed")


def wait_container(engine: "Engine", container: "Container", condition: str = "not-running") -> int:
    """Block until the container has ended and return its exit status; at once when it does not run ("not-running").

    "removed" waits until its monitor has removed it too. Raises UsageError for another condition.
    """
    from ocirun.engine.attach import Session, connect

    if condition not in CONDITIONS:
        raise UsageError(f'invalid condition: "{condition}"', "not-running, next-exit or removed")
    try:
        session = Session(connect(engine.settings.runroot, container.id))
    except NotFoundError:
        # It ends just now, or is starting: then its monitor lets go of the lock when all is done.
        state = status(container)
        if state.alive and state.status != "created":
            wait_for_run_lock(container.directory)
            state = status(container)
        return state.exit_code
    try:
        return session.wait()
    finally:
        session.close()
