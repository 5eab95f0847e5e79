"""Signals in docker's words: "SIGTERM", "term", "15", "RTMIN+3"."""

from ocirun.errors import UsageError


def parse_signal(text: str) -> int:
    """The number of the signal named `text`. Raises UsageError with docker's words."""
    import signal

    word = text.upper().removeprefix("SIG")
    number = int(word) if word.isascii() and word.isdigit() else _realtime(word) or _named(signal, word)
    if not 0 < number < 65:
        raise UsageError(f"invalid signal: {text}", "give a name such as SIGTERM or a number from 1 to 64")
    return number


def _named(signal: "object", word: str) -> int:
    aliases = {"CLD": "CHLD", "POLL": "IO", "IOT": "ABRT"}
    value = getattr(signal, f"SIG{aliases.get(word, word)}", 0)
    return int(value) if word.isalnum() and isinstance(value, int) else 0


def _realtime(word: str) -> int:
    # The kernel's 32 and 33 belong to the C library; docker counts from 34 to 64 as the C library does.
    if word == "RTMIN":
        return 34
    if word == "RTMAX":
        return 64
    if word.startswith("RTMIN+") and word[6:].isdigit():
        return 34 + int(word[6:])
    if word.startswith("RTMAX-") and word[6:].isdigit():
        return 64 - int(word[6:])
    return 0
