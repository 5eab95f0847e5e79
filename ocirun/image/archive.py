"""Reading an archive of images: a directory, a tar in a file, or a tar that can be read only once, under one interface.

Members are found by name; nothing is ever written under a member's name.
"""

import os
import posixpath

from ocirun.errors import InvalidError, NotFoundError
from ocirun.files import storage_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator
    from typing import Protocol

    from ocirun.image.copy import Reader

    class Archive(Protocol):
        """Named files."""

        name: str

        def has(self, member: str) -> bool:
            """Whether there is such a file, or a link to one."""

        def first_of(self, members: tuple[str, ...]) -> str:
            """The first of `members` that there is, or ""; in a stream the first that comes."""

        def resolve(self, member: str) -> str:
            """The name of the file that `member` is or links to. Raises NotFoundError."""

        def open(self, member: str) -> Reader:
            """The file's bytes; those of a stream can be had once. Raises NotFoundError, InvalidError."""

        def read(self, member: str, limit: int) -> bytes:
            """A small file, again and again. Raises NotFoundError, InvalidError when it is longer than `limit` bytes."""

        def finish(self) -> None:
            """Nothing more is wanted: read the rest, so that whoever writes it can end. Raises InvalidError."""

        def close(self) -> None:
            """Close what is held open."""


MAXIMUM_MEMBERS = 100_000
_MAXIMUM_LINKS = 32
_CHUNK = 1 << 20


class FileSlice:
    """Part of an open file as a Reader, by pread, so that many can read one file. `spooled_path` names a whole staged file."""

    __slots__ = ("_descriptor", "_end", "_owned", "_position", "_what", "size", "spooled_path")

    def __init__(
        self, descriptor: int, offset: int, size: int, what: str, *, owned: bool = False, spooled_path: str = ""
    ) -> None:
        self._descriptor = descriptor
        self._position = offset
        self._end = offset + size
        self._owned = owned
        self._what = what
        self.size = size
        self.spooled_path = spooled_path

    def read(self, size: int, /) -> bytes:
        """At most `size` of the next bytes. Raises InvalidError when the file ends early, StorageError."""
        wanted = min(size, self._end - self._position)
        if wanted <= 0:
            return b""
        try:
            data = os.pread(self._descriptor, wanted, self._position)
        except OSError as error:
            raise storage_error(error, f"read {self._what}") from error
        if not data:
            raise InvalidError(f"{self._what} is cut off")
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the file if it is this slice's own."""
        if self._owned and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_all(reader: "Reader", limit: int, what: str) -> bytes:
    """All bytes of `reader`. Raises InvalidError when they are more than `limit`."""
    parts: list[bytes] = []
    left = limit + 1
    while left > 0:
        data = reader.read(min(left, _CHUNK))
        if not data:
            return b"".join(parts)
        parts.append(data)
        left -= len(data)
    raise InvalidError(f"{what} has more than the {limit} bytes allowed for a document")


def clean_name(name: str, what: str) -> str:
    """A member's name without ./ and the like. Raises InvalidError when it leads out of the archive."""
    if name.startswith("/") or ".." in name.split("/"):
        raise InvalidError(f"{what} has a member with the name {name[:200]!r}, which leads out of the archive")
    return posixpath.normpath(name)


class DirectoryArchive:
    """An OCI layout directory."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def has(self, member: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(f"{self.name}/{member}")

    def first_of(self, members: "tuple[str, ...]") -> str:
        """The first of `members` that there is, or ""."""
        return next((member for member in members if self.has(member)), "")

    def resolve(self, member: str) -> str:
        """The name itself. Raises NotFoundError."""
        if not self.has(member):
            raise NotFoundError(f"{self.name} has no file {member}")
        return member

    def open(self, member: str) -> FileSlice:
        """The file's bytes. Raises NotFoundError, StorageError."""
        path = f"{self.name}/{clean_name(member, self.name)}"
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise NotFoundError(f"{self.name} has no file {member}") from None
        except OSError as error:
            raise storage_error(error, f"read {path}") from error
        return FileSlice(descriptor, 0, os.fstat(descriptor).st_size, path, owned=True)

    def read(self, member: str, limit: int) -> bytes:
        """A small file. Raises NotFoundError, InvalidError, StorageError."""
        reader = self.open(member)
        try:
            return read_all(reader, limit, f"{member} of {self.name}")
        finally:
            reader.close()

    def finish(self) -> None:
        """There is nothing left to read."""

    def close(self) -> None:
        """Nothing is held open."""


class Links:
    """Which member is a link to which."""

    __slots__ = ("_links", "_what")

    def __init__(self, what: str) -> None:
        self._links: dict[str, str] = {}
        self._what = what

    def add(self, name: str, member: "tarfile.TarInfo") -> None:
        """Note a symlink, which is relative to its directory, or a hard link, which is not."""
        base = posixpath.dirname(name) if member.issym() else ""
        target = posixpath.normpath(posixpath.join(base, member.linkname))
        if target.startswith(("/", "../")) or target == "..":
            raise InvalidError(f"{self._what} has a link {name[:200]!r} that leads out of the archive")
        self._links[name] = target

    def follow(self, name: str) -> str:
        """The name at the end of the links that start at `name`."""
        for _ in range(_MAXIMUM_LINKS):
            if name not in self._links:
                return name
            name = self._links[name]
        raise InvalidError(f"{self._what} has links in a circle at {name[:200]!r}")


class TarArchive:
    """An uncompressed tar in a file that can be read at any place."""

    __slots__ = ("_descriptor", "_links", "_members", "name")

    def __init__(self, descriptor: int, name: str) -> None:
        """Take over `descriptor` and read the headers. Raises InvalidError when it is no tar or is cut off."""
        self.name = name
        self._descriptor = descriptor
        self._members: dict[str, tuple[int, int]] = {}
        self._links = Links(name)
        end = os.fstat(descriptor).st_size
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            for member_name, member, _ in headers(file, "r:", name):
                if not member.isreg():
                    self._links.add(member_name, member)
                elif member.offset_data + member.size > end:
                    raise InvalidError(f"{name} is cut off in its member {member_name}")
                else:
                    self._members[member_name] = (member.offset_data, member.size)

    def has(self, member: str) -> bool:
        """Whether there is such a file, or a link to one."""
        return self._links.follow(member) in self._members

    def first_of(self, members: "tuple[str, ...]") -> str:
        """The first of `members` that there is, or ""."""
        return next((member for member in members if self.has(member)), "")

    def resolve(self, member: str) -> str:
        """The name of the file that `member` is or links to. Raises NotFoundError."""
        name = self._links.follow(posixpath.normpath(member))
        if name not in self._members:
            raise NotFoundError(f"{self.name} has no member {member[:200]}")
        return name

    def open(self, member: str) -> FileSlice:
        """The file's bytes. Raises NotFoundError."""
        offset, size = self._members[self.resolve(member)]
        return FileSlice(self._descriptor, offset, size, self.name)

    def read(self, member: str, limit: int) -> bytes:
        """A small file. Raises NotFoundError, InvalidError."""
        return read_all(self.open(member), limit, f"{member} of {self.name}")

    def finish(self) -> None:
        """All headers were read at the beginning."""

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def headers(file: "Reader", mode: str, what: str) -> "Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]":
    """The clean names and headers of regular files and links, in order, and the tar to read them from. Raises InvalidError."""
    import tarfile

    try:
        with tarfile.open(fileobj=file, mode=mode, bufsize=_CHUNK, errorlevel=1) as tar:  # type: ignore[call-overload]
            count = 0
            while (member := tar.next()) is not None:
                count += 1
                if count > MAXIMUM_MEMBERS:
                    raise InvalidError(f"{what} has more than {MAXIMUM_MEMBERS} members")
                if member.issparse():
                    raise InvalidError(f"{what} has a sparse member, which archives of images do not have")
                # tarfile remembers every header; a stream does not need them.
                tar.members = []
                if member.isreg() or member.issym() or member.islnk():
                    yield clean_name(member.name, what), member, tar
    except tarfile.ReadError as error:
        raise InvalidError(f"{what} is not a tar archive, or is cut off: {error}") from error
    except tarfile.TarError as error:
        raise InvalidError(f"{what} is damaged: {error}") from error
