"""The functions of templates: Go's own, and those that docker adds (json split join title lower upper pad truncate)."""

from ocirun.cli.go_text import go_json
from ocirun.cli.go_values import NO_VALUE, GoMap, Nil, plain, show, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class CallError(Exception):
    """A function was given what it cannot use; the message is Go's."""


def _json(value: "Any") -> str:
    return go_json(value if not isinstance(value, Nil) else None, default=plain)


def _index(value: "Any", *keys: "Any") -> "Any":
    for key in keys:
        if isinstance(value, Nil) and value.kind in ("nil", "pointer", "no value"):
            raise CallError("index of untyped nil")
        if isinstance(value, GoMap) or (isinstance(value, dict) and isinstance(key, str)):
            value = value.get(key, "") if not _holds_values(value) else value.get(key, NO_VALUE)
        elif isinstance(value, Nil) and value.kind == "map":
            value = ""
        elif isinstance(value, list | str | Nil):
            value = _element(value, key)
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    return value


def _holds_values(value: "dict[str, Any]") -> bool:
    return any(not isinstance(item, str) for item in value.values())


def _element(value: "Any", key: "Any") -> "Any":
    if isinstance(key, bool) or not isinstance(key, int):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < len(value):
        raise CallError(f"index out of range: {key}")
    return value.encode()[key] if isinstance(value, str) else value[key]


def _slice(value: "Any", *bounds: "Any") -> "Any":
    if not isinstance(value, list | str):
        raise CallError(f"can't slice item of type {type_name(value)}")
    if len(bounds) > 3 or any(isinstance(bound, bool) or not isinstance(bound, int) for bound in bounds):
        raise CallError("cannot index slice/array with these bounds")
    for bound in bounds:
        if not 0 <= bound <= len(value):
            raise CallError(f"index out of range: {bound}")
    low = bounds[0] if bounds else 0
    high = bounds[1] if len(bounds) > 1 else len(value)
    if low > high:
        raise CallError(f"invalid slice index: {low} > {high}")
    return value[low:high]


def _len(value: "Any") -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, Nil) and value.kind not in ("slice", "map"):
        raise CallError("len of nil pointer")
    if not isinstance(value, list | GoMap | Nil):
        raise CallError(f"len of type {type_name(value)}")
    return len(value)


def _not(value: "Any") -> bool:
    from ocirun.cli.templates import truth

    return not truth(value)


def _print(*values: "Any") -> str:
    text = ""
    for position, value in enumerate(values):
        # Print puts a space between two operands when neither is a string.
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += show(value)
    return text


def _println(*values: "Any") -> str:
    return " ".join(show(value) for value in values) + "\n"


def _printf(layout: "Any", *values: "Any") -> str:
    from ocirun.cli.template_printf import printf

    return printf(_string(layout), values)


def _kind(value: "Any") -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    return "nil" if isinstance(value, Nil) or value is None else "other"


def _same(left: "Any", right: "Any") -> bool:
    kinds = (_kind(left), _kind(right))
    if "nil" in kinds:
        return kinds[0] == kinds[1]
    if "other" in kinds:
        raise CallError("non-comparable type")
    if kinds[0] != kinds[1]:
        raise CallError("incompatible types for comparison")
    return bool(left == right)


def _eq(first: "Any", *others: "Any") -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    # All are compared, so that a wrong type is found wherever it stands.
    return True in [_same(first, other) for other in others]


def _ordered(left: "Any", right: "Any") -> None:
    kinds = (_kind(left), _kind(right))
    if kinds[0] not in ("int", "float", "string"):
        raise CallError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise CallError("incompatible types for comparison")


def _lt(left: "Any", right: "Any") -> bool:
    _ordered(left, right)
    return bool(left < right)


def _le(left: "Any", right: "Any") -> bool:
    _ordered(left, right)
    return bool(left <= right)


def _html(*values: "Any") -> str:
    text = _print(*values)
    for character, entity in (("&", "&amp;"), ("'", "&#39;"), ('"', "&#34;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return text


def _urlquery(*values: "Any") -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values), safe="~")


def _js(*values: "Any") -> str:
    text = ""
    for character in _print(*values):
        if character in "\\'\"":
            text += "\\" + character
        elif character in "<>&=" or ord(character) < 0x20:
            text += f"\\u{ord(character):04X}"
        else:
            text += character
    return text


def _string(value: "Any") -> str:
    if not isinstance(value, str):
        raise CallError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _join(values: "Any", separator: str) -> str:
    if isinstance(values, Nil):
        return ""
    if not isinstance(values, list):
        raise CallError(f"wrong type for value; expected []string; got {type_name(values)}")
    return separator.join(_string(value) for value in values)


def _split(text: "Any", separator: str) -> "list[str]":
    text = _string(text)
    return text.split(separator) if separator else list(text)


def _title(text: "Any") -> str:
    """The first letter of each word in upper case, the others as they are."""
    result = ""
    for character in _string(text):
        starts = not result or not (result[-1].isalnum() or result[-1] in "_'")
        result += character.upper() if starts else character
    return result


def _pad(text: "Any", before: int, after: int) -> str:
    text = _string(text)
    return " " * before + text + " " * after if text else ""


def _truncate(text: "Any", length: int) -> str:
    return _string(text)[:length] if length >= 0 else _string(text)


FUNCTIONS: "dict[str, Callable[..., Any]]" = {
    "and": lambda *values: values,
    "or": lambda *values: values,
    "eq": _eq,
    "ge": lambda left, right: not _lt(left, right),
    "gt": lambda left, right: not _le(left, right),
    "html": _html,
    "index": _index,
    "join": _join,
    "js": _js,
    "json": _json,
    "le": _le,
    "len": _len,
    "lower": lambda text: _string(text).lower(),
    "lt": _lt,
    "ne": lambda left, right: not _same(left, right),
    "not": _not,
    "pad": _pad,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "slice": _slice,
    "split": _split,
    "title": _title,
    "truncate": _truncate,
    "upper": lambda text: _string(text).upper(),
    "urlquery": _urlquery,
}

# For the line of headers a template is applied to the names of the columns, which stay as they are.
HEADER_FUNCTIONS: "dict[str, Callable[..., Any]]" = {
    "join": lambda text, _: text,
    "json": lambda text: text,
    "lower": lambda text: text,
    "pad": lambda text, _before, _after: text,
    "split": lambda text, _: text,
    "title": lambda text: text,
    "truncate": lambda text, _: text,
    "upper": lambda text: text,
}
