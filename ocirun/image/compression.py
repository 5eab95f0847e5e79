"""Which compression a file has, by its first bytes, and reading through it."""

from ocirun.image.decompress import PIECE, decompress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

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

    __slots__ = ("_pieces", "_rest")

    def __init__(self, stream: "BinaryIO", compression: str, what: str) -> None:
        self._pieces = decompress(iter(lambda: stream.read(PIECE), b""), compression, what)
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, b"" at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Nothing is held open; the stream below is its owner's to close."""
