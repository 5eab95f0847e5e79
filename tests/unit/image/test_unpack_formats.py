"""What tar makers write comes out as they meant it: GNU tar's formats, pax, Python's tarfile, and the layers of images."""

import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from ocirun.errors import StepError
from tests.unit.image.archives import (
    END,
    SQUASH,
    archive,
    directory,
    hard_link,
    member,
    padded,
    pax_header,
    raw_header,
    record,
    symlink,
    untar,
)

OPAQUE = "user.overlay.opaque"
OWNER = "user.ocirun.owner"
DURABLE = 4


def looks(root: Path) -> dict[str, tuple[object, ...]]:
    """What an archive says about each file of a tree."""
    found: dict[str, tuple[object, ...]] = {}
    for top, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = os.path.join(top, name)
            status = os.lstat(path)
            content: object = Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            links = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
            # A whiteout has no time of its own.
            time = 0 if stat.S_ISCHR(status.st_mode) else status.st_mtime_ns
            found[os.path.relpath(path, root)] = (
                oct(status.st_mode),
                status.st_size if content else 0,
                content,
                links,
                time,
            )
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a bit of everything that an ordinary user can make."""
    root = tmp_path / "tree"
    deep = root / ("long-" * 20) / ("name-" * 30)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"deep" * 1000)
    (deep / "link").symlink_to("../" * 40 + "target" * 20)
    (root / "empty").touch()
    (root / "block").write_bytes(b"b" * 512)
    (root / "one more").write_bytes(b"c" * 513)
    (root / "umlaut-ä-\udcff").write_bytes(b"latin")
    os.link(root / "block", root / "zz-same")
    (root / "setuid").touch()
    (root / "setuid").chmod(0o4755)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    (root / "closed").mkdir()
    (root / "closed" / "inside").write_text("x")
    (root / "closed").chmod(0o500)
    os.mkfifo(root / "fifo")
    with open(root / "sparse", "wb") as file:
        for at in range(0, 40 << 20, 1 << 20):
            file.seek(at)
            file.write(b"data")
        file.truncate(50 << 20)
    for path, time in ((root / "empty", 1_500_000_000), (root / "sticky", 1_400_000_000), (root / "block", 0)):
        os.utime(path, ns=(time * 10**9, time * 10**9))
    return root


def truncate_times(found: dict[str, tuple[object, ...]]) -> dict[str, tuple[object, ...]]:
    return {name: (*values[:-1], int(str(values[-1])) // 10**9) for name, values in found.items()}


@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=oldgnu"],
        ["--format=posix"],
        ["--format=gnu", "--sparse"],
        ["--format=posix", "--sparse", "--sparse-version=0.0"],
        ["--format=posix", "--sparse", "--sparse-version=0.1"],
        ["--format=posix", "--sparse", "--sparse-version=1.0"],
        ["--format=gnu", "--label=volume"],
    ],
    ids=" ".join,
)
def test_what_gnu_tar_writes(options: list[str], tree: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        ["tar", "-c", *options, "--numeric-owner", "-C", tree, "."], stdout=subprocess.PIPE, check=True
    )
    untar(made.stdout, tmp_path / "layer")
    exact = "--format=posix" in options
    expected, found = looks(tree), looks(tmp_path / "layer")
    assert (found if exact else truncate_times(found)) == (expected if exact else truncate_times(expected))
    if "--sparse" in options:
        assert (tmp_path / "layer" / "sparse").stat().st_blocks * 512 < 30 << 20


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_what_tarfile_writes(format_: int, tree: Path, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
        tar.add(tree, ".")
    untar(out.getvalue(), tmp_path / "layer")
    assert truncate_times(looks(tmp_path / "layer")) == truncate_times(looks(tree))


def test_a_prefix_of_ustar_and_of_star(tmp_path: Path) -> None:
    star = bytearray(raw_header(b"file", rest=b"p/q\0" + bytes(127) + b"00000000000\0"))
    star[508:512] = b"tar\0"
    star[148:156] = b" " * 8
    star[148:156] = b"%06o\0 " % sum(star)
    untar(raw_header(b"name", rest=b"a/b") + bytes(star) + END, tmp_path / "layer")
    assert (tmp_path / "layer" / "a" / "b" / "name").is_file()
    assert (tmp_path / "layer" / "p" / "q" / "file").is_file()


def test_the_oldest_archives(tmp_path: Path) -> None:
    untar(
        raw_header(b"dir/", type_=b"\0", magic=b"", mode=b"0000755")
        + raw_header(b"dir/file", type_=b"\0", magic=b"")
        + END,
        tmp_path / "layer",
    )
    assert (tmp_path / "layer" / "dir" / "file").is_file()


def test_numbers_in_base_256(tmp_path: Path) -> None:
    mtime = b"\x80" + (5_000_000_000).to_bytes(11, "big")
    before_1970 = b"\xff" + (-86400).to_bytes(11, "big", signed=True)
    size = b"\x80" + (3).to_bytes(11, "big")
    data = raw_header(b"a", mtime=mtime, size=size) + padded(b"abc") + raw_header(b"b", mtime=before_1970) + END
    untar(data, tmp_path / "layer")
    assert (tmp_path / "layer" / "a").read_bytes() == b"abc"
    assert (tmp_path / "layer" / "a").stat().st_mtime == 5_000_000_000
    assert (tmp_path / "layer" / "b").stat().st_mtime == -86400


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"1.5", 1_500_000_000),
        (b"1", 1_000_000_000),
        (b"1.", 1_000_000_000),
        (b"1600000000.123456789", 1_600_000_000_123_456_789),
        (b"1600000000.1234567899", 1_600_000_000_123_456_789),
        (b"-1.5", -1_500_000_000),
        (b"-0.000000001", -1),
        (b"-2", -2_000_000_000),
    ],
)
def test_times(text: bytes, nanoseconds: int, tmp_path: Path) -> None:
    untar(pax_header(record(b"mtime", text)) + raw_header(b"x") + END, tmp_path / "layer")
    assert (tmp_path / "layer" / "x").stat().st_mtime_ns == nanoseconds


def test_global_headers_give_owner_and_time_only(tmp_path: Path) -> None:
    data = pax_header(record(b"mtime", b"5") + record(b"path", b"everywhere") + record(b"comment", b"git"), b"g")
    data += raw_header(b"a") + pax_header(record(b"mtime", b"7")) + raw_header(b"b") + END
    untar(data, tmp_path / "layer")
    assert sorted(os.listdir(tmp_path / "layer")) == ["a", "b"]
    assert [int((tmp_path / "layer" / name).stat().st_mtime) for name in "ab"] == [5, 7]


def test_extended_headers_and_gnu_long_names_mix(tmp_path: Path) -> None:
    long = b"l" * 150
    data = raw_header(b"././@LongLink", type_=b"L", size=b"%011o" % (len(long) + 1)) + padded(long + b"\0")
    data += pax_header(record(b"mtime", b"9")) + raw_header(b"short") + END
    untar(data, tmp_path / "layer")
    assert int((tmp_path / "layer" / os.fsdecode(long)).stat().st_mtime) == 9


def test_bytes_after_the_end_are_ignored(tmp_path: Path) -> None:
    counts = untar(archive(member("x")) + b"rubbish" * 100_000, tmp_path / "layer")
    assert counts["files"] == 1
    untar(raw_header(b"y"), tmp_path / "layer")  # and a missing end mark does not hurt
    untar(b"", tmp_path / "layer")
    assert sorted(os.listdir(tmp_path / "layer")) == ["x", "y"]


def test_attributes(tmp_path: Path) -> None:
    pax = {"SCHILY.xattr.user.one": "1", "SCHILY.xattr.user.two": "a=b\n", "SCHILY.xattr.security.nonsense": "x"}
    counts = untar(archive(member("f", b"x", pax=pax)), tmp_path / "layer")
    path = tmp_path / "layer" / "f"
    assert os.getxattr(path, "user.one") == b"1"
    assert os.getxattr(path, "user.two") == b"a=b\n"
    if os.geteuid() != 0:
        assert counts["skipped_attributes"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owners_and_capabilities_as_root(tmp_path: Path) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    data = pax_header(record(b"SCHILY.xattr.security.capability", capability) + record(b"uid", b"4000000000"))
    data += (
        raw_header(b"ping", mode=b"0004755")
        + raw_header(b"dev", type_=b"3", rest=b"")
        + symlink_header(b"l", b"ping")
        + END
    )
    untar(data, tmp_path / "layer", flags=0)
    status = (tmp_path / "layer" / "ping").stat()
    assert (status.st_uid, oct(status.st_mode)) == (4_000_000_000, "0o104755")
    assert os.getxattr(tmp_path / "layer" / "ping", "security.capability") == capability
    assert (tmp_path / "layer" / "l").lstat().st_uid == 7


def symlink_header(name: bytes, target: bytes) -> bytes:
    return raw_header(name, type_=b"2", link=target, uid=b"0000007")


def test_owners_are_remembered_when_squashed(tmp_path: Path) -> None:
    data = archive(
        member("f", owner=(33, 44)), member("d", type_=tarfile.DIRTYPE, mode=0o755, owner=(5, 0)), member("mine")
    )
    counts = untar(data, tmp_path / "layer", flags=SQUASH)
    assert counts["squashed"] == 2
    assert os.getxattr(tmp_path / "layer" / "f", OWNER) == b"33:44"
    assert os.getxattr(tmp_path / "layer" / "d", OWNER) == b"5:0"
    assert os.listxattr(tmp_path / "layer" / "mine") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may make devices")
def test_devices_that_may_not_be_made_are_left_out(tmp_path: Path) -> None:
    data = archive(member("null", type_=tarfile.CHRTYPE, device=(1, 3)), member("after"))
    assert untar(data, tmp_path / "layer")["skipped_devices"] == 1
    assert os.listdir(tmp_path / "layer") == ["after"]
    with pytest.raises(StepError, match="null"):
        untar(data, tmp_path / "other", flags=SQUASH)


def is_whiteout(path: Path) -> bool:
    return stat.S_ISCHR(path.lstat().st_mode) and path.lstat().st_rdev == 0


def opaque(path: Path) -> bool:
    return OPAQUE in os.listxattr(path) and os.getxattr(path, OPAQUE) == b"y"


def test_whiteouts_speak_of_lower_layers_only(tmp_path: Path) -> None:
    """Image spec, layer.md: a whiteout and a file of one name may stand in one layer, in either order."""
    data = archive(
        member("d/.wh.gone"),
        member("file"),
        member(".wh.file"),
        member(".wh.later"),
        member("later", b"x"),
        directory("dir"),
        member("dir/new"),
        member(".wh.dir"),
        member(".wh.dir2"),
        directory("dir2"),
        member(".wh.twice"),
        member(".wh.twice"),
        member(".wh.implied"),
        member("implied/new"),
    )
    untar(data, layer := tmp_path / "layer")
    assert is_whiteout(layer / "d" / "gone")
    assert is_whiteout(layer / "twice")
    assert (layer / "file").is_file()
    assert (layer / "later").read_text() == "x"
    assert [opaque(layer / name) for name in ("dir", "dir2", "implied", "d")] == [True, True, True, False]
    assert (layer / "dir" / "new").is_file()


def test_opaque_marks(tmp_path: Path) -> None:
    data = archive(directory("a"), member("a/.wh..wh..opq"), member("b/.wh..wh..opq"), directory("b"), member("b/x"))
    untar(data, layer := tmp_path / "layer")
    assert opaque(layer / "a")
    assert opaque(layer / "b")
    assert os.listdir(layer / "b") == ["x"]


def test_later_members_replace_earlier_ones(tmp_path: Path) -> None:
    data = archive(
        directory("a"), member("a/x"), member("a", b"file"),
        member("b", b"file"), directory("b"), member("b/x"),
        directory("c", 0o700), member("c/kept"), directory("c", 0o750, mtime=77),
        member("d", b"old"), member("d", b"new"),
        symlink("e", "d"), member("e", b"own"),
        member("f"), hard_link("g", "f"), member("f", b"apart"), hard_link("g", "g"),
    )  # fmt: skip
    untar(data, layer := tmp_path / "layer")
    assert (layer / "a").read_text() == "file"
    assert os.listdir(layer / "b") == ["x"]
    assert os.listdir(layer / "c") == ["kept"]
    assert (oct((layer / "c").stat().st_mode), (layer / "c").stat().st_mtime) == ("0o40750", 77)
    assert [(layer / name).read_text() for name in "deg"] == ["new", "own", ""]
    assert (layer / "f").stat().st_nlink == 1


def test_times_of_directories_survive_what_is_put_into_them(tmp_path: Path) -> None:
    data = archive(
        directory("./", mtime=1),
        directory("a", mtime=2),
        directory("a/b", 0o500, mtime=3),
        member("a/b/c"),
        member("a/d"),
        hard_link("a/e", "a/d"),
    )
    untar(data, layer := tmp_path / "layer")
    assert [(layer / name).stat().st_mtime for name in (".", "a", "a/b")] == [1, 2, 3]
    assert oct((layer / "a" / "b").stat().st_mode) == "0o40500"


@pytest.fixture
def lowers(tmp_path: Path) -> tuple[Path, Path]:
    """Two lower layers: (top, bottom)."""
    bottom, top = tmp_path / "bottom", tmp_path / "top"
    untar(
        archive(
            directory("usr", 0o711, mtime=11), directory("usr/lib", 0o701, mtime=12), member("usr/lib/a", b"bottom", mtime=13, owner=(1, 2)),
            directory("hidden", 0o700, mtime=14), member("hidden/x", b"hidden"), member("gone", b"gone"), symlink("lib", "usr/lib"),
        ),
        bottom,
    )  # fmt: skip
    untar(
        archive(
            directory("usr", 0o700, mtime=21),
            directory("hidden", 0o750, mtime=22),
            member("hidden/.wh..wh..opq"),
            member(".wh.gone"),
        ),
        top,
    )
    return top, bottom


def test_implied_directories_look_as_below(tmp_path: Path, lowers: tuple[Path, Path]) -> None:
    untar(
        archive(member("usr/lib/new"), member("hidden/sub/new"), member("lib/new"), member("fresh/new")),
        layer := tmp_path / "layer",
        *lowers,
    )

    def look(name: str) -> tuple[str, int]:
        status = (layer / name).lstat()
        return oct(status.st_mode & 0o7777), int(status.st_mtime)

    assert look("usr") == ("0o700", 21)
    assert look("usr/lib") == ("0o701", 12)
    assert look("hidden") == ("0o750", 22)
    assert not opaque(layer / "hidden")
    # A lower link is not followed: the new directory takes its place, as overlayfs shows it.
    assert [look(name)[0] for name in ("lib", "fresh", "hidden/sub")] == ["0o755"] * 3


def test_hard_links_into_lower_layers_are_copies(tmp_path: Path, lowers: tuple[Path, Path]) -> None:
    untar(archive(hard_link("usr/bin/b", "usr/lib/a"), hard_link("l", "lib")), layer := tmp_path / "layer", *lowers)
    copy = layer / "usr" / "bin" / "b"
    assert (copy.read_bytes(), copy.stat().st_mtime, os.getxattr(copy, OWNER)) == (b"bottom", 13, b"1:2")
    assert os.readlink(layer / "l") == "usr/lib"
    for hidden in ("gone", "hidden/x", "nowhere", "usr/lib/a/x"):
        with pytest.raises(StepError, match="target of this hard link"):
            untar(archive(hard_link("x", hidden)), tmp_path / "other", *lowers)


def test_a_durable_layer_is_flushed(tmp_path: Path) -> None:
    assert untar(archive(member("x", b"x")), tmp_path / "layer", flags=SQUASH | DURABLE)["files"] == 1


def test_ten_thousand_members_and_names_of_all_lengths(tmp_path: Path) -> None:
    names = [f"{'d' * (index % 90 + 1)}/{index}{'n' * (index % 200)}" for index in range(10_000)]
    counts = untar(
        archive(*(member(name, str(index).encode()) for index, name in enumerate(names))), layer := tmp_path / "layer"
    )
    assert counts["files"] == 10_000
    assert all((layer / names[index]).read_text() == str(index) for index in range(0, 10_000, 997))
