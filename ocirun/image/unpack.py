"""Unpacking one layer in one pass over its bytes, by threads and a task of the C core.

    read, hash, copy to the sink | decompress | hash, write to a pipe | extract (cext/untar.c)

Each part works on pieces of a few hundred KiB and outside the interpreter's lock most of the time, so two processors are
kept busy. Nothing is believed: digest and size of the compressed bytes and the diff id of the uncompressed ones are known
only at the end, so what was extracted counts only when unpack_layer returns.
"""

import errno
import fcntl
import os

from ocirun.errors import DigestMismatchError, InvalidError, OcirunError, StepError
from ocirun.files import storage_error
from ocirun.image.decompress import PIECE, decompress
from ocirun.image.limits import HINT, Limits
from ocirun.oci.digest import Digest
from ocirun.oci.media_types import layer_compression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from hashlib import _Hash
    from queue import Queue
    from typing import Protocol

    from ocirun.image.copy import Reader

    class Sink(Protocol):
        """Takes the compressed bytes as they are."""

        def write(self, data: bytes, /) -> int:
            """Take all of `data`. Raises OSError."""

    # (tar to read, directory to unpack into, directories of the layers below, top first) -> (files, bytes)
    Extract = Callable[[int, str, list[str]], tuple[int, int]]

# Pieces that may wait between two threads.
_PIECES_AHEAD = 4
_PIPE_BYTES = 1 << 20

# What the extractor says about a bad archive rather than about this machine.
_ARCHIVE_ERRORS = frozenset((errno.EINVAL, errno.E2BIG, errno.ENAMETOOLONG, errno.EFBIG, errno.ENOTDIR, errno.ELOOP))
_DISK_ERRORS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))


class UnpackedLayer:
    """What a layer turned out to be: digest and size in bytes as compressed, diff id as uncompressed.

    `files` and `unpacked_size` (the sum of its files' sizes, in bytes) are 0 when nothing was extracted.
    """

    __slots__ = ("diff_id", "digest", "files", "size", "unpacked_size")

    def __init__(self, digest: Digest, size: int, diff_id: Digest, files: int, unpacked_size: int) -> None:
        self.digest = digest
        self.size = size
        self.diff_id = diff_id
        self.files = files
        self.unpacked_size = unpacked_size


def unpack_layer(
    stream: "Reader",
    sink: "Sink | None",
    *,
    media_type: str,
    digest: "str | None" = None,
    size: "int | None" = None,
    diff_id: "str | None" = None,
    target: str,
    lowers: "list[str]",
    extract: "Extract | None",
    limits: "Limits | None" = None,
) -> UnpackedLayer:
    """Unpack the layer that `stream` gives into the empty directory `target`; success means that all of it was verified.

    `digest`, `size` (bytes) and `diff_id` are verified as far as they are given; `sink` gets the compressed bytes. Without
    `extract` the layer is only verified. `lowers` are the directories of the layers below, top first. After an error
    `target` holds garbage. Raises DigestMismatchError, InvalidError, StorageError, StepError.
    """
    what = f"layer {digest or diff_id}" if digest or diff_id else "the layer"
    compression = layer_compression(media_type)
    if compression is None:
        raise InvalidError(f"{what} has the unknown media type {media_type!r}")
    source = _Source(stream, sink, digest, size, what)
    ahead = _Ahead(source.pieces())
    plain = _Ahead(decompress(ahead, compression, what)) if compression else ahead
    try:
        end = _End(source, diff_id, limits or Limits())
        files, unpacked_size = end.extract(plain, extract, target, lowers) if extract else end.only_hash(plain)
    except Exception as error:
        plain.close()
        ahead.close()
        if isinstance(error, InvalidError) and not isinstance(error, DigestMismatchError):
            # Altered bytes make all kinds of errors; that they are altered is what one wants to know.
            source.finish()
        raise
    except BaseException:
        # Ctrl-C: not to be held up by a stream that gives nothing. The threads end with the next piece, or with us.
        plain.stop()
        ahead.stop()
        raise
    source.finish()
    return UnpackedLayer(source.actual, source.size, end.check_diff_id(), files, unpacked_size)


class _Source:
    """The compressed bytes: read, hashed, copied to the sink."""

    def __init__(
        self, stream: "Reader", sink: "Sink | None", digest: "str | None", size: "int | None", what: str
    ) -> None:
        import hashlib

        self.size = 0
        self.what = what
        self._stream = stream
        self._sink = sink
        self._digest = Digest(digest) if digest else None
        self._expected_size = size
        self._algorithm = self._digest.algorithm if self._digest else "sha256"
        self._hash = hashlib.new(self._algorithm)
        self._ended = False

    def pieces(self) -> "Iterator[bytes]":
        """The bytes, piece by piece, once. Raises DigestMismatchError when they are more than expected, StorageError."""
        while not self._ended:
            piece = self._stream.read(PIECE)
            if not piece:
                self._ended = True
                return
            self.size += len(piece)
            if self._expected_size is not None and self.size > self._expected_size:
                raise DigestMismatchError(f"{self.what} is longer than the {self._expected_size} bytes it should have")
            self._hash.update(piece)
            if self._sink is not None:
                try:
                    self._sink.write(piece)
                except OSError as error:
                    raise storage_error(error, f"store {self.what}") from error
            yield piece

    def finish(self) -> None:
        """Read what is left and check digest and size. Raises DigestMismatchError, StorageError."""
        if self._digest is None and not self._ended:
            return
        for _ in self.pieces():
            pass
        if self._expected_size not in (None, self.size):
            raise DigestMismatchError(f"{self.what} has {self.size} bytes instead of {self._expected_size}")
        if self._digest not in (None, self.actual):
            raise DigestMismatchError(f"{self.what} is altered: its bytes have the digest {self.actual}")

    @property
    def actual(self) -> Digest:
        """The digest of the bytes so far."""
        return Digest(f"{self._algorithm}:{self._hash.hexdigest()}")


class _Ahead:
    """Iterates over `pieces` in a thread of its own, some pieces ahead of whoever iterates over it; errors come through."""

    def __init__(self, pieces: "Iterable[bytes]") -> None:
        import queue
        import threading

        self._pieces = pieces
        self._empty = queue.Empty
        self._queue: Queue[bytes | BaseException | None] = queue.Queue(_PIECES_AHEAD)
        self._stopped = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="layer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        end: BaseException | None = None
        try:
            for piece in self._pieces:
                if self._stopped:
                    break
                self._queue.put(piece)
        except BaseException as error:  # noqa: BLE001 (handed to the other thread)
            end = error
        self._queue.put(end)

    def __iter__(self) -> "Iterator[bytes]":
        while not self._ended:
            piece = self._queue.get()
            if isinstance(piece, bytes):
                yield piece
                continue
            self._ended = True
            if piece is not None:
                raise piece

    def stop(self) -> None:
        """Let the thread end as soon as it has its next piece; what it has put aside is dropped."""
        self._stopped = True
        try:
            while not self._ended:
                self._ended = not isinstance(self._queue.get_nowait(), bytes)
        except self._empty:
            pass

    def close(self) -> None:
        """Stop the thread and wait for its end; an error of it that was not seen yet is dropped."""
        self.stop()
        while not self._ended:
            self._ended = not isinstance(self._queue.get(), bytes)
        self._thread.join()


class _End:
    """The uncompressed bytes: counted, hashed, and given to the extractor."""

    def __init__(self, source: _Source, diff_id: "str | None", limits: Limits) -> None:
        import hashlib

        self._source = source
        self._limits = limits
        self._diff_id = Digest(diff_id) if diff_id else None
        self._algorithm = self._diff_id.algorithm if self._diff_id else "sha256"
        self._hash: _Hash = hashlib.new(self._algorithm)
        self._size = 0

    def _take(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._size += len(piece)
        self._limits.check(self._size, self._source.size, self._source.what)

    def only_hash(self, pieces: "Iterable[bytes]") -> "tuple[int, int]":
        """Take all pieces and extract nothing."""
        for piece in pieces:
            self._take(piece)
        return 0, 0

    def extract(
        self, pieces: "Iterable[bytes]", extract: "Extract", target: str, lowers: "list[str]"
    ) -> "tuple[int, int]":
        """Take all pieces and let them be extracted; returns the numbers of files and of their bytes."""
        task = _Extraction(extract, target, lowers)
        try:
            for piece in pieces:
                self._take(piece)
                if not task.write(piece):
                    break
        except BaseException:
            task.abandon()
            raise
        return task.finish(self._source.what)

    def check_diff_id(self) -> Digest:
        """The diff id of what has passed. Raises DigestMismatchError when it is not the expected one."""
        actual = Digest(f"{self._algorithm}:{self._hash.hexdigest()}")
        if self._diff_id not in (None, actual):
            what = self._source.what
            raise DigestMismatchError(
                f"{what} unpacks to other bytes than its image says: {actual}, not {self._diff_id}"
            )
        return actual


class _Extraction:
    """The extractor, running in a thread with the other end of our pipe."""

    def __init__(self, extract: "Extract", target: str, lowers: "list[str]") -> None:
        import threading

        self._arguments = (extract, target, lowers)
        self._counts = (0, 0)
        self._error: BaseException | None = None
        self._input, self._output = os.pipe2(os.O_CLOEXEC)
        try:
            fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            # The user has used up his share of large pipes; it works with a small one.
            pass
        self._thread = threading.Thread(target=self._run, name="extract", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        extract, target, lowers = self._arguments
        try:
            self._counts = extract(self._input, target, lowers)
        except BaseException as error:  # noqa: BLE001 (handed to the other thread)
            self._error = error
        finally:
            os.close(self._input)

    def write(self, piece: bytes) -> bool:
        """Give it the next bytes; False when it has ended already, which `finish` explains."""
        view = memoryview(piece)
        try:
            while view:
                view = view[os.write(self._output, view) :]
        except BrokenPipeError:
            return False
        return True

    def abandon(self) -> None:
        """Wait for its end, whatever it is; it sees a cut-off archive."""
        os.close(self._output)
        self._thread.join()

    def finish(self, what: str) -> "tuple[int, int]":
        """No more bytes come: wait for its end and return what it counted. Raises InvalidError, StorageError, StepError."""
        self.abandon()
        if isinstance(self._error, StepError):
            raise _explain(self._error, what) from self._error
        if self._error is not None:
            raise self._error
        return self._counts


def _explain(error: StepError, what: str) -> OcirunError:
    """A failed step of the extractor in the words of who unpacks a layer."""
    where = f" ({error.path})" if error.path else ""
    if error.errno == errno.EBADMSG:
        return InvalidError(f"{what} is no sound tar archive{where}")
    if error.errno in _ARCHIVE_ERRORS or (error.errno == errno.ENOENT and ": " in error.path):
        # E2BIG is the C core's limit of entries.
        hint = HINT if error.errno == errno.E2BIG else ""
        return InvalidError(f"{what} cannot be unpacked: {os.strerror(error.errno)}{where}", hint)
    if error.errno in _DISK_ERRORS:
        return storage_error(OSError(error.errno, ""), f"unpack {what}{where}")
    return error
