"""An archive that can be read only once: from a pipe, or behind a compression."""

import os
import posixpath

from ocirun.errors import InvalidError, NotFoundError
from ocirun.files import storage_error
from ocirun.image.archive import FileSlice, Links, headers, read_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader

    from ocirun.image.copy import Reader

_CHUNK = 1 << 20


class _StreamReader:
    """The member at which a stream stands, as a Reader."""

    __slots__ = ("_file", "_left", "_what")

    def __init__(self, file: "Reader", size: int, what: str) -> None:
        self._file = file
        self._left = size
        self._what = what

    def read(self, size: int, /) -> bytes:
        """At most `size` of the next bytes. Raises InvalidError when the stream is cut off."""
        wanted = min(size, self._left)
        if wanted <= 0:
            return b""
        data = _read(lambda: self._file.read(wanted), self._what)
        if not data:
            raise InvalidError(f"{self._what} is cut off")
        self._left -= len(data)
        return data

    def close(self) -> None:
        """The stream goes on behind the member by itself."""


class StreamArchive:
    """A tar that is read once, in order. What is not wanted yet is spooled as files in `directory`."""

    __slots__ = ("_count", "_directory", "_links", "_spooled", "_stream", "_tar", "name")

    def __init__(self, stream: "Reader", directory: str, name: str) -> None:
        """Take the (decompressed) stream, which stays the caller's to close."""
        self.name = name
        self._directory = directory
        self._spooled: dict[str, str] = {}
        self._links = Links(name)
        self._count = 0
        self._stream = stream
        self._tar = headers(stream, "r|", name)

    def has(self, member: str) -> bool:
        """Whether there is such a file, or a link to one; the stream is spooled as far as it takes to know."""
        return self._find((member,)) != ""

    def first_of(self, members: "tuple[str, ...]") -> str:
        """Whichever of `members` comes first, or ""."""
        return self._find(members)

    def resolve(self, member: str) -> str:
        """The name of the file that `member` is or links to. Raises NotFoundError."""
        if not self.has(posixpath.normpath(member)):
            raise NotFoundError(f"{self.name} has no member {member[:200]}")
        return self._links.follow(posixpath.normpath(member))

    def open(self, member: str) -> "Reader":
        """The file's bytes: from where they were spooled, or as they come in, and then only once.

        Raises NotFoundError, InvalidError, StorageError.
        """
        wanted = posixpath.normpath(member)
        while (path := self._spooled.get(self._links.follow(wanted))) is None:
            name, file, size = self._next()
            if not name:
                raise NotFoundError(f"{self.name} has no member {member[:200]}")
            if file is not None and name == self._links.follow(wanted):
                return _StreamReader(file, size, self.name)
            self._spool(name, file)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        size = os.fstat(descriptor).st_size
        return FileSlice(descriptor, 0, size, self.name, owned=True, spooled_path=path)

    def read(self, member: str, limit: int) -> bytes:
        """A small file. Raises NotFoundError, InvalidError, StorageError."""
        self.resolve(member)
        reader = self.open(member)
        try:
            return read_all(reader, limit, f"{member} of {self.name}")
        finally:
            reader.close()

    def finish(self) -> None:
        """Read to the end: a writer that is cut off would fail, and a damaged rest is to be noticed. Raises InvalidError."""
        while self._next()[0]:
            pass
        while _read(lambda: self._stream.read(_CHUNK), self.name):
            pass

    def close(self) -> None:
        """The spooled files go with the directory."""

    def _find(self, members: "tuple[str, ...]") -> str:
        while True:
            for member in members:
                if self._links.follow(member) in self._spooled:
                    return member
            name, file, _ = self._next()
            if not name:
                return ""
            self._spool(name, file)

    def _next(self) -> "tuple[str, Reader | None, int]":
        """The next member: its name, its bytes unless it is a link, its size; ("", None, 0) at the end."""
        for name, member, tar in self._tar:
            if not member.isreg():
                self._links.add(name, member)
                return name, None, 0
            return name, tar.extractfile(member), member.size
        return "", None, 0

    def _spool(self, name: str, file: "Reader | None") -> None:
        if file is None:
            return
        self._count += 1
        path = f"{self._directory}/spooled-{self._count}"
        try:
            with open(path, "xb", buffering=0) as spool:
                while data := _read(lambda: file.read(_CHUNK), self.name):
                    view = memoryview(data)
                    while view:
                        view = view[spool.write(view) :]
        except OSError as error:
            raise storage_error(error, f"write {path}") from error
        self._spooled[name] = path


def _read(read: "Callable[[], bytes]", what: str) -> bytes:
    import tarfile

    try:
        return read()
    except tarfile.TarError as error:
        raise InvalidError(f"{what} is cut off or damaged: {error}") from error


def open_stream(stream: "BufferedReader", directory: str, name: str) -> StreamArchive:
    """The archive that comes in on `stream` (buffered), compressed or not; `directory` takes what must wait."""
    from ocirun.image.compression import SNIFF_LENGTH, Decompressed, sniff

    compression = sniff(stream.peek(SNIFF_LENGTH)[:SNIFF_LENGTH])
    return StreamArchive(Decompressed(stream, compression, name) if compression else stream, directory, name)
