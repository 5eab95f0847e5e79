"""Fixtures of the security tests: those of the system tests, and attackers that are programs in Python.

Each test is an attack with a real container. The numbers in their docstrings are CVEs: what other engines fell for.
"""

import io
import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.system.conftest import (
    busybox_archive,
    empty,
    fresh,
    import_tar,
    mode,
    name,
    ocirun,
    pytest_collection_modifyitems,
    store,
)
from tests.system.harness import Ocirun, Result, busybox_tar

__all__ = [
    "busybox_archive",
    "empty",
    "fresh",
    "import_tar",
    "mode",
    "name",
    "ocirun",
    "pytest_collection_modifyitems",
    "store",
]

PYTHON = os.path.realpath(sys.executable)


@pytest.fixture
def attacker(ocirun: Ocirun) -> Callable[..., Result]:
    """Run a program in Python inside a container of `host`: attacker("code", "--flag", ...) -> Result."""
    if not PYTHON.startswith("/usr/"):
        pytest.skip(f"image `host` does not show {PYTHON}")

    def run(code: str, *flags: str, status: int | None = 0) -> Result:
        return ocirun("run", "--rm", *flags, "host", PYTHON, "-I", "-c", code, status=status)

    return run


@pytest.fixture
def load_members(ocirun: Ocirun) -> Iterator[Callable[..., str]]:
    """Make an image of busybox and hostile members: load_members(member, ..., options=["-c", "CMD x"]) -> reference.

    A member is a TarInfo, or a pair of one and its content.
    """
    made: list[str] = []

    def make(*members: Any, options: tuple[str, ...] = ()) -> str:
        stream = io.BytesIO(busybox_tar())
        with tarfile.open(fileobj=stream, mode="a", format=tarfile.PAX_FORMAT) as archive:
            for member in members:
                header, data = member if isinstance(member, tuple) else (member, b"")
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))
        reference = f"hostile-{len(made)}:latest"
        ocirun("import", "-c", "ENV PATH=/bin:/usr/bin", *options, "-", reference, input=stream.getvalue())
        made.append(reference)
        return reference

    yield make
    ocirun.remove_all()
    for reference in made:
        ocirun("rmi", "-f", reference)


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    """The header of a member of a tar."""
    result = tarfile.TarInfo(name)
    result.type = kind
    result.mode = 0o755
    for key, value in fields.items():
        setattr(result, key, value)
    return result
