"""Words of Dockerfile instructions: splitting, quotes, escapes and variables, as docker's builder reads them."""

from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_BLANK = " \t"
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def split_words(text: str) -> "list[str]":
    """The words of `text`, separated by blanks outside of quotes; quotes and backslashes stay in them."""
    words: list[str] = []
    word = quote = ""
    escaped = False
    for character in text:
        if not quote and not escaped and character in _BLANK:
            if word:
                words.append(word)
            word = ""
            continue
        word += character
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
    if word:
        words.append(word)
    return words


def process_word(word: str, environment: "Mapping[str, str]") -> str:
    """The word without its quotes and backslashes, $NAME and ${NAME} replaced. Raises UsageError."""
    return _Word(word, environment).process()


class _Word:
    """One word being processed."""

    __slots__ = ("_environment", "_position", "_text")

    def __init__(self, text: str, environment: "Mapping[str, str]") -> None:
        self._text = text
        self._environment = environment
        self._position = 0

    def process(self, stop: str = "") -> str:
        """Everything up to `stop`, which is consumed, or to the end."""
        out = ""
        while self._position < len(self._text):
            character = self._take()
            if character == stop:
                return out
            if character == "'":
                out += self._single_quoted()
            elif character == '"':
                out += self._double_quoted()
            elif character == "\\":
                out += self._take()
            elif character == "$":
                out += self._variable()
            else:
                out += character
        if stop:
            raise UsageError(f"syntax error: {self._text!r} lacks a {stop!r}")
        return out

    def _take(self) -> str:
        character = self._text[self._position : self._position + 1]
        self._position += 1
        return character

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position)
        if end < 0:
            raise UsageError(
                f"syntax error: unexpected end of statement while looking for matching single-quote in {self._text!r}"
            )
        content = self._text[self._position : end]
        self._position = end + 1
        return content

    def _double_quoted(self) -> str:
        out = ""
        while self._position < len(self._text):
            character = self._take()
            if character == '"':
                return out
            if character == "$":
                out += self._variable()
            elif character == "\\":
                escaped = self._take()
                out += escaped if escaped in ('"', "$", "\\") else character + escaped
            else:
                out += character
        raise UsageError(
            f"syntax error: unexpected end of statement while looking for matching double-quote in {self._text!r}"
        )

    def _variable(self) -> str:
        if self._text[self._position : self._position + 1] != "{":
            name = self._name()
            return self._environment.get(name, "") if name else "$"
        self._position += 1
        name = self._name()
        if not name:
            raise UsageError(f"syntax error: bad substitution in {self._text!r}")
        value = self._environment.get(name)
        modifier = self._take()
        if modifier == "}":
            return value or ""
        empty_counts = modifier == ":"
        if empty_counts:
            modifier = self._take()
        other = self.process("}")
        is_set = bool(value) if empty_counts else value is not None
        if modifier == "-":
            return (value or "") if is_set else other
        if modifier == "+":
            return other if is_set else ""
        if modifier == "?":
            if not is_set:
                raise UsageError(f"{name}: {other or 'not allowed to be unset'}")
            return value or ""
        raise UsageError(f"unsupported modifier ({modifier}) in substitution")

    def _name(self) -> str:
        start = self._position
        while self._position < len(self._text) and self._text[self._position] in _NAME:
            self._position += 1
        return self._text[start : self._position]
