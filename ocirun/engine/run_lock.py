"""The lock that says "running": an open-file-description lock on a container's run.lock (fcntl(2), F_OFD_SETLK).

The monitor holds it by merely keeping the descriptor it was given open, so it cannot be stale. It can be asked after
without being taken (F_OFD_GETLK), which flock(2) cannot do: a `ps` must never make a `start` fail
(docs/decisions/0010-run-lock.md).

It is taken as a whole. Once the program runs, the monitor gives the second byte up (cext/monitor.c), so that one can wait for
the end of a start without waiting for the end of the container.
"""

import errno
import fcntl
import os
import struct

from ocirun.errors import ConflictError, NotFoundError
from ocirun.files import storage_error

_FLOCK = struct.Struct("hhqqi4x")
_START_BYTE = 1


def _flock(kind: int, start: int = 0, length: int = 0) -> bytes:
    """A struct flock of `length` bytes from `start`; 0 is all that follow."""
    return _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


def take_run_lock(directory: str) -> int:
    """Lock the container at `directory` for this process and return the descriptor; it is held until the last copy closes.

    Raises ConflictError when the container runs or another command starts or removes it, NotFoundError when it has been
    removed meanwhile, StorageError.
    """
    path = f"{directory}/run.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise _gone(directory) from None
    except OSError as error:
        raise storage_error(error, f"open lock {path}") from error
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK))
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise ConflictError("the container is running, or another command is starting or removing it") from None
        raise storage_error(error, f"lock {path}") from error
    if not os.fstat(descriptor).st_nlink:
        # Opened just before somebody else removed the container.
        os.close(descriptor)
        raise _gone(directory)
    return descriptor


def _gone(directory: str) -> NotFoundError:
    return NotFoundError(f"No such container: {os.path.basename(directory)}")


def is_run_lock_held(directory: str) -> bool:
    """Whether some process holds the lock: a monitor, or a command that starts or removes the container."""
    try:
        descriptor = os.open(f"{directory}/run.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
    finally:
        os.close(descriptor)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def wait_for_run_lock(directory: str) -> None:
    """Block until nobody holds the lock any more; returns at once when the container is gone. Raises StorageError."""
    _wait(directory, 0, 0)


def wait_for_command(directory: str) -> None:
    """Block until no command starts or removes the container any more; whether it runs then is another question.

    Returns at once when the container is gone. Raises StorageError.
    """
    _wait(directory, _START_BYTE, 1)


def _wait(directory: str, start: int, length: int) -> None:
    path = f"{directory}/run.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(error, f"open lock {path}") from error
    try:
        # A read lock, so that several may wait at once.
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, _flock(fcntl.F_RDLCK, start, length))
    except OSError as error:
        raise storage_error(error, f"wait for {path}") from error
    finally:
        os.close(descriptor)
