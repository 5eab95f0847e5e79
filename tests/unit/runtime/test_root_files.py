"""A file read through layers is the one that the container would see."""

import os
from pathlib import Path

import pytest

from ocirun.errors import InvalidError
from ocirun.runtime.root import Overlay, RootFilesystem
from ocirun.runtime.root_files import read_file


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    for name in ("upper", "two", "one", "usr"):
        (tmp_path / name / "etc").mkdir(parents=True)
    return tmp_path


def root_of(layers: Path) -> RootFilesystem:
    return RootFilesystem(
        "/nowhere",
        [
            Overlay("/", [str(layers / "two"), str(layers / "one")], str(layers / "upper"), "/work"),
            Overlay("/usr", [str(layers / "usr")], str(layers / "missing"), "/work"),
        ],
    )


def test_upper_hides_lower(layers: Path) -> None:
    (layers / "one/etc/passwd").write_text("one")
    assert read_file(root_of(layers), "/etc/passwd") == "one"
    (layers / "two/etc/passwd").write_text("two")
    assert read_file(root_of(layers), "/etc/./x/../passwd") == "two"
    assert read_file(root_of(layers), "/etc/group") is None
    assert read_file(root_of(layers), "/etc") is None
    assert read_file(root_of(layers), "/etc/passwd/x") is None


def test_links_are_resolved_inside(layers: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    (layers / "two/etc/passwd").symlink_to("../real/passwd")
    (layers / "one/real").mkdir()
    (layers / "one/real/passwd").write_text("linked")
    (layers / "two/etc/group").symlink_to(secret)
    (layers / "two/etc/loop").symlink_to("loop")
    assert read_file(root_of(layers), "/etc/passwd") == "linked"
    assert read_file(root_of(layers), "/etc/group") is None
    assert read_file(root_of(layers), "/etc/loop") is None


def test_a_link_to_a_directory_does_not_lead_out(layers: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/passwd").write_text("host")
    (layers / "one/etc").rmdir()
    (layers / "one/etc").symlink_to(tmp_path / "host")
    (layers / "two/etc").rmdir()
    (layers / "upper/etc").rmdir()
    assert read_file(root_of(layers), "/etc/passwd") is None


def test_opaque_directory_and_file_over_directory(layers: Path) -> None:
    (layers / "one/etc/passwd").write_text("one")
    try:
        os.setxattr(layers / "two/etc", "user.overlay.opaque", b"y")
    except OSError:
        pytest.skip("this file system has no extended attributes of users")
    assert read_file(root_of(layers), "/etc/passwd") is None
    (layers / "upper/etc").rmdir()
    (layers / "upper/etc").write_text("file")
    assert read_file(root_of(layers), "/etc/passwd") is None


def test_inner_overlays_have_their_own_layers(layers: Path) -> None:
    (layers / "usr/etc/conf").write_text("usr")
    (layers / "one/usr/etc").mkdir(parents=True)
    (layers / "one/usr/etc/conf").write_text("hidden")
    assert read_file(root_of(layers), "/usr/etc/conf") == "usr"


def test_whiteout_hides(layers: Path) -> None:
    (layers / "one/etc/passwd").write_text("one")
    try:
        os.mknod(layers / "two/etc/passwd", 0o020644, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("whiteouts cannot be made here")
    assert read_file(root_of(layers), "/etc/passwd") is None


def test_bundle_and_limit(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("x" * 100)
    assert read_file(RootFilesystem(str(tmp_path)), "/passwd") == "x" * 100
    with pytest.raises(InvalidError, match="larger than 99 bytes"):
        read_file(RootFilesystem(str(tmp_path)), "/passwd", 99)


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "passwd")
    assert read_file(RootFilesystem(str(tmp_path)), "/passwd") is None


def test_first_overlay_is_the_root() -> None:
    with pytest.raises(ValueError, match="not on /"):
        RootFilesystem("/r", [Overlay("/usr", ["/l"], "/u", "/w")])
