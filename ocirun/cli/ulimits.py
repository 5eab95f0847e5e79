"""The grammar of --ulimit."""

_NAMES = frozenset(
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)


def check_ulimit(text: str) -> str:
    """One --ulimit, NAME=SOFT[:HARD], -1 for no limit, as it was given. Raises ValueError in docker's words."""
    from ocirun.cli.options import quote

    name, equals, limits = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _NAMES:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = limits.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    values = []
    for part in parts:
        digits = part[1:] if part[:1] in ("-", "+") else part
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"strconv.ParseInt: parsing {quote(part)}: invalid syntax")
        values.append(int(part))
    soft, hard = values[0], values[-1]
    if hard != -1 and (soft == -1 or soft > hard):
        shown = f"soft: -1 (unlimited), hard: {hard}" if soft == -1 else f"{soft} > {hard}"
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {shown}")
    return text
