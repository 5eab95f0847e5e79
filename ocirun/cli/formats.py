"""Sizes, durations and times: read and written as docker writes them."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
NEVER = "0001-01-01T00:00:00Z"


def human_size(size: float, digits: int = 3) -> str:
    """Bytes in units of 1000 with `digits` significant digits: 1.23MB."""
    return _scaled(size, 1000, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes in units of 1024 with four significant digits: 1.15GiB."""
    return _scaled(size, 1024, _BINARY, 4)


def _scaled(size: float, base: int, units: "tuple[str, ...]", digits: int) -> str:
    value, index = float(size), 0
    while value >= base and index < len(units) - 1:
        value /= base
        index += 1
    return f"{value:.{digits}g}{units[index]}"


def human_duration(seconds: float) -> str:
    """A span of time in words: "Less than a second", "About a minute", "2 hours"."""
    whole = int(seconds)
    minutes = int(seconds / 60)
    hours = int(seconds / 3600 + 0.5)
    for limit, text in (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 14, f"{hours // 24} days"),
        (hours < 24 * 60, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    ):
        if limit:
            return text
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(timestamp: str, now: "float | None" = None) -> str:
    """How long ago the RFC 3339 `timestamp` was: "3 seconds ago"; "" when it is unknown."""
    then = seconds_of(timestamp)
    if then is None:
        return ""
    return human_duration((time.time() if now is None else now) - then) + " ago"


def seconds_of(timestamp: str) -> "float | None":
    """Seconds since 1970 of an RFC 3339 time; None for docker's zero time and for what cannot be read."""
    if not timestamp or timestamp.startswith("0001-01-01"):
        return None
    import datetime as dt

    try:
        moment = dt.datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()


def local_time(timestamp: str) -> str:
    """An RFC 3339 time as Go prints one without fractions in the local zone: 2026-01-02 15:04:05 +0000 UTC."""
    seconds = seconds_of(timestamp)
    if seconds is None:
        return "0001-01-01 00:00:00 +0000 UTC"
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(int(seconds)))


def container_status(state: "Any", now: "float | None" = None) -> str:
    """The words of `ps` for a State of the engine: "Up 2 hours", "Exited (0) 3 seconds ago", "Created"."""
    if state.running:
        started = seconds_of(state.started_at)
        moment = time.time() if now is None else now
        return f"Up {human_duration(moment - started if started is not None else 0)}"
    if state.status == "dead":
        return "Dead"
    if seconds_of(state.started_at) is None:
        return "Created"
    return f"Exited ({state.exit_code}) {ago(state.finished_at, now)}".rstrip()


def shorten(text: str, length: int) -> str:
    """At most `length` characters of `text`; what was longer ends in an ellipsis."""
    if len(text) <= length:
        return text
    return text[:length] if length <= 1 else text[: length - 1] + "…"


def short_id(identifier: str) -> str:
    """The first twelve digits of an id, without its algorithm."""
    return identifier.partition(":")[2][:12] if ":" in identifier else identifier[:12]
