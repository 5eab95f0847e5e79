"""Staging directories: in use they are left alone, abandoned ones are found."""

import os
from pathlib import Path

import pytest

from ocirun.errors import ConflictError, StorageError
from ocirun.files import Lock
from ocirun.image.staging import Staging, garbage


def test_it_is_there_and_gone(tmp_path: Path) -> None:
    with Staging(str(tmp_path)) as staging:
        (Path(staging.path) / "deep").mkdir()
        (Path(staging.path) / "deep/file").touch()
        assert not list(garbage(str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
    staging.remove()


def test_what_a_killed_process_leaves_is_found(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        Staging(str(tmp_path))
        os._exit(0)
    os.waitpid(pid, 0)
    (tmp_path / "x-1234").mkdir()
    (tmp_path / "stray.tmp").touch()
    (left,) = [path for path in tmp_path.iterdir() if (path / "lock").exists()]
    assert sorted(garbage(str(tmp_path))) == sorted([str(left), str(tmp_path / "x-1234"), str(tmp_path / "stray.tmp")])
    assert not list(garbage(str(tmp_path / "missing")))


def test_garbage_is_locked_while_it_is_removed(tmp_path: Path) -> None:
    (tmp_path / "x-1234").mkdir()
    for path in garbage(str(tmp_path)):
        with pytest.raises(ConflictError):
            Lock(f"{path}/lock", wait=False).acquire()
    Lock(str(tmp_path / "x-1234/lock"), wait=False).acquire()


def test_a_missing_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"make directory .*: No such file or directory"):
        Staging(str(tmp_path / "missing"))
