"""Freezing a container: its monitor stops its processes (cext/freeze.c) as long as our connection to it lasts.

So a command that is killed in the middle leaves nothing that stands still (docs/decisions/0011-the-monitor-freezes.md).
"""

import os

from ocirun.errors import ConflictError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.attach import Session
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container


class Frozen:
    """A `with` block in which the container's processes stand still, those that the user had stopped before included.

    Entering raises ConflictError when they cannot be stopped. One that does not run any more is frozen enough.
    """

    __slots__ = ("_container", "_engine", "_session")

    def __init__(self, engine: "Engine", container: "Container") -> None:
        self._engine = engine
        self._container = container
        self._session: Session | None = None

    def __enter__(self) -> "Frozen":
        from ocirun.engine.attach import open_session

        try:
            self._session = open_session(self._engine.settings.runroot, self._container.id)
        except NotFoundError:
            return self
        try:
            error = self._session.freeze(wanted=True)
        except BaseException:
            self._session.close()
            raise
        if error:
            self._session.close()
            raise ConflictError(
                f"the container's processes could not be stopped: {os.strerror(error)}",
                "commit without a pause: --pause=false",
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._session is not None:
            try:
                self._session.freeze(wanted=False)
            finally:
                self._session.close()
