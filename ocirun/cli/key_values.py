"""KEY=VALUE on the command line and in files: --env, --env-file, --label, --label-file."""

import os

from ocirun.errors import UsageError

_SPACES = " \t\n\v\f\r\x85\xa0"


def check_environment(text: str) -> str:
    """The value of one --env. Raises ValueError when it has no name."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid environment variable: {text}")
    return text


def check_label(text: str) -> str:
    """The value of one --label. Raises ValueError when it has no name."""
    if not text.partition("=")[0]:
        raise ValueError(f"invalid label '{text}': empty name")
    if any(character in _SPACES for character in text.partition("=")[0]):
        raise ValueError(f"label '{text.partition('=')[0]}' contains whitespaces")
    return text


def environment(files: "list[str]", words: "list[str]") -> "list[str]":
    """The variables "K=V" of the files, then of the words; a name alone takes its value from our own environment.

    A name that our environment does not have is left out of a file; among the words it stays "K", and takes the variable
    away from what the image sets (docker does both). Raises UsageError.
    """
    lines = [_with_value(line) for path in files for line in read_lines(path, "env")]
    return [line for line in lines if "=" in line] + [_with_value(word) for word in words]


def _with_value(line: str) -> str:
    return line if "=" in line or line not in os.environ else f"{line}={os.environ[line]}"


def labels(files: "list[str]", words: "list[str]") -> "dict[str, str]":
    """The labels of the files, then of the words, where a name alone has the value "". Raises UsageError."""
    # A name alone in a file is no label for docker either.
    lines = [line for path in files for line in read_lines(path, "label") if "=" in line]
    return {line.partition("=")[0]: line.partition("=")[2] for line in [*lines, *words]}


def read_lines(path: str, kind: str) -> "list[str]":
    """The KEY=VALUE or KEY lines of the file `path`, without blank lines and comments. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            data = file.read().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UsageError(f"open {path}: {os.strerror(error.errno or 0).lower()}") from None
    result = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode().lstrip(_SPACES)
        except UnicodeDecodeError:
            raise UsageError(f"invalid {kind} file ({path}): line {number} is not UTF-8") from None
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0]
        if any(character in _SPACES for character in name):
            raise UsageError(f"invalid {kind} file ({path}): variable '{name}' contains whitespaces")
        if not name:
            raise UsageError(f"invalid {kind} file ({path}): no variable name on line '{line}'")
        result.append(line)
    return result
