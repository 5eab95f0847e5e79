"""Sizes, durations and times as docker writes and reads them."""

import time

import pytest

from ocirun.cli import formats
from ocirun.engine.records import State


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (1_234_567, "1.23MB"),
        (99_999_999, "100MB"),
        (5_000_000_000, "5GB"),
        (123_456, "123kB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    assert formats.human_size(size) == text


def test_sizes_with_four_digits() -> None:
    assert formats.human_size(1_234_567, 4) == "1.235MB"
    assert formats.binary_size(1_234_567_890) == "1.15GiB"


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5399, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert formats.human_duration(seconds) == text


def test_status_words() -> None:
    now = formats.seconds_of("2026-01-02T03:04:05Z")
    assert now is not None
    running = State("running", document={"started_at": "2026-01-02T01:04:05.5Z", "pid": 3})
    assert formats.container_status(running, now) == "Up 2 hours"
    ended = {"started_at": "2026-01-02T01:04:05Z", "finished_at": "2026-01-02T03:04:02Z", "exit_code": 3}
    assert formats.container_status(State("exited", document=ended), now) == "Exited (3) 3 seconds ago"
    assert formats.container_status(State("created")) == "Created"
    assert formats.container_status(State("created", document={"exit_code": 127, "error": "x"})) == "Created"
    assert formats.container_status(State("dead")) == "Dead"


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert formats.local_time("2026-01-02T03:04:05.987654321Z") == "2026-01-02 03:04:05 +0000 UTC"
    assert formats.local_time("0001-01-01T00:00:00Z") == "0001-01-01 00:00:00 +0000 UTC"
    monkeypatch.undo()
    time.tzset()


def test_unknown_times_are_empty() -> None:
    assert formats.ago("") == ""
    assert formats.ago("0001-01-01T00:00:00Z") == ""
    assert formats.seconds_of("nonsense") is None


def test_shorten() -> None:
    assert formats.shorten("sleep 100 and a very long one", 20) == "sleep 100 and a ver…"
    assert formats.shorten("exactly twenty chars", 20) == "exactly twenty chars"
    assert formats.short_id("sha256:" + "ab" * 32) == "abababababab"
    assert formats.short_id("cd" * 32) == "cdcdcdcdcdcd"
