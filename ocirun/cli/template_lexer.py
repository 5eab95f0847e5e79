"""The words of Go's text/template: literal text, and the tokens of the actions between {{ and }}.

Trim markers ({{- and -}}) are applied here and comments are dropped, so the parser sees neither.
Offsets count characters of the template.
"""

from ocirun.errors import InvalidError

KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"))
_SPACES = " \t\r\n"
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}


class TemplateError(InvalidError):
    """A template that cannot be read, or that does not fit the value it is applied to."""


class Token:
    """One token: `kind` is text, begin, end, field, variable, word, string, number, char, or the punctuation itself.

    `spaced` tells whether white space came before it.
    """

    __slots__ = ("kind", "position", "spaced", "text", "value")

    def __init__(self, kind: str, text: str, position: int, *, spaced: bool = False, value: object = None) -> None:
        self.kind = kind
        self.text = text
        self.position = position
        self.spaced = spaced
        self.value = value


class Lexer:
    """Splits `source` into tokens; `tokens` holds them after `run`."""

    __slots__ = ("depth", "offset", "source", "tokens")

    def __init__(self, source: str) -> None:
        self.source = source
        self.offset = 0
        self.depth = 0
        self.tokens: list[Token] = []

    def fail(self, message: str) -> TemplateError:
        """The error `message` at the current line, in the form of Go's parser."""
        line = self.source.count("\n", 0, self.offset) + 1
        return TemplateError(f"template: :{line}: {message}")

    def run(self) -> "list[Token]":
        """All tokens. Raises TemplateError."""
        source = self.source
        trim = False
        while self.offset < len(source):
            start = source.find("{{", self.offset)
            text = source[self.offset :] if start < 0 else source[self.offset : start]
            if trim:
                text = text.lstrip(_SPACES)
            if start >= 0 and self._trims_left(start):
                text = text.rstrip(_SPACES)
            if text:
                self.tokens.append(Token("text", text, self.offset))
            if start < 0:
                break
            self.offset = start + 2 + (2 if self._trims_left(start) else 0)
            trim = self._comment() if source.startswith("/*", self.offset) else self._action()
        return self.tokens

    def _trims_left(self, start: int) -> bool:
        marker = self.source[start + 2 : start + 4]
        return len(marker) == 2 and marker[0] == "-" and marker[1] in _SPACES

    def _closing(self) -> "tuple[int, bool]":
        """The length of the closing delimiter at this place (0: none), and whether it trims."""
        source, offset = self.source, self.offset
        if source.startswith("}}", offset):
            return 2, False
        if source.startswith("-}}", offset + 1) and source[offset] in _SPACES:
            return 4, True
        return 0, False

    def _comment(self) -> bool:
        end = self.source.find("*/", self.offset)
        if end < 0:
            raise self.fail("unclosed comment")
        self.offset = end + 2
        length, trims = self._closing()
        if not length:
            raise self.fail("comment ends before closing delimiter")
        self.offset += length
        return trims

    def _action(self) -> bool:
        self._add("begin", 0)
        self.depth = 0
        while True:
            length, trims = self._closing()
            if length:
                if self.depth:
                    raise self.fail("unclosed left paren")
                self._add("end", length)
                return trims
            start = self.offset
            while self.offset < len(self.source) and self.source[self.offset] in _SPACES and not self._closing()[0]:
                self.offset += 1
            if self.offset == start:
                self._token(spaced=self.tokens[-1].kind == "begin")
            elif not self._closing()[0]:
                self._token(spaced=True)

    def _add(self, kind: str, length: int, *, spaced: bool = False, value: object = None) -> None:
        text = self.source[self.offset : self.offset + length]
        self.tokens.append(Token(kind, text, self.offset, spaced=spaced, value=value))
        self.offset += length

    def _token(self, *, spaced: bool) -> None:
        source, offset = self.source, self.offset
        if offset >= len(source):
            raise self.fail("unclosed action")
        character = source[offset]
        following = source[offset + 1 : offset + 2]
        if character == ":" and following == "=":
            self._add(":=", 2, spaced=spaced)
        elif character in "=|,()":
            self.depth += {"(": 1, ")": -1}.get(character, 0)
            if self.depth < 0:
                raise self.fail("unexpected right paren")
            self._add(character, 1, spaced=spaced)
        elif character in "\"`'":
            self._quoted(character, spaced=spaced)
        elif character == "." and not following.isdigit():
            length = self._name_length(offset + 1)
            self._add("field", 1 + length, spaced=spaced)
        elif character == "$":
            self._add("variable", 1 + self._name_length(offset + 1), spaced=spaced)
        elif character.isdigit() or (character in "+-." and (following.isdigit() or following == ".")):
            self._number(spaced=spaced)
        elif character == "_" or character.isalpha():
            self._add("word", self._name_length(offset), spaced=spaced)
        else:
            raise self.fail(f'unexpected "{character}" in command')

    def _name_length(self, start: int) -> int:
        end = start
        while end < len(self.source) and (self.source[end] == "_" or self.source[end].isalnum()):
            end += 1
        return end - start

    def _number(self, *, spaced: bool) -> None:
        end = self.offset + 1
        while end < len(self.source):
            character = self.source[end]
            exponent_sign = character in "+-" and self.source[end - 1] in "eEpP"
            if not (character.isalnum() or character in "._" or exponent_sign):
                break
            end += 1
        text = self.source[self.offset : end]
        self._add("number", len(text), spaced=spaced, value=self._number_value(text))

    def _number_value(self, text: str) -> "int | float":
        digits = text.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        try:
            return int(text, 8 if octal else 0)
        except ValueError:
            pass
        try:
            return float.fromhex(text) if "x" in text.lower() else float(text)
        except ValueError:
            raise self.fail(f'bad number syntax: "{text}"') from None

    def _quoted(self, mark: str, *, spaced: bool) -> None:
        name = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}[mark]
        end = self.offset + 1
        while end < len(self.source) and self.source[end] != mark:
            if mark != "`" and self.source[end] == "\n":
                break
            end += 2 if mark != "`" and self.source[end] == "\\" else 1
        if end >= len(self.source) or self.source[end] != mark:
            raise self.fail(f"unterminated {name}")
        body = self.source[self.offset + 1 : end]
        value: object = body if mark == "`" else self._unescaped(body)
        if mark == "'":
            if not isinstance(value, str) or len(value) != 1:
                raise self.fail(f"malformed character constant: '{body}'")
            value = ord(value)
        self._add("char" if mark == "'" else "string", end + 1 - self.offset, spaced=spaced, value=value)

    def _unescaped(self, body: str) -> str:
        parts: list[str] = []
        index = 0
        while index < len(body):
            if body[index] != "\\":
                parts.append(body[index])
                index += 1
                continue
            letter = body[index + 1 : index + 2]
            if letter in _SIMPLE_ESCAPES:
                parts.append(_SIMPLE_ESCAPES[letter])
                index += 2
                continue
            length, base = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}.get(letter, (3, 8))
            begin = index + (2 if base == 16 else 1)
            digits = body[begin : begin + length]
            try:
                parts.append(chr(int(digits, base)))
            except (ValueError, OverflowError):
                raise self.fail("invalid syntax") from None
            index = begin + length
        return "".join(parts)
