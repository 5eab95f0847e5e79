"""The bytes behind compressed layers, in pieces of limited size however well they were compressed."""

from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Decompressor(Protocol):
        """What the decompressors of isal and pyzstd have in common."""

        @property
        def needs_input(self) -> bool:
            """Whether it can go on only with more data."""

        def decompress(self, data: bytes, max_length: int, /) -> bytes:
            """At most `max_length` bytes; what `data` gives beyond is kept for the next call."""


# Bytes that are handled at a time.
PIECE = 1 << 18


def decompress(pieces: "Iterable[bytes]", compression: str, what: str) -> "Iterator[bytes]":
    """The uncompressed bytes, in pieces of limited size however well they were compressed. Raises InvalidError."""
    return _gunzip(pieces, what) if compression == "gzip" else _unzstd(pieces, what)


def _gunzip(pieces: "Iterable[bytes]", what: str) -> "Iterator[bytes]":
    """All members of a gzip file (RFC 1952); zeros may follow the last one, as tape blocks leave them."""
    from isal import igzip_lib

    def begin() -> igzip_lib.IgzipDecompressor:
        return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)

    member, begun, members = begin(), False, 0
    for piece in pieces:
        rest = piece
        while rest := rest if begun or not members else rest.lstrip(b"\0"):
            begun = True
            try:
                yield from _output(member, rest)
            except igzip_lib.IsalError as error:  # type: ignore[misc] # isal's stubs take the class for an instance
                raise InvalidError(f"{what} is no sound gzip file: {error}") from error
            rest = b""
            if member.eof:
                rest = member.unused_data
                member, begun, members = begin(), False, members + 1
    if begun or not members:
        raise InvalidError(f"{what} is cut off")


def _unzstd(pieces: "Iterable[bytes]", what: str) -> "Iterator[bytes]":
    """All frames of a zstd file (RFC 8878)."""
    import pyzstd

    frames = pyzstd.EndlessZstdDecompressor()
    for piece in pieces:
        try:
            yield from _output(frames, piece)
        except pyzstd.ZstdError as error:
            raise InvalidError(f"{what} is no sound zstd file: {error}") from error
    if not frames.at_frame_edge:
        raise InvalidError(f"{what} is cut off")


def _output(decompressor: "Decompressor", data: bytes) -> "Iterator[bytes]":
    """What `data` gives, until the decompressor wants more or has come to its end."""
    while True:
        if piece := decompressor.decompress(data, PIECE):
            yield piece
        if decompressor.needs_input or getattr(decompressor, "eof", False):
            return
        data = b""
