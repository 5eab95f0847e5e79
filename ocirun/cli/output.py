"""Writing to standard output and standard error.

Names of files and other bytes that are no UTF-8 come as surrogates and leave as the bytes they were. A closed
standard output (`>&-`) is as good as /dev/null.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


def write(text: str, *, controls: bool = False) -> None:
    """Put `text` on standard output. Raises BrokenPipeError, StorageError.

    Names, labels and commands come from images and containers, so a terminal gets "?" for their control characters, as from
    ls(1); with `controls` all of them. What is no terminal gets `text` as it is.
    """
    if not controls and sys.stdout is not None and sys.stdout.isatty():
        text = "\n".join(_without_controls(line) for line in text.split("\n"))
    _to_output(lambda: _put(sys.stdout, text))


def _to_output(action: "Callable[[], object]") -> None:
    try:
        action()
    except BrokenPipeError:
        # The reader has gone, which is no fault of anybody's.
        raise
    except OSError as error:
        from ocirun.files import output_error

        raise output_error(error, "standard output") from error


def write_error(text: str) -> None:
    """Put `text` on standard error at once; that it cannot be written is no error: nobody would hear of it."""
    try:
        _put(sys.stderr, text)
        flush_errors()
    except OSError:
        pass


def flush() -> None:
    """Hand everything written to standard output to the kernel. Raises BrokenPipeError, StorageError."""
    if sys.stdout is not None:
        _to_output(sys.stdout.flush)


def flush_errors() -> None:
    """Hand everything written to standard error to the kernel. Raises OSError."""
    if sys.stderr is not None:
        sys.stderr.flush()


def _put(stream: "TextIO | None", text: str) -> None:
    if stream is None:
        return
    buffer = getattr(stream, "buffer", None)
    if buffer is None:
        stream.write(text)
        return
    stream.flush()
    buffer.write(text.encode("utf-8", "surrogateescape"))


def one_line(text: str) -> str:
    """`text` without line breaks and control characters, so that an error is one line and moves no cursor."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    joined = "; ".join(lines)
    return _without_controls(joined)


def _without_controls(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\t" or 0xDC80 <= ord(character) <= 0xDCFF else "?"
        for character in text
    )
