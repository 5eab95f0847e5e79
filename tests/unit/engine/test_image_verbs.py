"""The engine's verbs for images, on a store in a directory."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ocirun.engine.history import image_history
from ocirun.engine.import_image import import_image
from ocirun.engine.inspect_image import image_document
from ocirun.engine.list_images import list_images, matches_pattern, seconds_of
from ocirun.engine.load_image import load_images
from ocirun.engine.remove_image import DELETED, UNTAGGED, ImageRemover, remove_image
from ocirun.engine.run_lock import take_run_lock
from ocirun.engine.save_image import save_images
from ocirun.engine.tag import tag_image
from ocirun.engine.validate import validate
from ocirun.errors import ConflictError, InvalidError, NotFoundError, StorageError, UnsupportedError, UsageError
from ocirun.image import layout
from ocirun.oci.digest import chain_ids
from ocirun.oci.reference import Reference
from tests.unit.engine.images import PlainEngine
from tests.unit.image.stores import Made, digest_of, layout_of, tar_of, write_directory, write_tar

BASE = tar_of({"a": b"1" * 1000})
TOP = tar_of({"b": b"2"})
IMAGE = Made(BASE, TOP)
OTHER = Made(BASE, created="2027-01-02T03:04:05Z", config={"Labels": {"color": "blue"}})
USER = 64 * "c"


@pytest.fixture
def engine(tmp_path: Path) -> PlainEngine:
    return PlainEngine(tmp_path)


@pytest.fixture
def filled(engine: PlainEngine, tmp_path: Path) -> PlainEngine:
    for image, name in ((IMAGE, "debian:12"), (OTHER, "quay.io/x/other:1")):
        load_images(engine, str(write_directory(tmp_path / name.replace("/", "-"), layout_of(image, name))))
    return engine


def listed(engine: PlainEngine, **filters: list[str]) -> list[str]:
    return [name.familiar for image in list_images(engine, filters) for name in image.names]


def blobs(engine: PlainEngine) -> set[str]:
    return {f"sha256:{name}" for name in os.listdir(f"{engine.images_directory}/blobs/sha256")}


def test_load_from_a_path_and_from_an_open_file(engine: PlainEngine, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", layout_of(IMAGE, "debian:12"))
    (loaded,) = load_images(engine, str(path))
    assert (loaded.id, str(loaded.reference), loaded.replaced_id) == (IMAGE.id, "docker.io/library/debian:12", "")
    with path.open("rb") as file:
        assert load_images(engine, file)[0].id == IMAGE.id
    write_tar(path, layout_of(OTHER, "debian:12"))
    (loaded,) = load_images(engine, str(path))
    assert (loaded.id, loaded.replaced_id) == (OTHER.id, IMAGE.id)
    write_tar(path, layout_of(IMAGE))
    assert load_images(engine, str(path))[0].reference is None


def test_load_of_what_is_not_there(engine: PlainEngine, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"^open .*: no such file or directory$"):
        load_images(engine, str(tmp_path / "missing"))
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StorageError):
        load_images(engine, str(tmp_path / "loop"))


def test_list(filled: PlainEngine) -> None:
    first, second = list_images(filled)
    assert (first.id, first.size, first.created) == (OTHER.id, 1000, "2027-01-02T03:04:05Z")
    assert (second.id, second.size, second.tags, second.digests) == (IMAGE.id, 1001, ["debian:12"], [])
    assert second.manifest_digest == digest_of(IMAGE.manifest_bytes)
    assert (first.labels, second.labels) == ({"color": "blue"}, {"color": "red"})


@pytest.mark.parametrize(
    "filters, expected",
    [
        ({}, ["quay.io/x/other:1", "debian:12"]),
        ({"dangling": ["true"]}, []),
        ({"dangling": ["0"]}, ["quay.io/x/other:1", "debian:12"]),
        ({"label": ["color"]}, ["quay.io/x/other:1", "debian:12"]),
        ({"label": ["color=red"]}, ["debian:12"]),
        ({"label": ["color=red", "size"]}, []),
        ({"reference": ["debian"]}, ["debian:12"]),
        ({"reference": ["deb*:1?"]}, ["debian:12"]),
        ({"reference": ["quay.io/*/*"]}, ["quay.io/x/other:1"]),
        ({"reference": ["*", "quay.io/x/other"]}, ["quay.io/x/other:1", "debian:12"]),
        ({"before": ["quay.io/x/other:1"]}, ["debian:12"]),
        ({"since": ["debian:12"]}, ["quay.io/x/other:1"]),
        ({"until": ["2026-06-01T00:00:00Z"]}, ["debian:12"]),
    ],
)
def test_filters(filled: PlainEngine, filters: dict[str, list[str]], expected: list[str]) -> None:
    assert listed(filled, **filters) == expected


def test_filters_that_are_none(filled: PlainEngine) -> None:
    for filters in ({"nonsense": ["x"]}, {"dangling": ["maybe"]}):
        with pytest.raises(UsageError, match="invalid filter"):
            list_images(filled, filters)
    with pytest.raises(NotFoundError):
        list_images(filled, {"since": ["nobody"]})


def test_small_things(filled: PlainEngine) -> None:
    assert not matches_pattern(Reference.parse("a/b:1"), "*")
    assert (seconds_of(""), seconds_of("0001-01-01T00:00:00Z"), seconds_of("soon")) == (0, 0, 0)
    assert seconds_of("1970-01-01T00:00:01.5Z") == 1.5


def test_what_another_tool_put_there_is_read_in_full(filled: PlainEngine) -> None:
    entries = filled.store.descriptors()
    plain: Any = [
        {**entry, "annotations": {"org.opencontainers.image.ref.name": f"n{number}"}}
        for number, entry in enumerate(entries)
    ]
    layout.write_index(filled.images_directory, plain)
    assert sorted(listed(filled)) == ["n0:latest", "n1:latest", "n2:latest"]
    sizes = {image.id: image.size for image in list_images(filled)}
    assert sizes[IMAGE.id] == sum(len(data) for data in IMAGE.blobs)
    assert {image.created for image in list_images(filled)} == {"2026-01-02T03:04:05Z", "2027-01-02T03:04:05Z"}


def test_inspect(filled: PlainEngine) -> None:
    tag_image(filled, "debian:12", "example.org/more")
    document = image_document(filled, "debian:12")
    assert document["Id"] == IMAGE.id
    assert document["RepoTags"] == ["debian:12", "example.org/more:latest"]
    assert document["Config"]["Cmd"] == ["sh"]
    assert document["Config"]["Env"] is None
    assert document["Config"]["User"] == ""
    assert document["RootFS"]["Layers"] == [digest_of(BASE), digest_of(TOP)]
    assert document["GraphDriver"]["Data"]["UpperDir"].startswith(filled.layers_directory)
    assert document["GraphDriver"]["Data"]["LowerDir"].endswith(digest_of(BASE)[7:])
    assert document["Metadata"]["LastTagTime"].startswith("20")
    assert document["Size"] == 1001
    assert "Variant" not in document


def test_inspect_of_an_image_with_everything(engine: PlainEngine, tmp_path: Path) -> None:
    rich = Made(BASE, architecture="arm", variant="v7", author="me", history=None)
    rich.config["os.version"] = "1"
    rich.config["config"] = {"Healthcheck": {"Test": ["NONE"]}, "ExposedPorts": {"80/tcp": {}}}
    load_images(engine, str(write_directory(tmp_path / "x", layout_of(rich, "rich"))))
    document = image_document(engine, "rich")
    assert (document["Variant"], document["OsVersion"], document["Author"], document["Comment"]) == (
        "v7",
        "1",
        "me",
        "",
    )
    assert document["Config"]["ExposedPorts"] == {"80/tcp": {}}
    engine.layers.remove(chain_ids([digest_of(BASE)])[0])
    assert image_document(engine, "rich")["GraphDriver"] == {"Data": None, "Name": "overlay"}


def test_history(filled: PlainEngine, tmp_path: Path) -> None:
    top, base = image_history(filled, "debian:12")
    assert (top.id, top.size, top.created_by, top.tags) == (IMAGE.id, 1, "made", ["debian:12"])
    assert (base.id, base.size, base.tags) == ("<missing>", 1000, [])
    steps = [{"created_by": "ENV", "empty_layer": True}, {"created_by": "ADD", "comment": "c"}]
    for number, history in enumerate((steps, None, [])):
        made = Made(BASE, TOP, history=history)
        load_images(filled, str(write_directory(tmp_path / str(number), layout_of(made, f"h:{number}"))))
    assert [(step.created_by, step.size) for step in image_history(filled, "h:0")] == [
        ("", 1),
        ("ADD", 1000),
        ("ENV", 0),
    ]
    assert [step.size for step in image_history(filled, "h:1")] == [1, 1000]
    empty = Made(history=[])
    load_images(filled, str(write_directory(tmp_path / "empty", layout_of(empty, "empty"))))
    assert [step.size for step in image_history(filled, "empty")] == [0]


def test_tag(filled: PlainEngine) -> None:
    tag_image(filled, IMAGE.id[7:19], "docker.io/me/app")
    assert filled.store.resolve("me/app:latest").id == IMAGE.id
    tag_image(filled, "quay.io/x/other:1", "me/app")
    assert filled.store.resolve("me/app").id == OTHER.id
    assert listed(filled) == ["me/app:latest", "quay.io/x/other:1", "debian:12"]
    assert [image.size for image in list_images(filled)] == [1000, 1001]
    with pytest.raises(UsageError, match="refusing to create a tag with a digest reference"):
        tag_image(filled, "debian:12", f"x@{IMAGE.id}")
    with pytest.raises(ConflictError, match="reserved"):
        tag_image(filled, "debian:12", "host")
    with pytest.raises(UsageError, match="ambiguous tag using digest algorithm as name"):
        tag_image(filled, "debian:12", "sha256:abc")
    with pytest.raises(NotFoundError):
        tag_image(filled, "nobody", "x")
    with pytest.raises(InvalidError):
        tag_image(filled, "debian:12", "Bad")


def test_remove_the_last_name(filled: PlainEngine) -> None:
    assert remove_image(filled, "debian:12") == [
        (UNTAGGED, "debian:12"),
        (DELETED, IMAGE.id),
        (DELETED, chain_ids([digest_of(BASE), digest_of(TOP)])[1]),
    ]
    assert blobs(filled) == {digest_of(data) for data in OTHER.blob_files().values()}
    assert filled.layers.chain_ids() == [digest_of(BASE)]
    assert remove_image(filled, OTHER.id)[0] == (UNTAGGED, "quay.io/x/other:1")
    assert (blobs(filled), filled.layers.chain_ids(), filled.store.descriptors()) == (set(), [], [])


def test_remove_one_of_several_names(filled: PlainEngine) -> None:
    tag_image(filled, "debian:12", "debian:stable")
    assert remove_image(filled, "docker.io/library/debian:stable") == [(UNTAGGED, "debian:stable")]
    tag_image(filled, "debian:12", "me/app")
    with pytest.raises(ConflictError, match=r"\(must be forced\) - image is referenced in multiple repositories"):
        remove_image(filled, IMAGE.id)
    assert [what for what, _ in remove_image(filled, IMAGE.id[7:15], force=True)] == [
        UNTAGGED,
        UNTAGGED,
        DELETED,
        DELETED,
    ]


def test_remove_what_is_not_there(filled: PlainEngine) -> None:
    with pytest.raises(NotFoundError, match=r"^No such image: nobody:latest$"):
        remove_image(filled, "nobody")


def test_remove_without_pruning(filled: PlainEngine) -> None:
    assert ImageRemover(filled).remove("debian:12", prune=False) == [(UNTAGGED, "debian:12")]
    assert filled.store.resolve(IMAGE.id).names == []
    assert [image.id for image in list_images(filled, {"dangling": ["true"]})] == [IMAGE.id]
    assert ImageRemover(filled).remove(IMAGE.id)[0] == (DELETED, IMAGE.id)


def test_an_image_that_a_container_uses(filled: PlainEngine) -> None:
    chain = [str(chain_id) for chain_id in chain_ids([digest_of(BASE), digest_of(TOP)])]
    filled.add_container(USER, IMAGE.id, chain)
    with pytest.raises(
        ConflictError,
        match=r'unable to remove repository reference "debian:12" \(must force\) - container cccccccccccc is using',
    ):
        remove_image(filled, "debian:12")
    with pytest.raises(
        ConflictError, match=r"\(must be forced\) - image is being used by stopped container cccccccccccc"
    ):
        remove_image(filled, IMAGE.id)
    assert remove_image(filled, "debian:12", force=True) == [(UNTAGGED, "debian:12")]
    assert filled.store.resolve(IMAGE.id).names == []
    # The layers of a container stay even when its image is lost in another way.
    layout.write_index(
        filled.images_directory,
        [entry for entry in filled.store.descriptors() if entry["digest"] != digest_of(IMAGE.manifest_bytes)],
    )
    remove_image(filled, "quay.io/x/other:1")
    assert digest_of(BASE) in filled.layers.chain_ids()


def test_an_image_of_a_running_container(filled: PlainEngine) -> None:
    filled.add_container(USER, IMAGE.id, [], {"status": "running", "pid": os.getpid()})
    descriptor = take_run_lock(filled.container_directory(USER))
    try:
        with pytest.raises(ConflictError, match=r"\(cannot be forced\)"):
            remove_image(filled, IMAGE.id, force=True)
    finally:
        os.close(descriptor)


def test_import(engine: PlainEngine, tmp_path: Path) -> None:
    (tmp_path / "base.tar").write_bytes(BASE)
    image_id = import_image(engine, str(tmp_path / "base.tar"), "made", ["CMD sh"], "by hand")
    assert engine.store.resolve("made").id == image_id
    assert image_history(engine, "made")[0].comment == "by hand"
    with (tmp_path / "base.tar").open("rb") as file:
        import_image(engine, file, "", [], "")
    assert len(list_images(engine)) == 2


@pytest.mark.parametrize(
    "source, name, changes, kind",
    [
        ("https://example.org/x.tar", None, [], UnsupportedError),
        ("/nowhere/x.tar", None, [], NotFoundError),
        ("base.tar", "host", [], ConflictError),
        ("base.tar", "x", ["FROM y"], UsageError),
    ],
)
def test_import_of_what_cannot_be(
    engine: PlainEngine, tmp_path: Path, source: str, name: str | None, changes: list[str], kind: type[Exception]
) -> None:
    (tmp_path / "base.tar").write_bytes(BASE)
    path = source if "/" in source else str(tmp_path / source)
    with pytest.raises(kind):
        import_image(engine, path, name or "", changes, "")
    assert list_images(engine) == []


def test_save_by_name_by_repository_and_by_id(filled: PlainEngine, tmp_path: Path) -> None:
    tag_image(filled, "quay.io/x/other:1", "debian:13")
    expected = {
        "debian:12": ["debian:12"],
        "debian": ["debian:12", "debian:13"],
        IMAGE.id: [None],
        IMAGE.id[7:19]: [None],
        f"debian@{digest_of(IMAGE.manifest_bytes)}": [None],
    }
    for number, (name, names) in enumerate(expected.items()):
        path = tmp_path / f"{number}.tar"
        save_images(filled, [name], str(path), "oci-archive")
        assert path.stat().st_mode & 0o777 == 0o600
        other = PlainEngine(tmp_path / f"other-{number}")
        assert [loaded.reference and loaded.reference.familiar for loaded in load_images(other, str(path))] == names
    assert [name for name in os.listdir(tmp_path) if name.endswith(".tmp")] == []


def test_save_to_descriptors_devices_and_directories(filled: PlainEngine, tmp_path: Path) -> None:
    save_images(filled, ["debian:12"], str(tmp_path / "file"), "oci-archive")
    with (tmp_path / "other").open("wb") as file:
        save_images(filled, ["debian:12"], file.fileno(), "oci-archive")
    assert (tmp_path / "file").read_bytes() == (tmp_path / "other").read_bytes()
    save_images(filled, ["debian:12"], "/dev/null", "oci-archive")
    save_images(filled, ["debian:12"], str(tmp_path / "layout"), "oci-dir")
    with pytest.raises(ConflictError, match="exists already"):
        save_images(filled, ["debian:12"], str(tmp_path / "layout"), "oci-dir")
    with pytest.raises(ConflictError, match="is a directory"):
        save_images(filled, ["debian:12"], str(tmp_path), "oci-archive")
    with pytest.raises(UsageError, match="oci-dir is a directory"):
        save_images(filled, ["debian:12"], 1, "oci-dir")


def test_save_that_fails_leaves_the_old_file(filled: PlainEngine, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    with pytest.raises(NotFoundError, match="No such image"):
        save_images(filled, ["debian:12", "nobody"], str(tmp_path / "old"), "oci-archive")
    with pytest.raises(NotFoundError, match=r'invalid output path: directory ".*" does not exist'):
        save_images(filled, ["debian:12"], str(tmp_path / "no/where"), "oci-archive")
    with pytest.raises(UsageError, match="unknown format 'zip'"):
        save_images(filled, ["debian:12"], str(tmp_path / "x"), "zip")
    with pytest.raises(StorageError, match="No space left"):
        save_images(filled, ["debian:12"], "/dev/full", "oci-archive")
    assert (tmp_path / "old").read_text() == "old"
    assert [name for name in os.listdir(tmp_path) if name.endswith(".tmp")] == []


def problems(engine: PlainEngine, target: object) -> list[str]:
    return [problem for report in validate(engine, str(target)) for problem in report.problems]


def test_validate_images_and_archives(filled: PlainEngine, tmp_path: Path) -> None:
    assert [(report.what, report.problems) for report in validate(filled, "debian:12")] == [
        ("debian:12: image debian:12", [])
    ]
    save_images(filled, ["debian:12", OTHER.id], str(tmp_path / "x.tar"), "oci-archive")
    assert [report.what.partition(": ")[2] for report in validate(filled, str(tmp_path / "x.tar"))] == [
        "image debian:12",
        f"image {OTHER.id}",
    ]
    assert problems(filled, tmp_path / "x.tar") == []
    assert problems(filled, filled.images_directory) == []
    with pytest.raises(NotFoundError, match="neither a file nor an image nobody"):
        validate(filled, "nobody")


def test_validate_lists_every_damage(filled: PlainEngine, tmp_path: Path) -> None:
    for data in IMAGE.blobs:
        path = Path(filled.images_directory) / f"blobs/sha256/{digest_of(data)[7:]}"
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    found = problems(filled, "debian:12")
    assert len(found) == 2
    assert all("altered" in problem for problem in found)
    path.unlink()
    assert "has no file blobs" in problems(filled, "debian:12")[1]
    manifest = Path(filled.images_directory) / f"blobs/sha256/{digest_of(OTHER.manifest_bytes)[7:]}"
    manifest.write_bytes(manifest.read_bytes().replace(b"layer", b"later"))
    with pytest.raises(InvalidError, match="is damaged"):
        validate(filled, "quay.io/x/other:1")
    (tmp_path / "junk").write_text("x" * 1000)
    assert "not a tar" in problems(filled, tmp_path / "junk")[0]


@pytest.mark.parametrize(
    "document, kind, valid",
    [
        ({"imageLayoutVersion": "1.0.0"}, "layout", True),
        ({"schemaVersion": 2, "manifests": []}, "index", True),
        ({"schemaVersion": 2, "layers": []}, "manifest", False),
        (IMAGE.config, "image config", True),
        ({"ociVersion": "1.0.0"}, "runtime config", True),
        ({"ociVersion": "1.0.0", "id": "x", "status": "stopped", "bundle": "/x"}, "runtime state", True),
        ({"ociVersionMin": "1.0.0", "ociVersionMax": "1.0.0"}, "runtime features", True),
        ({"mediaType": "a/b", "digest": "x", "size": 1}, "descriptor", False),
        ([], "docker archive", True),
    ],
)
def test_validate_documents(engine: PlainEngine, tmp_path: Path, document: object, kind: str, *, valid: bool) -> None:
    path = tmp_path / "document"
    path.write_text("  " + json.dumps(document))
    (report,) = validate(engine, str(path))
    assert report.what == f"{path}: {kind}"
    assert (report.problems == []) is valid


def test_validate_what_is_no_document(engine: PlainEngine, tmp_path: Path) -> None:
    for text, expected in (("{", "is not JSON"), ('{"a": 1}', "no document of the OCI specifications")):
        (tmp_path / "x").write_text(text)
        assert expected in problems(engine, tmp_path / "x")[0]
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/config.json").write_text('{"ociVersion": "x"}')
    assert problems(engine, tmp_path / "bundle") == ['$.ociVersion: expected a semantic version such as 1.2.0, got "x"']
    assert "has neither" in problems(engine, tmp_path)[0]


def test_a_pipe_is_read_to_its_end(engine: PlainEngine, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tar", layout_of(IMAGE, "debian:12"))
    path.write_bytes(path.read_bytes() + bytes(1 << 20))
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        with os.fdopen(theirs, "wb") as pipe:
            pipe.write(path.read_bytes())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        assert load_images(engine, pipe)[0].id == IMAGE.id
    assert os.waitpid(pid, 0)[1] == 0
