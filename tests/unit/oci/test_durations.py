"""Durations as Go writes them."""

import pytest

from ocirun.oci.durations import parse_duration


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0),
        ("1s", 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("300ms", 3 * 10**8),
        ("2us", 2000),
        ("2\u00b5s", 2000),
        ("2\u03bcs", 2000),
        ("7ns", 7),
        (".5s", 5 * 10**8),
        ("-10s", -(10**10)),
        ("+1h", 3600 * 10**9),
        ("1h2m3s4ms", 3723004 * 10**6),
    ],
)
def test_duration(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "-", "+", "1", "s", "1x", "1s2", "1.2.3s", ".s", "1 s", "1sm", "x1s"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
    ],
)
def test_bad_duration(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert str(caught.value) == message
