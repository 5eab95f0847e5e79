"""The bytes behind compressed layers and archives, in pieces of limited size however well they were compressed."""

from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Protocol

    class Decompressor(Protocol):
        """What all decompressors have in common."""

        @property
        def needs_input(self) -> bool:
            """Whether it can go on only with more data."""

        def decompress(self, data: bytes, max_length: int, /) -> bytes:
            """At most `max_length` bytes; what `data` gives beyond is kept for the next call."""


# Bytes that are handled at a time.
PIECE = 1 << 18


def decompress(pieces: "Iterable[bytes]", compression: str, what: str) -> "Iterator[bytes]":
    """The uncompressed bytes, in pieces of limited size however well they were compressed. Raises InvalidError.

    `compression` is "gzip", "zstd", "bzip2" or "xz".
    """
    if compression == "zstd":
        return _unzstd(pieces, what)
    begin, failures = _decompressor(compression)
    return _members(pieces, begin, failures, f"{what} is no sound {compression} file", f"{what} is cut off")


def _decompressor(compression: str) -> "tuple[Callable[[], Any], tuple[type[Exception], ...]]":
    """A function that makes a decompressor for one member of a file, and what it raises when the member is damaged."""
    if compression == "gzip":
        from isal import igzip_lib

        failures: Any = (igzip_lib.IsalError,)  # isal's stubs take the class for an instance
        return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), failures
    if compression == "bzip2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, ValueError)
    import lzma

    return lzma.LZMADecompressor, (lzma.LZMAError,)


def _members(
    pieces: "Iterable[bytes]",
    begin: "Callable[[], Any]",
    failures: "tuple[type[Exception], ...]",
    damaged: str,
    cut_off: str,
) -> "Iterator[bytes]":
    """All members of a file (RFC 1952 for gzip); zeros may follow the last one, as tape blocks leave them."""
    member, begun, members = begin(), False, 0
    for piece in pieces:
        rest = piece
        while rest := rest if begun or not members else rest.lstrip(b"\0"):
            begun = True
            # Not around the yield: what goes wrong with whoever takes the bytes is not the file's fault.
            outputs = _output(member, rest)
            while True:
                try:
                    output = next(outputs, b"")
                except failures as error:
                    raise InvalidError(f"{damaged}: {error}") from error
                if not output:
                    break
                yield output
            rest = b""
            if member.eof:
                rest = member.unused_data
                member, begun, members = begin(), False, members + 1
    if begun or not members:
        raise InvalidError(cut_off)


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
