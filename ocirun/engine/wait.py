"""`wait`: until a container has ended or is gone, and its exit status."""

import os

from ocirun.engine.records import status, wait_for_monitor
from ocirun.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container


def wait_container(engine: "Engine", container: "Container") -> int:
    """Block until the container has ended, and been removed if it removes itself; return its exit status.

    One that does not run is not waited for. Raises NotFoundError when it is gone before it could be asked.
    """
    from ocirun.engine.attach import Session, connect

    try:
        session = Session(connect(engine.settings.runroot, container.id))
    except NotFoundError:
        # It may be ending just now.
        wait_for_monitor(container, status(container))
        state = status(container)
        if not os.path.isdir(container.directory):
            raise NotFoundError(f"No such container: {container.id}") from None
        return state.exit_code
    try:
        return session.wait()
    finally:
        session.close()
