"""The grammar of --detach-keys, and finding the keys in what is typed."""

import pytest

from ocirun.engine.detach_keys import DetachFilter, parse_detach_keys
from ocirun.errors import UsageError


@pytest.mark.parametrize(
    "text,keys",
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a,a", b"\x01a"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("a", b"a"),
        ("a,A,1,~", b"aA1~"),
        ("DEL", b"\x7f"),
        ("ctrl-z", b"\x1a"),
    ],
)
def test_keys(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ctrl-1", "ctrl-ab", "abc", "a,,b", ",", "é", "ctrl-p,", "alt-x"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(UsageError, match="invalid detach keys"):
        parse_detach_keys(text)


@pytest.mark.parametrize(
    "chunks,sent,found",
    [
        ([b"\x10\x11"], b"", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"ls\r", b"\x10", b"\x11", b"more"], b"ls\r", True),
        ([b"ab\x10\x11cd"], b"ab", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10"], b"", False),
        ([b"\x10", b"\x10", b"\x11"], b"\x10", True),
        ([b"\x10\x10\x10\x11"], b"\x10\x10", True),
        ([b"\x11\x10", b"a\x11"], b"\x11\x10a\x11", False),
        ([b"", b"plain"], b"plain", False),
    ],
)
def test_filter(chunks: list[bytes], sent: bytes, *, found: bool) -> None:
    detach = DetachFilter(b"\x10\x11")
    collected = b""
    for chunk in chunks:
        data, is_detached = detach.feed(chunk)
        collected += data
        if is_detached:
            break
    assert (collected, is_detached) == (sent, found)


def test_filter_of_a_sequence_that_repeats_itself() -> None:
    detach = DetachFilter(b"aab")
    assert detach.feed(b"a") == (b"", False)
    assert detach.feed(b"a") == (b"", False)
    assert detach.feed(b"a") == (b"a", False)
    assert detach.feed(b"b") == (b"", True)


def test_filter_of_one_key() -> None:
    detach = DetachFilter(b"q")
    assert detach.feed(b"abc") == (b"abc", False)
    assert detach.feed(b"aqc") == (b"a", True)
