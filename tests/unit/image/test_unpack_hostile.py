"""Archives that want out. Whatever is in them, nothing beside the target changes, and the outcome is one clear line or what docker does."""

import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ocirun.errors import StepError
from ocirun.runtime.steps import Step
from tests.unit.image.archives import (
    END,
    archive,
    directory,
    hard_link,
    member,
    pax_header,
    raw_header,
    record,
    run_step,
    symlink,
    untar,
)

Snapshot = dict[str, tuple[object, ...]]


def snapshot(root: Path) -> Snapshot:
    """All that can be seen of a tree without reading times of access."""
    found: Snapshot = {}
    for top, directories, files in os.walk(root):
        for name in [*directories, *files, "."]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            content = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
            attributes = sorted(os.listxattr(path, follow_symlinks=False))
            looks = (
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_nlink,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
            found[os.path.relpath(path, root)] = (*looks, content, attributes)
    return found


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the target, with things to attack; the target is tmp_path/layer."""
    place = tmp_path / "outside"
    (place / "sub").mkdir(parents=True)
    (place / "secret").write_text("secret")
    (place / "sub" / "file").write_text("file")
    return place


OUT = "../outside"

# What is tried, and what the refusal says. "{out}" stands for the absolute path of the directory outside.
REFUSED = {
    "dots": ([member("../outside/secret", b"x")], "leads out of the layer"),
    "dots in the middle": ([member("a/../../outside/secret", b"x")], "leads out of the layer"),
    "dots at the end": ([directory("a/../..")], "leads out of the layer"),
    "only dots": ([directory("..", 0o777)], "leads out of the layer"),
    "dots as a link": ([symlink("../outside/link", "x")], "leads out of the layer"),
    "link to outside, write through it": ([symlink("a", OUT), member("a/secret", b"x")], "parent directory"),
    "absolute link, write through it": ([symlink("a", "{out}"), member("a/secret", b"x")], "parent directory"),
    "two links": (
        [symlink("a", "."), symlink("a/b", ".."), symlink("b/c", OUT), member("c/new", b"")],
        "parent directory",
    ),
    "link of /proc": ([symlink("a", "/proc/self/cwd"), member("a/new", b"x")], "parent directory"),
    "loop of links": ([symlink("a", "b"), symlink("b", "a"), member("a/new", b"x")], "symbolic links"),
    "hard link by dots": ([hard_link("a", "../outside/secret")], "leads out of the layer"),
    "hard link, absolute": ([hard_link("a", "{out}/secret")], "target of this hard link"),
    "hard link through a link": ([symlink("a", OUT), hard_link("b", "a/secret")], "target of this hard link"),
    "hard link to the root": ([hard_link("a", "./")], "leads out of the layer"),
    "hard link to a directory": ([directory("d"), hard_link("a", "d")], "hard link to a directory"),
    "hard link to nothing": ([hard_link("a", "b")], "target of this hard link"),
    "hard link to a whiteout": ([member(".wh.a"), hard_link("b", "a")], "target of this hard link"),
    "whiteout of dot": ([member(".wh..")], "names no file"),
    "whiteout of dots": ([member("d/.wh...")], "names no file"),
    "whiteout of nothing": ([member("d/.wh.")], "names no file"),
    "whiteout by dots": ([member("../outside/.wh.secret")], "leads out of the layer"),
    "whiteout through a link": ([symlink("a", OUT), member("a/.wh.secret")], "parent directory"),
    "opaque through a link": ([symlink("a", OUT), member("a/.wh..wh..opq")], "parent directory"),
    "below a whiteout": ([directory(".wh.d"), member(".wh.d/file")], "below a whiteout"),
    "file as the root": ([member("./", b"x")], "root directory"),
    "link as the root": ([symlink(".", OUT)], "root directory"),
    "link as the root, absolute": ([symlink("/", OUT)], "root directory"),
    "hard link as the root": ([member("f"), hard_link("", "f")], "root directory"),
    "fifo as the root": ([member("a/..", type_=tarfile.FIFOTYPE)], "root directory"),
    "below a file": ([member("f", b"x"), member("f/g", b"x")], "parent directory"),
    "name too long": ([member("/".join(["d" * 250] * 17), b"")], "too long"),
    "component too long": ([member("n" * 256, b"")], "too long"),
    "symlink too long": ([member("a", type_=tarfile.SYMTYPE, link="l/" * 2100)], "too long"),
    "symlink to nothing": ([symlink("a", "")], "No such file"),
}


def filled(members: list[tuple[tarfile.TarInfo, bytes]], outside: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members with the path of the directory outside in their names."""
    for info, _ in members:
        info.name = info.name.replace("{out}", str(outside))
        info.linkname = info.linkname.replace("{out}", str(outside))
    return members


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path, outside: Path) -> None:
    members, words = REFUSED[name]
    before = snapshot(outside)
    with pytest.raises(StepError, match=words) as caught:
        untar(archive(*filled(members, outside)), tmp_path / "layer")
    assert snapshot(outside) == before
    assert "\n" not in str(caught.value)


def absolute_name_is_inside(layer: Path, outside: Path) -> None:
    assert (layer / str(outside).lstrip("/") / "secret").read_text() == "x"


def link_stays_a_link(layer: Path, outside: Path) -> None:
    assert os.readlink(layer / "a") == str(outside)


def replaced_by_file(layer: Path, _: Path) -> None:
    assert not (layer / "a").is_symlink()
    assert (layer / "a").read_text() == "x"


def replaced_by_directory(layer: Path, _: Path) -> None:
    assert not (layer / "a").is_symlink()
    assert (layer / "a" / "secret").read_text() == "x"


def written_inside(layer: Path, _: Path) -> None:
    assert (layer / "d" / "secret").read_text() == "x"


def whiteout_beside_the_link(layer: Path, _: Path) -> None:
    assert stat.S_ISCHR((layer / "a").stat().st_mode)
    assert (layer / "a").stat().st_rdev == 0


def only_inside(layer: Path, _: Path) -> None:
    assert (layer / "x").read_text() == "x"


# What docker accepts, because it unpacks in a chroot: absolute names and links are then those of the layer.
ACCEPTED: "dict[str, tuple[list[tuple[tarfile.TarInfo, bytes]], Callable[[Path, Path], None]]]" = {
    "absolute name": ([member("{out}/secret", b"x")], absolute_name_is_inside),
    "absolute name with dots": ([member("/../../x", b"x")], only_inside),
    "dots that stay inside": ([member("a/../x", b"x")], only_inside),
    "link to outside": ([symlink("a", "{out}")], link_stays_a_link),
    "file over a link": ([symlink("a", "../outside/secret"), member("a", b"x")], replaced_by_file),
    "directory over a link": ([symlink("a", OUT), directory("a"), member("a/secret", b"x")], replaced_by_directory),
    "absolute link inside": ([directory("d"), symlink("a", "/d"), member("a/secret", b"x")], written_inside),
    "link above the root": ([directory("d"), symlink("a", "../../../d"), member("a/secret", b"x")], written_inside),
    "whiteout of a link": ([member(".wh.a")], whiteout_beside_the_link),
    "file over a directory with a link": (
        [directory("a"), symlink("a/l", "../../outside"), member("a", b"x")],
        replaced_by_file,
    ),
    "hard link to a link": ([symlink("l", "{out}/secret"), hard_link("a", "l"), member("a", b"x")], replaced_by_file),
    "mode of the root": ([directory("./", 0o755), member("x", b"x")], only_inside),
    "forgotten whiteout mark": ([member(".wh..wh.plnk/9"), member(".wh..wh.aufs"), member("x", b"x")], only_inside),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_as_docker_does(name: str, tmp_path: Path, outside: Path) -> None:
    members, check = ACCEPTED[name]
    before = snapshot(outside)
    untar(archive(*filled(members, outside)), tmp_path / "layer")
    check(tmp_path / "layer", outside)
    assert snapshot(outside) == before


# Bytes that are no sound archive, and what is said about them.
BROKEN = {
    "NUL in a name": (pax_header(record(b"path", b"a\0b")) + raw_header(b"x") + END, "NUL byte"),
    "NUL in a link": (pax_header(record(b"linkpath", b"a\0b")) + raw_header(b"x", type_=b"2") + END, "NUL byte"),
    "name too long": (pax_header(record(b"path", b"a/" * 2050)) + raw_header(b"x") + END, "too long"),
    "negative size": (raw_header(b"x", size=b"\xff" * 12) + END, "size is negative"),
    "negative size in letters": (raw_header(b"x", size=b"-0000000001") + END, "no octal digits"),
    "enormous size": (raw_header(b"x", size=b"\x80" + b"\x7f" * 11) + END, "too large"),
    "more than there is": (raw_header(b"x", size=b"77777777777") + END, "cut off"),
    "pax size more than there is": (pax_header(record(b"size", b"999999999999")) + raw_header(b"x") + END, "cut off"),
    "pax size that is none": (pax_header(record(b"size", b"-1")) + raw_header(b"x") + END, "is none"),
    "negative owner": (raw_header(b"x", uid=b"\xff" * 8) + END, "owner is out of range"),
    "owner too large": (pax_header(record(b"uid", b"4294967296")) + raw_header(b"x") + END, "owner is out of range"),
    "time that is none": (pax_header(record(b"mtime", b"noon")) + raw_header(b"x") + END, "time is no number"),
    "wrong checksum": (raw_header(b"x")[:-1] + b"x" + END, "checksum"),
    "no tar at all": (b"#!/bin/sh\n" * 200, "checksum"),
    "cut off in a header": (raw_header(b"x")[:100], "cut off"),
    "cut off in content": (raw_header(b"x", size=b"00000001000") + b"y" * 20, "cut off"),
    "cut off in the padding": (raw_header(b"x", size=b"00000000001") + b"y" * 20, "cut off"),
    "cut off after an extended header": (pax_header(record(b"path", b"y")), "cut off"),
    "extended header without a member": (pax_header(record(b"path", b"y")) + END, "without a member"),
    "extended header too large": (raw_header(b"p", type_=b"x", size=b"%011o" % (2 << 20)) + END, "too large"),
    "many extended headers": (pax_header(record(b"comment", b"c" * 600_000)) * 2 + raw_header(b"x") + END, "too large"),
    "long name too large": (raw_header(b"p", type_=b"L", size=b"%011o" % (2 << 20)) + END, "too large"),
    "record without a length": (pax_header(b"path=x\n") + raw_header(b"x") + END, "extended header is broken"),
    "record longer than the header": (pax_header(b"99 path=x\n") + raw_header(b"x") + END, "extended header is broken"),
    "record shorter than itself": (pax_header(b"3 path=x\n") + raw_header(b"x") + END, "extended header is broken"),
    "record without a keyword": (pax_header(b"5 =x\n") + raw_header(b"x") + END, "extended header is broken"),
    "attribute without a name": (
        pax_header(record(b"SCHILY.xattr.a\0b", b"x")) + raw_header(b"x") + END,
        "a name that is none",
    ),
    "unknown type": (raw_header(b"x", type_=b"Z") + END, "type is unknown"),
    "device without a number": (raw_header(b"x", type_=b"3", magic=b"") + END, "without a device number"),
    "sparse map out of order": (
        pax_header(record(b"GNU.sparse.size", b"100") + record(b"GNU.sparse.map", b"50,1,10,1"))
        + raw_header(b"x", size=b"00000000002")
        + END,
        "sparse map",
    ),
    "sparse map beyond the end": (
        pax_header(record(b"GNU.sparse.size", b"10") + record(b"GNU.sparse.map", b"9,18446744073709551615"))
        + raw_header(b"x")
        + END,
        "sparse map",
    ),
    "sparse map without content": (
        pax_header(record(b"GNU.sparse.size", b"10") + record(b"GNU.sparse.map", b"0,5")) + raw_header(b"x") + END,
        "does not fit",
    ),
    "sparse map of a future version": (
        pax_header(record(b"GNU.sparse.major", b"2") + record(b"GNU.sparse.minor", b"0")) + raw_header(b"x") + END,
        "sparse format",
    ),
    "endless sparse map": (
        pax_header(
            record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0") + record(b"GNU.sparse.realsize", b"9")
        )
        + raw_header(b"x", size=b"00000001000")
        + b"9" * 512
        + END,
        "sparse map",
    ),
    "sparse file of 8 EiB": (
        pax_header(record(b"GNU.sparse.size", b"9223372036854775807") + record(b"GNU.sparse.map", b"0,0"))
        + raw_header(b"x")
        + END,
        "as long as its header says",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, tmp_path: Path, outside: Path) -> None:
    data, words = BROKEN[name]
    before = snapshot(outside)
    with pytest.raises(StepError, match=words):
        untar(data, tmp_path / "layer")
    assert snapshot(outside) == before


def test_marks_of_overlayfs_cannot_be_forged(tmp_path: Path) -> None:
    pax = {
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.ocirun.owner": "0:0",
        "SCHILY.xattr.user.mine": "1",
    }
    counts = untar(archive(member("d", type_=tarfile.DIRTYPE, mode=0o755, pax=pax)), tmp_path / "layer")
    assert os.listxattr(tmp_path / "layer" / "d") == ["user.mine"]
    assert counts["skipped_attributes"] == 4


def test_the_member_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        untar(archive(member("good", b"x"), hard_link("usr/bin/bad", "nowhere")), tmp_path / "layer")
    assert caught.value.path.startswith("usr/bin/bad: ")


@pytest.fixture
def deep_layer(tmp_path: Path) -> Iterator[Path]:
    """A target that the extractor's companion removes: Python's own rmtree cannot, where it is deep."""
    yield tmp_path / "layer"
    run_step(Step("remove_tree", str(tmp_path / "layer")))
    assert not os.path.lexists(tmp_path / "layer")


def test_nesting_ends_with_the_longest_path(deep_layer: Path) -> None:
    untar(archive(member("d/" * 1900 + "f", b"x")), deep_layer)
    with pytest.raises(StepError, match="too long"):
        untar(archive(member("d/" * 2100 + "f", b"x")), deep_layer)
