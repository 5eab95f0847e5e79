"""Compressions by their first bytes, and streams that are damaged."""

import bz2
import gzip
import io
import lzma

import pytest
import pyzstd

from ocirun.errors import InvalidError
from ocirun.image.compression import SNIFF_LENGTH, Decompressed, sniff

DATA = b"some bytes that compress " * 10_000
PACKED = {
    "gzip": gzip.compress(DATA),
    "zstd": pyzstd.compress(DATA),
    "bzip2": bz2.compress(DATA),
    "xz": lzma.compress(DATA),
}


@pytest.mark.parametrize("name", sorted(PACKED))
def test_there_and_back(name: str) -> None:
    assert sniff(PACKED[name][:SNIFF_LENGTH]) == name
    stream = Decompressed(io.BytesIO(PACKED[name]), name, "it")
    parts = []
    while part := stream.read(1000):
        parts.append(part)
    assert b"".join(parts) == DATA
    stream.close()


@pytest.mark.parametrize("name", sorted(PACKED))
def test_cut_off(name: str) -> None:
    stream = Decompressed(io.BytesIO(PACKED[name][:-20]), name, "the archive")
    with pytest.raises(InvalidError, match=r"the archive is (cut off|no sound)"):
        list(iter(lambda: stream.read(1 << 20), b""))


@pytest.mark.parametrize("start", [b"", b"\x1f", b"PK\x03\x04", bytes(512), b"oci-layout"])
def test_no_compression(start: bytes) -> None:
    assert sniff(start) == ""
