"""Sizes in docker's words (go-units: RAMInBytes, FromHumanSize)."""

import pytest

from ocirun.oci.sizes import parse_size


@pytest.mark.parametrize(
    "text, size",
    [
        ("0", 0),
        ("10", 10),
        ("10b", 10),
        ("1k", 1024),
        ("1K", 1024),
        ("1kb", 1024),
        ("1KiB", 1024),
        ("1.5m", 1572864),
        ("2 g", 2 << 30),
    ],
)
def test_binary_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "invalid size: ''"),
        ("x", "invalid size: 'x'"),
        ("1x", "invalid suffix: 'x'"),
        ("1mx", "invalid suffix: 'mx'"),
        ("1bb", "invalid suffix: 'bb'"),
        ("-1", "invalid size: '-1'"),
        ("1..5m", 'strconv.ParseFloat: parsing "1..5": invalid syntax'),
    ],
)
def test_bad_sizes(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text, size", [("10b", 10), ("1k", 1000), ("1KiB", 1000), ("1.5m", 1_500_000), ("2 g", 2 * 10**9)]
)
def test_decimal_sizes(text: str, size: int) -> None:
    assert parse_size(text, 1000) == size
