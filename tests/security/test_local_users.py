"""Other users of the machine: places they make first, links they leave, and what they may read."""

import os
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, entries


@pytest.mark.parametrize("place", ["root", "runroot"])
@pytest.mark.parametrize("trick", ["link", "dangling", "file", "open"])
def test_a_place_that_was_there_before(empty: Ocirun, tmp_path: Path, place: str, trick: str) -> None:
    """An own directory that others may enter is closed (CVE-2021-41091), behind an own link too; nothing else is taken."""
    path = empty.root if place == "root" else empty.runroot
    target = tmp_path / "elsewhere"
    path.parent.mkdir(exist_ok=True)
    if trick == "link":
        target.mkdir(mode=0o777)
        path.symlink_to(target)
    elif trick == "dangling":
        path.symlink_to(target)
    elif trick == "file":
        path.write_text("")
    else:
        path.mkdir()
        path.chmod(0o777)
    result = empty("run", "--rm", "host", "true", status=None)
    if trick in {"open", "link"}:
        assert result.status == 0, result
        assert path.stat().st_mode & 0o077 == 0
        if trick == "link":
            path.unlink()
            target.rename(path)  # where the fixture looks for what is left
        return
    assert result.status != 0, result
    result.error_line()
    assert not target.exists() or entries(target) == []
    path.unlink()


@pytest.mark.root
@pytest.mark.parametrize("place", ["root", "runroot"])
def test_a_link_of_another_user_is_not_followed(empty: Ocirun, tmp_path: Path, place: str) -> None:
    path = empty.root if place == "root" else empty.runroot
    path.parent.mkdir(exist_ok=True)
    target = tmp_path / "elsewhere"
    target.mkdir()
    path.symlink_to(target)
    os.lchown(path, 4242, 4242)
    result = empty("run", "--rm", "host", "true", status=None)
    assert result.status != 0
    result.error_line()
    assert entries(target) == []
    path.unlink()


@pytest.mark.root
@pytest.mark.parametrize("place", ["root", "runroot"])
def test_a_directory_of_another_user_is_refused(empty: Ocirun, place: str) -> None:
    path = empty.root if place == "root" else empty.runroot
    path.mkdir(parents=True)
    os.chown(path, 4242, 4242)
    result = empty("run", "--rm", "host", "true", status=None)
    assert "not a directory of yours" in result.error_line()
    assert entries(path) == []
    os.chown(path, 0, 0)


def test_without_xdg_runtime_dir_tmp_is_no_trap(fresh: Ocirun) -> None:
    """The fallback is a name in /tmp that everybody can foretell; what is there and no own directory is not used."""
    fallback = Path(f"/tmp/ocirun-{os.geteuid()}")
    if os.path.lexists(fallback) or os.geteuid() == 0:
        pytest.skip("root has /run, and what is in use is left alone")
    fallback.symlink_to("/var")
    environment = {"OCIRUN_RUNROOT": "", "XDG_RUNTIME_DIR": ""}
    try:
        result = fresh("run", "--rm", BUSYBOX, "true", status=None, env=environment)
        assert result.status != 0, result
        result.error_line()
    finally:
        fallback.unlink()


def test_no_file_of_a_store_can_be_reached_by_others(fresh: Ocirun, name: str) -> None:
    """The one closed directory is what holds others back: setuid programs and devices of images are behind it."""
    fresh("run", "-d", "-v", "volume:/data", "--name", name, BUSYBOX, "sleep", "600")
    for path in (fresh.root, fresh.runroot):
        status = path.stat()
        assert (status.st_uid, status.st_mode & 0o077) == (os.geteuid(), 0)
    fresh("rm", "-f", name)
    fresh("volume", "rm", "volume")


def test_a_loose_umask_opens_nothing(empty: Ocirun) -> None:
    before = os.umask(0)
    try:
        empty("run", "--rm", "host", "true")
    finally:
        os.umask(before)
    writable = [
        path
        for path in (empty.root, *empty.root.iterdir(), *(empty.root / "layers").glob("*/*"))
        if path.lstat().st_mode & 0o022
    ]
    assert writable == []
