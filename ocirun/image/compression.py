"""Which compression a file has, by its first bytes, and reading through it."""

from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

# As many bytes as `sniff` wants to see.
SNIFF_LENGTH = 6

_MAGICS = {
    "gzip": (b"\x1f\x8b\x08",),
    # A frame, or one of the sixteen kinds of skippable frame that may come first.
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + kind, 0x2A, 0x4D, 0x18)) for kind in range(16))),
    "bzip2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
}


def sniff(start: bytes) -> str:
    """The compression of a file that starts with these bytes: "gzip", "zstd", "bzip2", "xz", or "" for none of them."""
    for name, magics in _MAGICS.items():
        if start.startswith(magics):
            return name
    return ""


class Decompressed:
    """The bytes behind a compressed stream; read() raises InvalidError when the stream is damaged or cut off."""

    __slots__ = ("_file", "_what")

    def __init__(self, stream: "BinaryIO", compression: str, what: str) -> None:
        self._file = _open(stream, compression)
        self._what = what

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end."""
        try:
            data: bytes = self._file.read(size)
        except InvalidError:
            raise
        except Exception as error:
            # Each decompressor has its own exceptions, some of them OSError without an errno; a real one has an errno.
            if isinstance(error, OSError) and error.errno:
                raise
            raise InvalidError(f"{self._what} is damaged: {error}") from error
        return data

    def close(self) -> None:
        """Give up the decompressor; the stream below stays open."""
        self._file.close()


def _open(stream: "BinaryIO", compression: str) -> "Any":
    if compression == "gzip":
        from isal import igzip

        return igzip.IGzipFile(fileobj=stream, mode="rb")  # type: ignore[no-untyped-call] # a compiled module
    if compression == "zstd":
        import pyzstd

        return pyzstd.ZstdFile(stream, "rb")
    if compression == "bzip2":
        import bz2

        return bz2.BZ2File(stream)
    import lzma

    return lzma.LZMAFile(stream)
