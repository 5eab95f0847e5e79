"""Files that appear whole or not at all, and locks that cannot be stale.

A file is written beside its place, fsynced, renamed, and the directory is fsynced (rename(2), fsync(2)).
A lock is flock(2) on a file of its own: the kernel drops it when the last holder dies.
"""

import errno
import fcntl
import json
import os

from ocirun.errors import ConflictError, StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


# The way out of EMFILE.
OPEN_FILES_HINT = "raise the limit of open files: ulimit -n 1024"


def storage_error(error: OSError, action: str) -> StorageError:
    """Make the one-line error of an OSError met while doing `action` (a phrase such as "write /x")."""
    hint = {
        errno.ENOSPC: "free space on that disk, or move the store with --root",
        errno.EDQUOT: "your disk quota is used up; free space, or move the store with --root",
        errno.EROFS: "the file system is read-only; choose another place with --root",
        errno.EACCES: "check its owner and mode, or choose another place with --root",
        errno.EMFILE: OPEN_FILES_HINT,
    }.get(error.errno or 0, "")
    return StorageError(f"{action}: {os.strerror(error.errno or 0)}", hint)


def output_error(error: OSError, name: str) -> StorageError:
    """Make the one-line error of an OSError met while writing `name`, a file or stream that our user chose."""
    full = (errno.ENOSPC, errno.EDQUOT)
    hint = "free space there, or send the output elsewhere" if error.errno in full else "send the output elsewhere"
    return StorageError(f"write {name}: {os.strerror(error.errno or 0)}", hint)


def fsync_directory(path: str) -> None:
    """Flush the entries of directory `path` to disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: str, data: bytes, mode: int = 0o644, *, durable: bool = True) -> None:
    """Put `data` at `path`; a reader sees the old content or all of the new, never a part.

    With `durable` the content and the name survive a power cut once this returns. Raises StorageError.
    """
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
        if durable:
            fsync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise storage_error(error, f"write {path}") from error


def json_bytes(value: object) -> bytes:
    """`value` as compact JSON in UTF-8, the same bytes each time.

    A path or an argument that is no UTF-8 has surrogates in it: their escapes are JSON too. We read them back as they were,
    programs in Go read U+FFFD.
    """
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def write_json(path: str, value: object, mode: int = 0o644, *, durable: bool = True) -> None:
    """Put `value` at `path` as json_bytes has it, as write_file does. Raises StorageError."""
    write_file(path, json_bytes(value), mode, durable=durable)


def make_directory(path: str, mode: int = 0o700) -> None:
    """Make `path` and its parents; success means it exists as a directory. Raises StorageError."""
    try:
        os.makedirs(path, mode, exist_ok=True)
    except OSError as error:
        raise storage_error(error, f"make directory {path}") from error


class Lock:
    """An flock(2) on `path`, taken when the `with` block is entered (or by `acquire`).

    `shared` asks for LOCK_SH. With `wait` False, a lock that somebody holds raises ConflictError at once.
    The file is never removed, so that two processes cannot hold locks on two files of one name.
    """

    __slots__ = ("descriptor", "path", "shared", "wait")

    def __init__(self, path: str, *, shared: bool = False, wait: bool = True) -> None:
        self.path = path
        self.shared = shared
        self.wait = wait
        self.descriptor = -1

    def acquire(self) -> int:
        """Take the lock and return its descriptor, which holds it until closed. Raises ConflictError, StorageError."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise storage_error(error, f"open lock {self.path}") from error
        how = fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, how if self.wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConflictError(f"{self.path} is locked by another process") from None
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor = descriptor
        return descriptor

    def release(self) -> None:
        """Drop the lock; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> "Self":
        self.acquire()
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        self.release()
