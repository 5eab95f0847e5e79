"""Text as Go prints it: quoted strings and JSON in the form of Go's encoder."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


def go_quote(text: str) -> str:
    """`text` as Go's strconv.Quote writes it; bytes that are no UTF-8 (surrogates here) become hexadecimal escapes."""
    return '"' + "".join(_quoted(character) for character in text) + '"'


def _quoted(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def go_json(value: "Any", *, indent: "int | str | None" = None, default: "Callable[[Any], Any] | None" = None) -> str:
    """`value` as JSON in one line (or indented), HTML characters as they are, U+2028 and U+2029 escaped as Go does."""
    import json

    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=default)
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    # Bytes that are no UTF-8 were decoded to surrogates; JSON has no word for them.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
