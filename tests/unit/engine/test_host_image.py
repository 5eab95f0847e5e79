"""The image `host`: which trees it is made of, and the skeletons that make them writable."""

import os
import stat
from pathlib import Path

import pytest

from ocirun.engine.base import _parts_of_layers
from ocirun.engine.context import Engine
from ocirun.engine.host_image import is_on_host, mark_as_on_host, prepare_host_image
from ocirun.engine.host_skeleton import SYSTEM_TREES, build_skeleton, skeleton_name, wants_skeleton
from ocirun.engine.host_trees import host_layout, parse_mount_table
from ocirun.engine.options import ContainerOptions
from ocirun.engine.settings import Settings
from ocirun.engine.start import dry_run

ROOT_ONLY = "27 1 254:0 / / rw - ext4 /dev/vda rw\n"


def test_mount_table() -> None:
    text = (
        ROOT_ONLY
        + "30 27 0:9 / /mnt/a\\040b rw shared:1 master:2 - xfs /dev/x rw\n30 27 0:9 / /mnt/a\\040b rw - nfs x rw\n\n"
    )
    assert parse_mount_table(text) == {"/": "ext4", "/mnt/a b": "nfs"}


def test_layout_of_this_machine() -> None:
    layout = host_layout("/nowhere/somebody", ["/nowhere/somebody/store"], ROOT_ONLY)
    assert {"/usr", "/etc", "/var"} <= set(layout.trees)
    assert not {"/proc", "/sys", "/dev", "/run", "/tmp", "/home", "/root", "/mnt", "/media"} & set(layout.trees)
    assert layout.directories["/tmp"] == 0o1777
    assert "/nowhere/somebody" in layout.directories
    assert not any("ocirun" in path for path in layout.directories)
    if os.path.islink("/bin"):
        assert layout.links["/bin"] == os.readlink("/bin")


def test_tree_with_the_store_in_it_is_split() -> None:
    layout = host_layout("/root", ["/var/lib/ocirun"], ROOT_ONLY)
    assert "/var" not in layout.trees
    assert "/var/lib" not in layout.trees
    assert "/var/cache" in layout.trees
    assert any(tree.startswith("/var/lib/") for tree in layout.trees)
    assert {"/var", "/var/lib", "/var/tmp"} <= set(layout.directories)
    assert layout.directories["/var/tmp"] == 0o1777
    assert not any(tree.startswith("/var/lib/ocirun") for tree in layout.trees)


@pytest.mark.parametrize(("kind", "shown"), [("xfs", True), ("vfat", False), ("autofs", False)])
def test_tree_with_a_mount_in_it_is_split(kind: str, shown: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    layout = host_layout("/root", [], ROOT_ONLY + f"31 27 8:1 / /usr/share rw - {kind} /dev/sdb rw\n")
    assert "/usr" not in layout.trees
    assert "/usr/bin" in layout.trees
    assert ("/usr/share" in layout.trees) is shown
    assert ("/usr/share" in layout.directories) is not shown


def test_which_trees_get_skeletons() -> None:
    assert all(wants_skeleton(tree, owned=False) for tree in (*SYSTEM_TREES, "/var/lib"))
    assert not wants_skeleton("/data", owned=False)
    assert not wants_skeleton("/usr", owned=True)
    assert wants_skeleton("/var", owned=True)


def test_skeleton_of_a_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").write_text("x", encoding="utf-8")
    (tree / "a" / "b").chmod(0o2750)
    os.utime(tree / "a", ns=(0, 1_000_000_007))
    build_skeleton(str(tree), str(tmp_path / "copy"), owned=False)
    assert sorted(os.listdir(tmp_path / "copy" / "a")) == ["b"]
    assert stat.S_IMODE((tmp_path / "copy" / "a" / "b").stat().st_mode) == 0o2750
    assert (tmp_path / "copy" / "a").stat().st_mtime_ns == 1_000_000_007


def test_skeleton_of_etc(tmp_path: Path) -> None:
    copy = tmp_path / "etc"
    build_skeleton("/etc", str(copy), owned=False)
    assert (copy / "passwd").read_bytes() == Path("/etc/passwd").read_bytes()
    assert (copy / "passwd").stat().st_uid == os.getuid()
    assert stat.S_IMODE((copy / "passwd").stat().st_mode) == stat.S_IMODE(os.stat("/etc/passwd").st_mode)
    assert skeleton_name("/etc", owned=False) == skeleton_name("/etc", owned=False)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_there(tmp_path: Path) -> None:
    build_skeleton("/etc", str(tmp_path / "etc"), owned=False)
    shadow = tmp_path / "etc" / "shadow"
    assert all(line.split(":")[1] == "*" for line in shadow.read_text(encoding="utf-8").splitlines())
    assert stat.S_IMODE(shadow.stat().st_mode) == 0o600


def test_prepared_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    engine = Engine(Settings(str(tmp_path / "root"), str(tmp_path / "run"), home=str(home)))
    engine.prepare()
    first = prepare_host_image(engine)
    made = sorted(os.listdir(f"{engine.layers_directory}/host"))
    assert prepare_host_image(engine).root == first.root
    assert sorted(os.listdir(f"{engine.layers_directory}/host")) == made
    assert os.listdir(engine.temporary_directory) == []
    assert os.path.isdir(first.root + str(home))
    assert stat.S_IMODE(os.stat(f"{first.root}/tmp").st_mode) == 0o1777
    plan = dry_run(engine, ContainerOptions("host", ["true"]))
    assert "execute true PATH=" in plan
    assert "mount an overlay on /usr" in plan
    assert os.listdir(engine.containers_directory) == []
    assert os.listdir(engine.names_directory) == []


def test_only_what_was_committed_here_stands_on_the_machine(tmp_path: Path) -> None:
    engine = Engine(Settings(str(tmp_path / "root"), str(tmp_path / "run")))
    engine.prepare()
    assert not is_on_host(engine, "sha256:ab")
    mark_as_on_host(engine, "sha256:ab")
    mark_as_on_host(engine, "sha256:ab")
    assert is_on_host(engine, "sha256:ab")
    assert not is_on_host(engine, "sha256:cd")


def test_layers_cannot_lead_a_tree_elsewhere(tmp_path: Path) -> None:
    for name in ("plain/var/lib", "other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("linked", "linked-above"):
        (tmp_path / name).mkdir()
    (tmp_path / "linked" / "var").mkdir()
    (tmp_path / "linked" / "var" / "lib").symlink_to(tmp_path / "other")
    (tmp_path / "linked-above" / "var").symlink_to(tmp_path / "plain" / "var")
    layers = [str(tmp_path / name) for name in ("plain", "linked", "linked-above", "other", "missing")]
    assert _parts_of_layers(layers, "/var/lib") == [str(tmp_path / "plain" / "var" / "lib")]


def test_fingerprint_follows_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    name = skeleton_name(str(tree), owned=False)
    assert skeleton_name(str(tree), owned=False) == name
    (tree / "a" / "b").mkdir()
    assert skeleton_name(str(tree), owned=False) != name
