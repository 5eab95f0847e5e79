"""Uppers become layers that other tools read, the same bytes each time; the list of changes is docker's."""

import gzip
import io
import os
import random
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from ocirun.errors import StepError
from ocirun.image.changes import compressed_tar
from ocirun.runtime.steps import Step
from tests.unit.image.archives import (
    DESCRIPTOR,
    archive,
    directory,
    hard_link,
    member,
    run_step,
    symlink,
    untar,
)
from tests.unit.image.test_unpack_formats import OWNER, is_whiteout, looks, opaque

RESTORE_OWNERS = 1
WHOLE_IMAGE = 2

Tree = tuple[str, Path, list[Path]]


def changes(kind: str, trees: "list[Tree]", place: Path, flags: int = 0) -> bytes:
    """What the step `kind` writes about trees of (prefix, upper, lowers top first)."""
    words = [word for prefix, upper, lowers in trees for word in (prefix, str(upper), *map(str, lowers))]
    with open(place, "wb") as out:
        step = Step(kind, DESCRIPTOR, flags, *(len(lowers) for _, _, lowers in trees), *words)
        run_step(step, {DESCRIPTOR: out.fileno()})
    return place.read_bytes()


def tar_of(upper: Path, place: Path, flags: int = 0) -> bytes:
    """The upper of a container whose image has nothing but a root that looks the same, as a layer."""
    below = place.parent / "below"
    below.mkdir(exist_ok=True)
    return changes("tar_changes", [("", upper, [below])], place, flags)


def listed(trees: "list[Tree]", place: Path) -> list[str]:
    """The list of changes, one "A /path" each."""
    records = changes("list_changes", trees, place).decode("utf-8", "surrogateescape").split("\0")
    return [f"{record[0]} {record[1:]}" for record in records if record]


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """An upper with a bit of everything."""
    place = tmp_path / "upper"
    long = "/".join(["component-" * 9] * 8)
    data = archive(
        directory("z-last", 0o1777, mtime=1.25),
        member("a file", b"content", mtime=1_600_000_000.5),
        directory("a", mtime=2),
        member("a/set", b"x", mode=0o4755),
        member("a-b", b"sorts before what is in a", mtime=-1.5),
        directory(long, mtime=3),
        member(f"{long}/f", b"deep"),
        hard_link(f"{long}/hard", f"{long}/f"),
        symlink(f"{long}/soft", f"/{long}/f"),
        symlink("dangling", "nowhere"),
        member("fifo", type_=tarfile.FIFOTYPE),
        member("attributes", b"", pax={"SCHILY.xattr.user.b": "2", "SCHILY.xattr.user.a": "1\n"}),
        member("umlaut-\udcff", b"latin"),
        directory("full", mtime=4),
        member("full/.wh..wh..opq"),
        member("full/.wh.gone"),
        member(".wh.also gone"),
    )
    untar(data, place)
    with open(place / "sparse", "wb") as file:
        for at in (1 << 20, 9 << 20):
            file.seek(at)
            file.write(b"data" * 3)
        file.truncate(20 << 20)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(".", os.O_PATH)
        os.chdir(place)
        listener.bind("socket")
        os.fchdir(here)
        os.close(here)
    return place


def test_a_layer_comes_back_as_it_was(upper: Path, tmp_path: Path) -> None:
    data = tar_of(upper, tmp_path / "tar")
    again = tmp_path / "again"
    untar(data, again)
    (upper / "socket").unlink()
    assert looks(again) == looks(upper)
    assert is_whiteout(again / "full" / "gone")
    assert is_whiteout(again / "also gone")
    assert opaque(again / "full")
    assert (again / "sparse").stat().st_blocks == (upper / "sparse").stat().st_blocks
    assert {
        name: os.getxattr(again / "attributes", name) for name in os.listxattr(again / "attributes") if name != OWNER
    } == {
        "user.a": b"1\n",
        "user.b": b"2",
    }
    assert tar_of(again, tmp_path / "tar2") == data


def test_members_are_sorted_and_marked_as_the_image_spec_says(upper: Path, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar_of(upper, tmp_path / "tar"))) as tar:
        members = tar.getmembers()
    names = [info.name for info in members]
    assert [name for name in names if "component" not in name] == [
        "a", "a/set", "a file", "a-b", ".wh.also gone", "attributes", "dangling", "fifo",
        "full", "full/.wh..wh..opq", "full/.wh.gone", "sparse", "umlaut-\udcff", "z-last",
    ]  # fmt: skip
    by_name = {info.name: info for info in members}
    assert by_name["a file"].mtime == 1_600_000_000.5
    assert by_name["a-b"].mtime == -1.5
    assert by_name["sparse"].size == 20 << 20
    assert by_name["attributes"].pax_headers == {"SCHILY.xattr.user.a": "1\n", "SCHILY.xattr.user.b": "2"}
    assert all((info.uname, info.gname) == ("", "") for info in members)


@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
def test_gnu_tar_reads_it(upper: Path, tmp_path: Path) -> None:
    data = tar_of(upper, tmp_path / "tar", WHOLE_IMAGE)
    other = tmp_path / "other"
    other.mkdir()
    made = subprocess.run(
        ["tar", "-xp", "--warning=no-timestamp", "-C", other], input=data, capture_output=True, check=True
    )
    assert made.stderr == b""
    (upper / "socket").unlink()
    expected = looks(upper)
    for name in ("also gone", "full/gone"):
        del expected[name]
    assert looks(other) == expected


@pytest.mark.parametrize("seed", range(5))
def test_any_tree_comes_back(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311 (trees that can be made again, no secrets)
    place = tmp_path / "tree"
    place.mkdir()
    places = [place]
    files: list[Path] = []
    for number in range(200):
        path = chance.choice(places) / (chance.choice("aé-._~ \n") * chance.randint(1, 80) + str(number))
        if chance.random() < 0.2:
            path.mkdir(chance.choice([0o755, 0o700, 0o1777]))
            places.append(path)
        elif chance.random() < 0.2:
            path.symlink_to("t" * chance.randint(1, 300))
        elif chance.random() < 0.1 and files:
            os.link(chance.choice(files), path)
        else:
            files.append(path)
            path.write_bytes(chance.randbytes(chance.choice([0, 1, 511, 512, 513, 70_000])))
            os.utime(path, ns=(0, chance.randint(-(10**18), 10**19)))
    untar(tar_of(place, tmp_path / "tar"), tmp_path / "again")
    assert looks(tmp_path / "again") == looks(place)


def test_remembered_owners_come_back(tmp_path: Path) -> None:
    members = (
        member("f", owner=(33, 3_000_000)),
        member("d", type_=tarfile.DIRTYPE, mode=0o755, owner=(5, 6)),
        member("g"),
    )
    untar(archive(*members), tmp_path / "upper")
    with tarfile.open(fileobj=io.BytesIO(tar_of(tmp_path / "upper", tmp_path / "tar", RESTORE_OWNERS))) as tar:
        owners = {info.name: (info.uid, info.gid) for info in tar}
    assert owners == {"f": (33, 3_000_000), "d": (5, 6), "g": (os.geteuid(), os.getegid())}


def test_marks_of_ours_do_not_get_into_an_image(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper" / "f").touch()
    for name in ("user.overlay.origin", "user.ocirun.owner", "user.kept"):
        os.setxattr(tmp_path / "upper" / "f", name, b"x")
    data = tar_of(tmp_path / "upper", tmp_path / "tar")
    assert b"user.kept" in data
    assert b"user.overlay" not in data
    assert b"user.ocirun" not in data


def test_a_file_that_would_be_taken_for_a_whiteout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "upper" / "d").mkdir(parents=True)
    (tmp_path / "upper" / "d" / ".wh.etc").touch()
    with pytest.raises(StepError, match=r"d/\.wh\.etc: a layer can hold no file whose name begins with \.wh\."):
        tar_of(tmp_path / "upper", tmp_path / "tar")


def test_several_trees_make_one_archive(tmp_path: Path) -> None:
    untar(archive(member("bin/new", b"x"), hard_link("bin/same", "bin/new")), tmp_path / "usr")
    untar(archive(directory("./", 0o700), member("passwd", b"y")), tmp_path / "etc")
    trees: list[Tree] = [("etc", tmp_path / "etc", []), ("usr", tmp_path / "usr", []), ("var", tmp_path / "none", [])]
    with tarfile.open(fileobj=io.BytesIO(changes("tar_changes", trees, tmp_path / "tar"))) as tar:
        assert tar.getnames() == ["etc", "etc/passwd", "usr", "usr/bin", "usr/bin/new", "usr/bin/same"]
        assert tar.getmember("usr/bin/same").linkname == "usr/bin/new"
        assert tar.getmember("etc").mode == 0o700
    assert listed(trees, tmp_path / "list") == [
        "C /etc",
        "A /etc/passwd",
        "C /usr",
        "A /usr/bin",
        "A /usr/bin/new",
        "A /usr/bin/same",
    ]


def test_the_root_is_written_when_it_says_something(tmp_path: Path) -> None:
    untar(archive(directory("./", 0o755), member("x")), tmp_path / "lower")
    untar(archive(directory("./", 0o711)), tmp_path / "upper")
    data = changes("tar_changes", [("", tmp_path / "upper", [tmp_path / "lower"])], tmp_path / "tar")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [(info.name, info.mode) for info in tar] == [(".", 0o711)]
    (tmp_path / "upper").chmod(0o755)
    data = changes("tar_changes", [("", tmp_path / "upper", [tmp_path / "lower"])], tmp_path / "tar")
    assert data == bytes(1024)


def test_list_of_changes(tmp_path: Path) -> None:
    bottom, top, upper = tmp_path / "bottom", tmp_path / "top", tmp_path / "upper"
    untar(
        archive(
            directory("etc", mtime=1), member("etc/hosts", b"old"), member("etc/same", b"same"), member("etc/mode", b"m"),
            directory("touched", mtime=1), directory("opaque"), member("opaque/a"), member("opaque/b"), member("opaque/same"),
            member("gone"), member("long gone"), directory("tree"), member("tree/x"), symlink("link", "a"), member("file"),
            directory("dir"), member("dir/x"),
        ),
        bottom,
    )  # fmt: skip
    untar(archive(member(".wh.long gone"), directory("opaque"), member("opaque/c"), member("opaque/.wh.b")), top)
    untar(
        archive(
            directory("etc", mtime=2), member("etc/hosts", b"newer"), member("etc/same", b"same"), member("etc/mode", b"m", mode=0o600),
            directory("touched", mtime=99), directory("opaque"), member("opaque/.wh..wh..opq"), member("opaque/same"), member("opaque/z"),
            member(".wh.gone"), member(".wh.long gone"), member(".wh.never was"), member(".wh.tree"), symlink("link", "bb"),
            directory("file"), member("file/x"), member("dir", b"x"), directory("new"), directory("new/deep"), member("new/deep/f"),
        ),
        upper,
    )  # fmt: skip
    assert listed([("", upper, [top, bottom])], tmp_path / "list") == [
        "C /dir", "C /etc", "C /etc/hosts", "C /etc/mode", "C /file", "A /file/x", "D /gone", "C /link",
        "A /new", "A /new/deep", "A /new/deep/f",
        "C /opaque", "D /opaque/a", "D /opaque/c", "A /opaque/z", "D /tree",
    ]  # fmt: skip
    assert listed([("", tmp_path / "nothing", [top, bottom])], tmp_path / "list") == []


def test_malformed_counts_are_refused(tmp_path: Path) -> None:
    for counts, words in (
        ([5], ["", str(tmp_path)]),
        ([0], ["", str(tmp_path), str(tmp_path)]),
        ([2**18], ["", str(tmp_path)]),
    ):
        with open(tmp_path / "out", "wb") as out, pytest.raises(StepError, match="than the step counts"):
            run_step(Step("list_changes", DESCRIPTOR, 0, *counts, *words), {DESCRIPTOR: out.fileno()})


def test_removing_goes_deep_and_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    root = tmp_path / "tree"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "kept")
    here = os.open(".", os.O_PATH)
    try:
        os.chdir(root)
        for number in range(5000):
            os.mkdir("d" * 20)
            os.chdir("d" * 20)
            if number % 500 == 0:
                Path("file").touch()
    finally:
        os.fchdir(here)
        os.close(here)
    for name in ("no read", "no write", "nothing"):
        (root / name / "inner").mkdir(parents=True)
        (root / name / "inner" / "file").touch()
        (root / name).chmod({"no read": 0o300, "no write": 0o500, "nothing": 0}[name])
    run_step(Step("remove_tree", f"{root}/"))
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]
    run_step(Step("remove_tree", str(root)))
    run_step(Step("remove_tree", str(tmp_path / "nowhere" / "x")))
    os.symlink("kept", tmp_path / "link")
    run_step(Step("remove_tree", str(tmp_path / "link")))
    assert os.listdir(tmp_path) == ["kept"]


def populate(root: Path, source: str, target: Path) -> None:
    """Copy `source`, a path below `root`, into `target`."""
    from ocirun import native
    from ocirun.runtime.steps import Plan

    plan = Plan([Step("open_root", 0, str(root)), Step("populate", source, str(target))])
    native.run_task(plan.encode(), {}, lambda number: plan.steps[number].describe())


def test_an_empty_volume_gets_the_content_of_the_image(upper: Path, tmp_path: Path) -> None:
    (upper / "socket").unlink()
    volume = tmp_path / "volume"
    volume.mkdir(0o700)
    upper.chmod(0o751)
    populate(tmp_path, "/upper", volume)
    expected, found = looks(upper), looks(volume)
    assert found == expected
    assert oct(volume.stat().st_mode) == "0o40751"
    assert (volume / "sparse").stat().st_blocks == (upper / "sparse").stat().st_blocks
    assert not opaque(volume / "full")
    (upper / "later").touch()
    populate(tmp_path, "/upper", volume)
    assert not (volume / "later").exists()


def read_all(write_tar: object) -> bytes:
    reader = compressed_tar(write_tar)  # type: ignore[arg-type] # each test's own function
    try:
        return b"".join(iter(lambda: reader.read(1000), b""))
    finally:
        reader.close()


def test_compressed_tar_is_the_same_each_time() -> None:
    data = b"some text " * 300_000

    def write(descriptor: int) -> None:
        with open(descriptor, "wb", closefd=False) as out:
            out.write(data)

    packed = read_all(write)
    assert gzip.decompress(packed) == data
    assert packed == read_all(write)
    assert packed[4:8] == bytes(4)  # no time


def test_errors_of_the_writer_come_instead_of_the_end() -> None:
    def write(descriptor: int) -> None:
        os.write(descriptor, b"x" * 1000)
        raise StepError("write the changes as a tar: No space left on device")

    with pytest.raises(StepError, match="No space left"):
        read_all(write)


def test_a_reader_that_is_closed_early_stops_the_writer() -> None:
    errors: list[OSError] = []

    def write(descriptor: int) -> None:
        try:
            while True:
                os.write(descriptor, b"x" * 65536)
        except OSError as error:
            errors.append(error)
            raise

    reader = compressed_tar(write)
    assert len(reader.read(10)) == 10
    reader.close()
    reader.close()
    assert isinstance(errors[0], BrokenPipeError)
