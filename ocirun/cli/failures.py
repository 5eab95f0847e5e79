"""What becomes of an error: one line on standard error, and an exit status."""

import errno
import sys

from ocirun.cli.options import OptionError
from ocirun.cli.output import flush_errors, one_line, write_error
from ocirun.errors import OcirunError
from ocirun.files import OPEN_FILES_HINT

INTERRUPTED = 130
BROKEN_PIPE = 141


def report(error: BaseException, debug: bool, path: str, statuses: "tuple[int, ...] | None") -> int:  # noqa: FBT001 - --debug's value
    """Print `error` and return the exit status for it.

    `path` is the command ("ocirun run"). `statuses` are the error codes that its verb leaves with, others become 1; None means
    that the words were still being read, and the error's own code counts.
    """
    if debug and not isinstance(error, BrokenPipeError):
        import traceback

        write_error("".join(traceback.format_exception(error)))
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, as after `| head`: what the kernel does to a C program, quietly.
        _drop_output()
        return BROKEN_PIPE
    write_error(f"ocirun: {sentence(error, path)}\n")
    _flush_or_drop()
    status = error.exit_code if isinstance(error, OcirunError) else 125
    return status if statuses is None or status in statuses or isinstance(error, OptionError) else 1


def sentence(error: BaseException, path: str) -> str:
    """The error in one line: what failed, and in brackets the way out where one is known."""
    hint = ""
    if isinstance(error, OcirunError):
        what, hint = error.what, error.hint
    elif isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        what = ": ".join([*names, error.strerror])
        if error.errno == errno.EMFILE:
            hint = OPEN_FILES_HINT
    elif isinstance(error, MemoryError):
        what, hint = "out of memory", "free some, or ask for less at a time"
    elif isinstance(error, RecursionError):
        what = "the input is nested too deeply"
    else:
        what = f"unexpected {type(error).__name__} in '{path}': {error}"
        hint = "this is a bug of ocirun: please report it with the output of the same command after `ocirun --debug`"
    line = one_line(what) or type(error).__name__
    return f"{line} ({one_line(hint)})" if hint else line


def _flush_or_drop() -> None:
    try:
        flush_errors()
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    """Send what Python still holds for standard output to /dev/null, so that its own shutdown says nothing."""
    import os

    try:
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        pass
