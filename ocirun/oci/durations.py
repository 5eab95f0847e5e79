"""Durations as Go writes them: 1h30m, 1.5s, 300ms."""

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration as Go writes it (1h30m, 1.5s, -10ms, 0). Raises ValueError with Go's words."""
    failure = ValueError(f'time: invalid duration "{text}"')
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise failure
    total = 0.0
    while rest:
        length = 0
        while length < len(rest) and (rest[length].isdecimal() or rest[length] == "."):
            length += 1
        number, rest = rest[:length], rest[length:]
        length = 0
        while length < len(rest) and not (rest[length].isdecimal() or rest[length] == "."):
            length += 1
        unit, rest = rest[:length], rest[length:]
        try:
            amount = float(number)
        except ValueError:
            raise failure from None
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += amount * _UNITS[unit]
    return round(-total if text.startswith("-") else total)
