"""Sentences for failed steps: docker's words for the program, settings for the machine."""

import errno

import pytest

from ocirun.engine.failures import step_failure
from ocirun.errors import (
    CommandNotExecutableError,
    CommandNotFoundError,
    HostError,
    OcirunError,
    StepError,
    StorageError,
)
from ocirun.runtime.steps import Plan, Step


def failure(step: Step, number: int, path: str = "") -> OcirunError:
    """The error of `step` as the only one of a plan."""
    return step_failure(Plan([step]), 0, number, path)


@pytest.mark.parametrize(
    ("word", "number", "kind", "text"),
    [
        ("nosuch", errno.ENOENT, CommandNotFoundError, 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", errno.ENOENT, CommandNotFoundError, 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", errno.EACCES, CommandNotExecutableError, 'exec: "/etc/passwd": permission denied'),
        ("/etc", errno.EISDIR, CommandNotExecutableError, 'exec: "/etc": is a directory'),
        ("/x", errno.ENOEXEC, CommandNotExecutableError, 'exec: "/x": exec format error'),
    ],
)
def test_program(word: str, number: int, kind: type[OcirunError], text: str) -> None:
    error = failure(Step("command", 1, 0, word), number, word)
    assert type(error) is kind
    assert str(error) == text
    assert isinstance(error, StepError)
    assert error.errno == number


def test_directory() -> None:
    error = failure(Step("working_directory", 1, 0, 0, "/w"), errno.ENOTDIR, "/w")
    assert str(error) == 'chdir to cwd ("/w") set in config.json failed: not a directory'


def test_machine() -> None:
    assert isinstance(failure(Step("clone", 1), errno.EPERM), HostError)
    assert isinstance(failure(Step("clone", 1), errno.ENOSPC), HostError)
    error = failure(Step("id_map_helper", 0, "/usr/bin/newuidmap", "0"), errno.EPERM, "newuidmap: no range\n")
    assert "newuidmap: no range" in str(error)
    assert "/etc/subuid" in error.hint


def test_file_system() -> None:
    overlay = Step("overlay", 0, 0, "/t", "/u", "/w", "userxattr", "/l")
    assert "modprobe overlay" in failure(overlay, errno.ENODEV).hint
    assert "--root" in failure(overlay, errno.EINVAL).hint
    assert isinstance(failure(Step("mask", "/proc/x"), errno.ENOSPC, "/proc/x"), StorageError)
    assert (
        str(failure(Step("mask", "/proc/x"), errno.EIO, "/dev/null")) == "mask /proc/x (/dev/null): Input/output error"
    )


def test_long_paths_are_shortened() -> None:
    error = failure(Step("list_changes", 5, 0), errno.ENAMETOOLONG, "d/" * 2000)
    assert len(str(error)) < 320
    assert str(error).endswith("d/): File name too long")


def test_outside_of_the_plan() -> None:
    error = step_failure(Plan([]), -1, errno.ENOMEM, "plan")
    assert isinstance(error, StepError)
    assert "Cannot allocate memory" in str(error)
