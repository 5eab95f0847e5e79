"""Where half-made things live: <root>/tmp/x-<random>, with a lock that tells work in progress from garbage."""

import os

from ocirun.errors import ConflictError, StorageError
from ocirun.files import Lock, storage_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_LOCK = "lock"


def new_staging_path(temporary: str) -> str:
    """The path of a staging directory that does not exist yet."""
    return f"{temporary}/x-{os.urandom(8).hex()}"


class Staging:
    """A new directory below `temporary`, removed at the end of the `with` block with what is still in it.

    `path` is where to build; rename finished things out of it. Raises StorageError.
    """

    __slots__ = ("_lock", "path")

    def __init__(self, temporary: str) -> None:
        while True:
            self.path = new_staging_path(temporary)
            self._lock = Lock(f"{self.path}/{_LOCK}", wait=False)
            try:
                os.mkdir(self.path, 0o700)
            except OSError as error:
                raise storage_error(error, f"make directory {self.path}") from error
            if self._take():
                return

    def _take(self) -> bool:
        """Lock the directory; False when `garbage` has seen it before it was locked, and removes it."""
        try:
            descriptor = self._lock.acquire()
        except (ConflictError, StorageError):
            # Given away to whoever holds it; a full disk shows itself again at the next mkdir or write.
            if os.path.isdir(self.path) and not os.path.exists(self._lock.path):
                self.remove()
                raise
            return False
        if os.fstat(descriptor).st_nlink:
            return True
        self._lock.release()
        return False

    def __enter__(self) -> "Staging":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the directory and what is in it; only our own files are staged this way. A second call does nothing."""
        try:
            os.unlink(self._lock.path)
            os.rmdir(self.path)
        except OSError:
            import shutil

            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def garbage(temporary: str) -> "Iterator[str]":
    """Paths of staging directories that nobody works on any more, left by a crash; each is locked until the next is asked for.

    So remove one before going on: a directory that somebody has just made cannot be put to use under the remover's hands.
    """
    try:
        names = os.listdir(temporary)
    except OSError:
        return
    for name in names:
        path = f"{temporary}/{name}"
        # The lock file is made when it is missing, so that a process between mkdir and lock sees that it came too late.
        lock = Lock(f"{path}/{_LOCK}", wait=False)
        try:
            lock.acquire()
        except ConflictError:
            continue
        except StorageError:
            # A plain file, which a write that was killed leaves, or a directory that is gone by now.
            if os.path.isfile(path):
                yield path
            continue
        try:
            yield path
        finally:
            lock.release()
