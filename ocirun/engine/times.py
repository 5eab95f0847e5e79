"""Moments in the words that docker takes and prints (RFC 3339, Go durations, seconds since 1970)."""

from ocirun.engine.records import format_time
from ocirun.errors import UsageError


def now_text() -> str:
    """This moment as RFC 3339 in UTC with nine digits."""
    import time

    return format_time(time.time_ns())


def parse_moment(text: str) -> int:
    """Nanoseconds since 1970 of a moment: RFC 3339 (date alone too), seconds since 1970, or a duration back from now ("10m").

    Raises UsageError.
    """
    from ocirun.oci.durations import parse_duration

    seconds, dot, fraction = text.partition(".")
    if seconds.removeprefix("-").isdecimal() and (not dot or fraction.isdecimal()):
        return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9])
    try:
        duration = parse_duration(text)
    except ValueError:
        pass
    else:
        import time

        return time.time_ns() - duration
    moment = _parse_rfc3339(text)
    if moment is None:
        raise UsageError(
            f'"{text}" is not a point in time',
            "give 2026-11-24T10:00:00Z, seconds since 1970, or 10m for ten minutes ago",
        )
    return moment


def _parse_rfc3339(text: str) -> "int | None":
    import calendar
    import re
    import time

    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?",
        text.strip(),
        re.ASCII,
    )
    if found is None:
        return None
    date, minutes, second, fraction, zone = found.groups()
    try:
        fields = time.strptime(f"{date} {minutes or '00:00'}:{second or '00'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    # As docker: without a zone it is the local time.
    seconds = int(time.mktime(fields)) if zone is None else calendar.timegm(fields) - _offset(zone)
    return seconds * 10**9 + int(((fraction or "") + "0" * 9)[:9])


def _offset(zone: str) -> int:
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
