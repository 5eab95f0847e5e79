"""Go's fmt.Sprintf, for the values that templates have."""

from ocirun.cli.go_text import go_quote
from ocirun.cli.go_values import Nil, show, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FLAGS = frozenset("-+# 0")
# Go takes no wider field either.
_WIDEST = 1_000_000


class _Verb:
    """One % sequence: its flags, width, precision (None: not given) and letter."""

    __slots__ = ("flags", "letter", "precision", "width")

    def __init__(self) -> None:
        self.flags = ""
        self.width = 0
        self.precision: int | None = None
        self.letter = ""


class _Printer:
    """Works through one layout."""

    __slots__ = ("index", "layout", "used", "values")

    def __init__(self, layout: str, values: "tuple[Any, ...]") -> None:
        self.layout = layout
        self.values = values
        self.index = 0
        self.used = 0

    def number(self) -> "int | None":
        """Digits or * at this place: a width or precision."""
        if self.layout[self.index : self.index + 1] == "*":
            self.index += 1
            value = self.values[self.used] if self.used < len(self.values) else None
            self.used += 1
            return value if isinstance(value, int) else None
        start = self.index
        while self.layout[self.index : self.index + 1].isdigit():
            self.index += 1
        return int(self.layout[start : self.index]) if self.index > start else None

    def verb(self) -> _Verb:
        """The sequence after a %."""
        verb = _Verb()
        while self.layout[self.index : self.index + 1] in _FLAGS and self.index < len(self.layout):
            verb.flags += self.layout[self.index]
            self.index += 1
        width = self.number()
        if width is not None and width < 0:
            verb.flags += "-"
        verb.width = min(abs(width or 0), _WIDEST)
        if self.layout[self.index : self.index + 1] == ".":
            self.index += 1
            verb.precision = min(max(self.number() or 0, 0), _WIDEST)
        verb.letter = self.layout[self.index : self.index + 1]
        self.index += 1
        return verb

    def run(self) -> str:
        """The text."""
        parts: list[str] = []
        while True:
            start = self.layout.find("%", self.index)
            if start < 0:
                parts.append(self.layout[self.index :])
                break
            parts.append(self.layout[self.index : start])
            self.index = start + 1
            verb = self.verb()
            if verb.letter == "":
                parts.append("%!(NOVERB)")
            elif verb.letter == "%":
                parts.append("%")
            elif self.used >= len(self.values):
                parts.append(f"%!{verb.letter}(MISSING)")
            else:
                parts.append(_pad(_formatted(verb, self.values[self.used]), verb))
                self.used += 1
        if self.used < len(self.values):
            extra = ", ".join(f"{type_name(value)}={show(value)}" for value in self.values[self.used :])
            parts.append(f"%!(EXTRA {extra})")
        return "".join(parts)


def printf(layout: str, values: "tuple[Any, ...]") -> str:
    """`layout` with its % sequences replaced by `values`; what does not fit is marked in the text, as Go does."""
    return _Printer(layout, values).run()


def _pad(text: str, verb: _Verb) -> str:
    if len(text) >= verb.width:
        return text
    if "-" in verb.flags:
        return text.ljust(verb.width)
    if "0" in verb.flags and verb.letter != "T":
        sign = text[0] if text[:1] in ("-", "+") and verb.letter not in "sqv" else ""
        return sign + text[len(sign) :].rjust(verb.width - len(sign), "0")
    return text.rjust(verb.width)


def _formatted(verb: _Verb, value: "Any") -> str:
    letter = verb.letter
    if letter == "T":
        return type_name(value)
    if letter == "v":
        return _go_syntax(value) if "#" in verb.flags else _signed(show(value), verb, value)
    if isinstance(value, list | tuple) and letter in "sqdxXfgt":
        return "[" + " ".join(_formatted(verb, item) for item in value) + "]"
    if isinstance(value, str):
        text = _text(verb, value)
    elif isinstance(value, bool):
        text = show(value) if letter == "t" else None
    elif isinstance(value, int):
        text = _integer(verb, value)
    elif isinstance(value, float):
        text = _float(verb, value)
    else:
        text = show(value) if letter == "s" and not isinstance(value, Nil) else None
    if text is None:
        if isinstance(value, Nil):
            return f"%!{letter}(<nil>)" if value.kind in ("nil", "no value") else value.text
        return f"%!{letter}({type_name(value)}={show(value)})"
    return text


def _go_syntax(value: "Any") -> str:
    if isinstance(value, str):
        return go_quote(value)
    return show(value)


def _signed(text: str, verb: _Verb, value: "Any") -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and not text.startswith(("-", "+")):
        if "+" in verb.flags:
            return f"+{text}"
        if " " in verb.flags:
            return f" {text}"
    return text


def _text(verb: _Verb, value: str) -> "str | None":
    if verb.precision is not None and verb.letter in "sq":
        value = value[: verb.precision]
    if verb.letter == "s":
        return value
    if verb.letter == "q":
        return f"`{value}`" if "#" in verb.flags and "`" not in value else go_quote(value)
    if verb.letter in "xX":
        digits = value.encode("utf-8", "surrogateescape").hex(*(" " if " " in verb.flags else ""))
        return digits.upper() if verb.letter == "X" else digits
    return None


def _integer(verb: _Verb, value: int) -> "str | None":
    letter = verb.letter
    if letter in "dboxX":
        text = format(abs(value), letter)
        if verb.precision is not None:
            text = text.rjust(verb.precision, "0")
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(letter, "") if "#" in verb.flags else ""
        return ("-" if value < 0 else "") + prefix + text if value < 0 else _signed(prefix + text, verb, value)
    try:
        if letter == "c":
            return chr(value)
        if letter == "q":
            return "'" + go_quote(chr(value))[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        if letter == "U":
            return f"U+{value:04X}"
    except (ValueError, OverflowError):
        return "\ufffd"
    return None


def _float(verb: _Verb, value: float) -> "str | None":
    letter = verb.letter
    if letter not in "eEfFgG":
        return None
    if verb.precision is None and letter in "gG":
        text = show(value)
    else:
        text = format(value, f".{6 if verb.precision is None else verb.precision}{letter}")
    return _signed(text, verb, value)
