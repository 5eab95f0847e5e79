"""How words become options: tables that say which options a verb has, and the parser that reads them as docker's does.

The grammar is that of docker's command line: -it, -e X, -eX, -e=X, --name=x, --name x, --rm, --rm=false, `--`, options after
arguments unless the verb says otherwise, the last of a repeated option winning unless it is a list. Nothing is abbreviated.
"""

import os

from ocirun.errors import UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LIST_KINDS = frozenset(("list", "filter", "map", "mount", "network", "ulimit", "gpu-request"))
NOT_YET = "not supported yet"
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class WordsError(UsageError):
    """The words of a command line do not go together; docker leaves with 1 then, while an unknown or bad option gives 125."""

    exit_code = 1


class OptionError(UsageError):
    """An option that was found wrong only after the parsing; whatever the verb, docker leaves with 125."""


class HelpRequest(Exception):  # noqa: N818 - not an error: --help was asked for
    """The words ask for the help text instead of the verb."""


class Option:
    """One option of a verb.

    `kind` is "bool", "string", "int", "bytes", "duration", one of LIST_KINDS (may be given several times) or another
    word of docker's help, which then takes any text. `check` turns one text into the value and raises ValueError with
    docker's sentence. An option with `refused` (the end of the sentence "--x is ...") is known and answered with that, unless its
    value is one of `accepted`: the values that ask for what happens anyway. `also` are other long names.
    """

    __slots__ = ("accepted", "also", "check", "default", "help", "kind", "name", "refused", "short")

    def __init__(
        self,
        name: str,
        kind: str,
        text: str,
        *,
        short: str = "",
        default: "Any" = None,
        check: "Callable[[str], Any] | None" = None,
        refused: str = "",
        accepted: "tuple[str, ...]" = (),
        also: "tuple[str, ...]" = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = text
        self.short = short
        self.default = default
        self.check = check
        self.refused = refused
        self.accepted = accepted
        self.also = also

    @property
    def label(self) -> str:
        """The option as messages name it: "-f, --filter" or "--rm"."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    def convert(self, text: str) -> "Any":
        """The value that `text` stands for. Raises ValueError with docker's sentence."""
        if self.check is not None:
            return self.check(text)
        if self.kind == "bool":
            return parse_boolean(text)
        if self.kind == "int":
            return parse_integer(text)
        if self.kind == "filter":
            if "=" not in text:
                raise ValueError("bad format of filter (expected name=value)")
            return text
        if self.kind == "bytes":
            from ocirun.oci.sizes import parse_size

            return parse_size(text)
        if self.kind == "duration":
            from ocirun.oci.durations import parse_duration

            return parse_duration(text)
        return text

    def empty(self) -> "Any":
        """The value when the option is not given."""
        if self.default is not None:
            return self.default
        if self.kind in LIST_KINDS:
            return []
        return {"bool": False, "int": 0, "bytes": 0, "duration": 0}.get(self.kind, "")


class Verb:
    """What a verb's module declares beside its function `execute(engine, flags, arguments) -> exit status`.

    `usage` is the line of words after the verb's name. `minimum` and `maximum` bound the number of arguments (None: no
    bound). With `interspersed` False everything after the first argument belongs to the command (run, create, exec).
    `aliases` are the other ways to write the verb, for its help. `statuses` are the exit codes of errors that the verb
    leaves with; other errors give 1, as docker's verbs do. `aside` is text for the end of the help.
    """

    __slots__ = ("aliases", "aside", "interspersed", "maximum", "minimum", "options", "statuses", "usage")

    def __init__(
        self,
        usage: str,
        *,
        options: "tuple[Option, ...]" = (),
        minimum: int = 0,
        maximum: "int | None" = None,
        interspersed: bool = True,
        aliases: "tuple[str, ...]" = (),
        statuses: "tuple[int, ...]" = (),
        aside: str = "",
    ) -> None:
        self.usage = usage
        self.options = options
        self.minimum = minimum
        self.maximum = maximum
        self.interspersed = interspersed
        self.aliases = aliases
        self.statuses = statuses
        self.aside = aside


# Every verb has it, unless a table says otherwise (run's -h is the host name).
_HELP = Option("help", "bool", "Show this text")


class Flags:
    """The values of a verb's options, asked for by long name; a name that is not in the table is a KeyError."""

    __slots__ = ("_given", "_options")

    def __init__(self, options: "dict[str, Option]") -> None:
        self._options = options
        self._given: dict[str, Any] = {}

    def put(self, option: Option, value: "Any") -> None:
        """Note one occurrence of `option`: lists grow, others are replaced."""
        if option.kind in LIST_KINDS:
            self._given.setdefault(option.name, []).append(value)
        else:
            self._given[option.name] = value

    def given(self, name: str) -> bool:
        """Whether the option stood among the words, with whatever value."""
        return self._options[name].name in self._given

    def value(self, name: str) -> "Any":
        """The converted value, or the option's default."""
        option = self._options[name]
        return self._given[name] if name in self._given else option.empty()

    def boolean(self, name: str) -> bool:
        """The value of a bool option."""
        return bool(self.value(name))

    def text(self, name: str) -> str:
        """The value of a text option, "" when it is not given."""
        value = self.value(name)
        return value if isinstance(value, str) else str(value)

    def number(self, name: str) -> int:
        """The value of an int, bytes or duration (nanoseconds) option."""
        return int(self.value(name))

    def values(self, name: str) -> "list[Any]":
        """All values of a list option, in the order of the words."""
        return list(self.value(name))


def parse_boolean(text: str) -> bool:
    """A boolean as Go writes it. Raises ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_integer(text: str) -> int:
    """A 64 bit integer, decimal or with 0x, 0o, 0b. Raises ValueError."""
    try:
        # A leading zero is octal in Go, an error in Python.
        digits = text.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        value = int(text, 8 if octal else 0) if text.strip() == text else None
    except ValueError:
        value = None
    if value is None:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def quote(text: str) -> str:
    """`text` in double quotes as Go's %q prints it, so that no control character reaches a terminal."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    from ocirun.cli.go_text import go_quote

    return go_quote(text)


def absolute_path(path: str) -> str:
    """`path` from the current directory on. Raises UsageError when that has been removed."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: the current directory has been removed", "change to another one, or give an absolute path"
        ) from None


class _Parser:
    """Reads the words of one command line. `wants_help` is the value of --help."""

    __slots__ = ("arguments", "flags", "hint", "longs", "shorts", "verb", "wants_help", "words")

    def __init__(self, verb: Verb, words: "list[str]", path: str) -> None:
        self.verb = verb
        self.words = list(reversed(words))
        self.hint = f"see '{path} --help'"
        self.longs = {name: option for option in verb.options for name in (option.name, *option.also)}
        self.shorts = {option.short: option for option in verb.options if option.short}
        self.flags = Flags(self.longs)
        self.arguments: list[str] = []
        self.wants_help = False

    def parse(self) -> None:
        words = self.words
        while words:
            word = words.pop()
            if word == "--":
                break
            if len(word) < 2 or word[0] != "-":
                self.arguments.append(word)
                if not self.verb.interspersed:
                    break
            elif word[1] == "-":
                self.long(word)
            else:
                self.short(word[1:])
        self.arguments.extend(reversed(words))

    def long(self, word: str) -> None:
        name, equals, text = word[2:].partition("=")
        if not name or name[0] == "-":
            raise UsageError(f"bad flag syntax: {word}", self.hint)
        option = self.longs.get(name) or (_HELP if name == _HELP.name else None)
        if option is None:
            raise UsageError(f"unknown flag: --{name}", self.hint)
        if not equals:
            if option.kind == "bool":
                text = "true"
            elif self.words:
                text = self.words.pop()
            else:
                raise UsageError(f"flag needs an argument: --{name}", self.hint)
        self.store(option, text)

    def short(self, letters: str) -> None:
        while letters:
            option = self.shorts.get(letters[0]) or (_HELP if letters[0] == "h" else None)
            if option is None:
                raise UsageError(f"unknown shorthand flag: {letters[0]!r} in -{letters}", self.hint)
            rest = letters[1:]
            if len(rest) > 1 and rest[0] == "=":
                text, rest = rest[1:], ""
            elif option.kind == "bool":
                text = "true"
            elif rest:
                text, rest = rest, ""
            elif self.words:
                text = self.words.pop()
            else:
                raise UsageError(f"flag needs an argument: {letters[0]!r} in -{letters}", self.hint)
            self.store(option, text)
            letters = rest

    def store(self, option: Option, text: str) -> None:
        if option.refused and option.kind != "bool":
            if text not in option.accepted:
                raise UnsupportedError(f"--{option.name} is {option.refused}", self.hint)
            return
        try:
            value = option.convert(text)
        except ValueError as error:
            message = f"invalid argument {quote(text)} for {quote(option.label)} flag: {error}"
            raise UsageError(message, self.hint) from None
        if option is _HELP:
            self.wants_help = value
        elif not option.refused:
            self.flags.put(option, value)
        elif value != option.empty() and text not in option.accepted:
            # A switch may always be set to what it is anyway.
            raise UnsupportedError(f"--{option.name} is {option.refused}", self.hint)


def parse(verb: Verb, words: "list[str]", path: str) -> "tuple[Flags, list[str]]":
    """The options and the arguments in `words`, which follow the name `path` ("ocirun run") on the command line.

    Raises UsageError, UnsupportedError for what docker has and ocirun has not, and HelpRequest.
    """
    parser = _Parser(verb, words, path)
    parser.parse()
    if parser.wants_help:
        raise HelpRequest
    _check_count(verb, parser.arguments, path, parser.hint)
    return parser.flags, parser.arguments


def _check_count(verb: Verb, arguments: "list[str]", path: str, hint: str) -> None:
    count = len(arguments)
    least, most = verb.minimum, verb.maximum
    if count >= least and (most is None or count <= most):
        return
    if most == 0:
        what = "accepts no arguments"
    elif most is None:
        what = f"requires at least {_plural(least)}"
    elif most == least:
        what = f"requires {_plural(least)}"
    elif least == 0:
        what = f"requires at most {_plural(most)}"
    else:
        what = f"requires at least {least} and at most {_plural(most)}"
    raise WordsError(f"'{path}' {what}", hint)


def _plural(count: int) -> str:
    return "1 argument" if count == 1 else f"{count} arguments"
