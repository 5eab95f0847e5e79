"""Saving: what is in the archive, that it loads again, and that the same images give the same bytes."""

import io
import json
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from ocirun.errors import InvalidError, NotFoundError, StorageError
from ocirun.image import save
from ocirun.image.archive import DirectoryArchive, TarArchive
from ocirun.image.copy import LayerSource, copy_image
from ocirun.image.save import DOCKER_ARCHIVE, FORMS, OCI_ARCHIVE, OCI_DIRECTORY, ArchiveSink, StoredImage
from ocirun.oci.digest import Digest
from tests.unit.image.stores import Machine, Made, blob, digest_of, tar_of

BASE = tar_of({"a": b"1" * 3000})
TOP = tar_of({"b": b"2"})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "machine")
    machine.add(Made(BASE, TOP), "debian:12")
    machine.add(Made(BASE, compress=False), "quay.io/x:1")
    machine.add(Made(TOP))
    return machine


def sink_of(machine: Machine, form: str, *names: str) -> ArchiveSink:
    sink = ArchiveSink(form)
    for name in names:
        image = machine.store.resolve(name)
        copy_image(StoredImage(machine.store, image, image.names), sink)
    return sink


def saved(machine: Machine, path: Path, form: str, *names: str) -> Path:
    if form == OCI_DIRECTORY:
        save.write_directory(sink_of(machine, form, *names), str(path))
        return path
    with path.open("xb") as file:
        save.write_archive(sink_of(machine, form, *names), file.fileno(), str(path))
    return path


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}  # type: ignore[union-attr]  # isreg


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(machine: Machine, tmp_path: Path, form: str) -> None:
    names = ["debian:12", "quay.io/x:1", Made(TOP).id]
    path = saved(machine, tmp_path / "saved", form, *names)
    other = Machine(tmp_path / "other")
    archive = DirectoryArchive(str(path)) if form == OCI_DIRECTORY else TarArchive(os.open(path, os.O_RDONLY), "it")
    assert other.load(archive) == names
    for name in names:
        mine, theirs = machine.store.resolve(name), other.store.resolve(name)
        assert mine.id == theirs.id
        assert mine.layers == theirs.layers
    if form != DOCKER_ARCHIVE:
        assert machine.blobs() == other.blobs()


@pytest.mark.parametrize("form", [OCI_ARCHIVE, DOCKER_ARCHIVE])
def test_the_same_images_give_the_same_bytes(machine: Machine, tmp_path: Path, form: str) -> None:
    first = saved(machine, tmp_path / "1", form, "debian:12", "quay.io/x:1").read_bytes()
    assert first == saved(machine, tmp_path / "2", form, "debian:12", "quay.io/x:1").read_bytes()
    assert len(first) % tarfile.RECORDSIZE == 0


def test_what_is_in_it(machine: Machine, tmp_path: Path) -> None:
    image = Made(BASE, TOP)
    files = members(saved(machine, tmp_path / "x", OCI_ARCHIVE, "debian:12", "debian:12"))
    assert list(files) == [
        "oci-layout",
        "index.json",
        "manifest.json",
        "repositories",
        *[blob(data) for data in (image.manifest_bytes, image.config_bytes, *image.blobs)],
    ]
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == digest_of(image.manifest_bytes)
    assert entry["platform"] == {"architecture": "amd64", "os": "linux"}
    assert entry["annotations"] == {
        "io.containerd.image.name": "docker.io/library/debian:12",
        "org.opencontainers.image.ref.name": "docker.io/library/debian:12",
        "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
    }
    assert json.loads(files["manifest.json"]) == [
        {
            "Config": blob(image.config_bytes),
            "RepoTags": ["docker.io/library/debian:12"],
            "Layers": [blob(data) for data in image.blobs],
        }
    ]
    assert json.loads(files["repositories"]) == {"debian": {"12": digest_of(image.blobs[-1])[7:]}}


def test_an_image_without_a_name(machine: Machine, tmp_path: Path) -> None:
    files = members(saved(machine, tmp_path / "x", OCI_ARCHIVE, Made(TOP).id))
    assert json.loads(files["manifest.json"])[0]["RepoTags"] is None
    assert "org.opencontainers.image.ref.name" not in json.loads(files["index.json"])["manifests"][0]["annotations"]
    assert json.loads(files["repositories"]) == {}


def test_a_pipe_gets_the_same_bytes(machine: Machine, tmp_path: Path) -> None:
    expected = saved(machine, tmp_path / "x", OCI_ARCHIVE, "debian:12").read_bytes()
    ours, theirs = os.pipe()
    parts: list[bytes] = []

    def collect() -> None:
        with os.fdopen(ours, "rb") as pipe:
            parts.append(pipe.read())

    thread = threading.Thread(target=collect)
    thread.start()
    save.write_archive(sink_of(machine, OCI_ARCHIVE, "debian:12"), theirs, "standard output")
    os.close(theirs)
    thread.join()
    assert parts == [expected]


def test_a_file_opened_for_appending(machine: Machine, tmp_path: Path) -> None:
    """copy_file_range refuses it; the bytes are the same."""
    expected = saved(machine, tmp_path / "x", OCI_ARCHIVE, "debian:12").read_bytes()
    with (tmp_path / "y").open("ab") as file:
        save.write_archive(sink_of(machine, OCI_ARCHIVE, "debian:12"), file.fileno(), "y")
    assert (tmp_path / "y").read_bytes() == expected


def test_a_blob_that_is_cut_off(machine: Machine, tmp_path: Path) -> None:
    digest = Digest(digest_of(Made(BASE, TOP).blobs[1]))
    os.truncate(machine.store.blob_path(digest), 5)
    with pytest.raises(InvalidError, match="has 5 bytes, expected"):
        saved(machine, tmp_path / "x", OCI_ARCHIVE, "debian:12")
    with pytest.raises(InvalidError, match="has 5 bytes, expected"):
        saved(machine, tmp_path / "y", OCI_DIRECTORY, "debian:12")
    assert [path.name for path in tmp_path.iterdir() if path.name not in {"machine", "x"}] == []


def test_a_blob_that_is_missing(machine: Machine, tmp_path: Path) -> None:
    os.unlink(machine.store.blob_path(Digest(digest_of(Made(BASE, TOP).blobs[1]))))
    with pytest.raises(NotFoundError, match="lacks the blob"):
        saved(machine, tmp_path / "x", OCI_ARCHIVE, "debian:12")


def test_a_full_disk_is_one_line(machine: Machine) -> None:
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(StorageError, match="write /dev/full: No space left"),
    ):
        save.write_archive(sink_of(machine, OCI_ARCHIVE, "debian:12"), full.fileno(), "/dev/full")


def test_a_directory_in_the_way(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(StorageError):
        saved(machine, tmp_path / "full", OCI_DIRECTORY, "debian:12")
    (tmp_path / "empty").mkdir()
    saved(machine, tmp_path / "empty", OCI_DIRECTORY, "debian:12")
    assert (tmp_path / "empty/index.json").exists()


def test_a_layer_of_unknown_digest_cannot_be_saved() -> None:
    stream: Any = io.BytesIO(b"")
    with pytest.raises(InvalidError, match="only when its digest is known"):
        ArchiveSink(OCI_ARCHIVE).put_layer(LayerSource("a/b", lambda: stream), [])


def test_names_of_layers_in_docker_s_form_say_their_compression(machine: Machine, tmp_path: Path) -> None:
    files = members(saved(machine, tmp_path / "x", DOCKER_ARCHIVE, "debian:12", "quay.io/x:1"))
    assert sorted(name.partition(".")[2] for name in files) == [
        "json",
        "json",
        "json",
        "",
        "tar",
        "tar.gz",
        "tar.gz",
    ] or sorted(name.partition(".")[2] for name in files) == ["", "json", "json", "json", "tar", "tar.gz", "tar.gz"]
