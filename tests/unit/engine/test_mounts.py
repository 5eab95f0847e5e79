"""What the user's and the image's mounts become: entries of the record, runtime mounts, volumes on disk."""

import os
from pathlib import Path

import pytest

from ocirun.engine.context import Engine
from ocirun.engine.mounts import plan_mounts, populated_targets, prepare_mounts, runtime_mounts
from ocirun.engine.network_files import network_files, write_network_files
from ocirun.engine.options import ContainerOptions, Mount
from ocirun.engine.settings import Settings
from ocirun.engine.volumes import create_volume, inspect_volume, list_volumes, remove_volume
from ocirun.errors import ConflictError, InvalidError, NotFoundError, UnsupportedError, UsageError


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An empty store."""
    made = Engine(Settings(str(tmp_path / "root"), str(tmp_path / "run")))
    made.prepare()
    return made


def test_parents_come_first_and_image_volumes_last() -> None:
    options = ContainerOptions(
        "img", mounts=[Mount("bind", "/x", "/a/b/c"), Mount("volume", "v", "/a/./b/")], tmpfs=["/a:size=1m,noexec"]
    )
    planned = plan_mounts(options, ["/a/b", "/data", "/"])
    assert [(mount.kind, mount.source, mount.target) for mount in planned] == [
        ("tmpfs", "", "/a"),
        ("volume", "", "/data"),
        ("volume", "v", "/a/b"),
        ("bind", "/x", "/a/b/c"),
    ]
    assert planned[0].options == {"size": "1m", "noexec": ""}


@pytest.mark.parametrize(
    ("mounts", "message"),
    [
        ([Mount("bind", "/x", "/a"), Mount("volume", "", "/b/../a")], "Duplicate mount point: /a"),
        ([Mount("bind", "/x", "/")], "destination can't be '/'"),
        ([Mount("bind", "/x", "/a/../..")], "destination can't be '/'"),
        ([Mount("bind", "/x", "relative")], "mount path must be absolute"),
    ],
)
def test_targets_that_make_no_sense(mounts: list[Mount], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_mounts(ContainerOptions("img", mounts=mounts), [])


def test_bind_source(engine: Engine, tmp_path: Path) -> None:
    missing = str(tmp_path / "new" / "source")
    with pytest.raises(InvalidError, match="bind source path does not exist"):
        prepare_mounts(engine, [Mount("bind", missing, "/t")], [])
    mount = Mount("bind", missing, "/t", create_source=True, read_only=True)
    prepare_mounts(engine, [mount], [], make=False)
    assert not os.path.exists(missing)
    entry = prepare_mounts(engine, [mount], [])[0]
    assert os.path.isdir(missing)
    assert (entry["Type"], entry["Source"], entry["RW"], entry["Propagation"], entry["Mode"]) == (
        "bind",
        missing,
        False,
        "rprivate",
        "ro",
    )
    assert runtime_mounts([entry])[0]["options"] == ["rbind", "rro", "rprivate"]


def test_volumes_of_a_container(engine: Engine) -> None:
    made: list[str] = []
    named, anonymous, empty = prepare_mounts(
        engine,
        [Mount("volume", "data", "/d"), Mount("volume", "", "/a"), Mount("volume", "bare", "/n", copy_up=False)],
        made,
    )
    assert made == [anonymous["Name"]]
    assert len(anonymous["Name"]) == 64
    assert named["Source"] == f"{engine.volumes_directory}/data/_data"
    assert os.path.isdir(named["Source"])
    assert populated_targets([named, anonymous, empty]) == {"/d", "/a"}
    with pytest.raises(UnsupportedError):
        prepare_mounts(engine, [Mount("volume", "data", "/d", options={"subpath": "x"})], [])
    assert runtime_mounts([named])[0]["source"] == named["Source"]


def test_tmpfs(engine: Engine) -> None:
    entry = prepare_mounts(engine, [Mount("tmpfs", "", "/t", options={"size": "1024", "exec": ""})], [])[0]
    mount = runtime_mounts([entry])[0]
    assert (mount["type"], mount["destination"]) == ("tmpfs", "/t")
    assert "size=1024" in mount["options"]
    assert "exec" in mount["options"]
    assert "noexec" not in mount["options"]


def test_volume_documents(engine: Engine) -> None:
    volume = create_volume(engine, "data", {"a": "b"})
    assert (volume["Name"], volume["Labels"], volume["Driver"]) == ("data", {"a": "b"}, "local")
    assert create_volume(engine, "data", {"c": "d"}) == volume
    assert inspect_volume(engine, "data") == volume
    anonymous = create_volume(engine)
    assert anonymous["Labels"] == {"com.docker.volume.anonymous": ""}
    assert len(list_volumes(engine)) == 2
    assert os.listdir(engine.temporary_directory) == []


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b", "x" * 256])
def test_volume_names(engine: Engine, name: str) -> None:
    with pytest.raises(UsageError, match="includes invalid characters for a local volume name"):
        create_volume(engine, name)


def test_volume_in_use(engine: Engine) -> None:
    create_volume(engine, "data")
    directory = engine.container_directory("ab" * 32)
    os.mkdir(directory)
    Path(directory, "container.json").write_text('{"mounts":[{"Type":"volume","Name":"data"}]}', encoding="utf-8")
    with pytest.raises(ConflictError, match=r"remove data: volume is in use - \[abab"):
        remove_volume(engine, "data")
    with pytest.raises(NotFoundError, match="get other: no such volume"):
        remove_volume(engine, "other")
    remove_volume(engine, "other", force=True)


def test_network_files(tmp_path: Path) -> None:
    write_network_files(str(tmp_path), "me", "none", ["db:10.0.0.1", "six:::1"])
    hosts = (tmp_path / "hosts").read_text(encoding="utf-8")
    assert hosts.startswith("127.0.0.1\tlocalhost\n::1\tlocalhost ")
    assert "127.0.0.1\tme\n" in hosts
    assert hosts.endswith("10.0.0.1\tdb\n::1\tsix\n")
    assert (tmp_path / "hostname").read_text(encoding="utf-8") == "me\n"
    assert (tmp_path / "resolv.conf").stat().st_mode & 0o777 == 0o644
    assert network_files("/c")["/etc/hosts"] == "/c/hosts"
    write_network_files(str(tmp_path), "me", "host", [])
    assert (tmp_path / "hosts").read_bytes() == Path("/etc/hosts").read_bytes()
