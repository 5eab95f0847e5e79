"""Loading: every form of archive gives the same images, and an altered one gives an error and nothing else."""

import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pyzstd

from ocirun.errors import ConflictError, DigestMismatchError, InvalidError, NotFoundError, OcirunError, UnsupportedError
from ocirun.image import index
from ocirun.image.archive import DirectoryArchive, TarArchive
from ocirun.image.stream_archive import open_stream
from ocirun.oci.digest import chain_ids
from ocirun.oci.platform import Platform
from tests.unit.image.stores import (
    CONFIG,
    INDEX,
    MANIFEST,
    Machine,
    Made,
    blob,
    descriptor,
    digest_of,
    layout,
    layout_of,
    tar_of,
    write_directory,
    write_tar,
)

BASE = tar_of({"etc/hello": b"hello\n", "bin/x": b"x" * 5000})
TOP = tar_of({"etc/more": b"more\n"})
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
FORMS = ["file", "directory", "pipe", "gzip pipe", "zstd pipe", "backwards pipe"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def opened(files: dict[str, bytes], form: str, machine: Machine, links: dict[str, str] | None = None) -> Any:
    """The archive in one of FORMS."""
    place = Path(tempfile.mkdtemp(dir=machine.directory)) / "incoming"
    if form == "directory":
        return DirectoryArchive(str(write_directory(place, files)))
    if form.startswith("backwards"):
        files = dict(reversed(files.items()))
    data = write_tar(place, files, links).read_bytes()
    if form == "file":
        return TarArchive(os.open(place, os.O_RDONLY), "it")
    if form.startswith("gzip"):
        data = gzip.compress(data)
    if form.startswith("zstd"):
        data = pyzstd.compress(data)
    staging = tempfile.mkdtemp(dir=machine.directory)
    stream: Any = io.BytesIO(data)
    return open_stream(io.BufferedReader(stream), staging, "it")


def load(machine: Machine, files: dict[str, bytes], form: str = "file", **options: Any) -> list[str]:
    return machine.load(opened(files, form, machine), **options)


@pytest.mark.parametrize("form", FORMS)
def test_layout(machine: Machine, form: str) -> None:
    image = Made(BASE, TOP)
    assert load(machine, layout_of(image, "docker.io/library/debian:12"), form) == ["debian:12"]
    assert machine.blobs() == {digest_of(data) for data in image.blob_files().values()}
    found = machine.store.resolve("debian:12")
    assert found.manifest_bytes == image.manifest_bytes
    assert (Path(machine.layers.path(found.chain_ids[0])) / "etc/hello").read_text() == "hello\n"
    assert (Path(machine.layers.path(found.chain_ids[1])) / "etc/more").read_text() == "more\n"
    assert machine.unpacked() == {chain_id.hex for chain_id in found.chain_ids}
    assert machine.staged() == []
    sizes = index.known_layer_sizes(machine.store.descriptors())
    assert [index.layer_size(sizes, diff_id) for diff_id in found.diff_ids] == [5006, 5]


@pytest.mark.parametrize("form", [form for form in FORMS if form != "directory"])
def test_docker_archive(machine: Machine, form: str) -> None:
    first, second = Made(BASE, TOP, compress=False), Made(BASE, compress=False, author="other")
    one, files = first.docker_files(["debian:12", "quay.io/x:1"], "a")
    two, more = second.docker_files(None, "b")
    # The second image's base is a link to that of the first, as docker before 25 wrote them.
    more.pop("b0/layer.tar")
    files = {**files, **more, "manifest.json": json.dumps([one, two]).encode()}
    archive = opened(files, form, machine, {"b0/layer.tar": "../a0/layer.tar"})
    assert machine.load(archive) == ["debian:12", "quay.io/x:1", second.id]
    found = machine.store.resolve("debian:12")
    assert found.id == first.id
    assert [layer["mediaType"] for layer in found.layers] == ["application/vnd.oci.image.layer.v1.tar"] * 2
    assert machine.store.resolve(second.id).layers == found.layers[:1]
    assert machine.staged() == []


@pytest.mark.parametrize("compress", [gzip.compress, pyzstd.compress])
def test_docker_archive_keeps_compression(machine: Machine, compress: Callable[[bytes], bytes]) -> None:
    image = Made(BASE, compress=False)
    image.blobs = [compress(BASE)]
    entry, files = image.docker_files(["x:1"])
    assert load(machine, {**files, "manifest.json": json.dumps([entry]).encode()}) == ["x:1"]
    assert machine.store.resolve("x:1").layers[0]["digest"] == digest_of(image.blobs[0])


def test_docker_archive_of_docker_25(machine: Machine) -> None:
    image = Made(BASE, TOP, compress=False)
    entry = {"Config": blob(image.config_bytes), "RepoTags": ["x:1"], "Layers": [blob(data) for data in image.blobs]}
    files = {"manifest.json": json.dumps([entry]).encode(), **image.blob_files()}
    with pytest.raises(DigestMismatchError):
        load(machine, {**files, blob(TOP): TOP.replace(b"more", b"less")}, "pipe")
    assert load(machine, files, "pipe") == ["x:1"]


def test_a_layer_used_twice(machine: Machine) -> None:
    image = Made(BASE, TOP, BASE)
    assert load(machine, layout_of(image, "x:1"), "pipe") == ["x:1"]
    assert len(machine.unpacked()) == 3
    entry, files = Made(TOP, BASE, TOP, compress=False).docker_files(["y:1"])
    entry["Layers"] = [entry["Layers"][0], entry["Layers"][1], entry["Layers"][0]]
    files.pop("2/layer.tar")
    assert load(machine, {**files, "manifest.json": json.dumps([entry]).encode()}, "pipe") == ["y:1"]


def test_loading_again_reads_and_changes_nothing(machine: Machine) -> None:
    image = Made(BASE, TOP)
    load(machine, layout_of(image, "x:1"))
    before = machine.state()
    files = layout_of(image, "x:1")
    for data in image.blobs:
        # Not even looked at: the store has them.
        files.pop(blob(data))
    assert load(machine, files, "pipe") == ["x:1"]
    assert json.loads(machine.state()[0])["manifests"] == json.loads(before[0])["manifests"]
    assert machine.state()[1:] == before[1:]


def test_a_layer_that_is_not_unpacked_any_more_is_unpacked_again(machine: Machine) -> None:
    image = Made(BASE)
    load(machine, layout_of(image, "x:1"))
    chain_id = machine.store.resolve("x:1").chain_ids[0]
    machine.layers.remove(chain_id)
    assert machine.unpacked() == set()
    load(machine, layout_of(image, "x:1"))
    assert machine.layers.has(chain_id)


def test_a_layer_that_is_unpacked_but_not_stored_is_only_verified(machine: Machine) -> None:
    load(machine, layout_of(Made(BASE, compress=False), "plain:1"))
    load(machine, layout_of(Made(BASE, compress=True), "packed:1"))
    assert len(machine.unpacked()) == 1
    sizes = index.known_layer_sizes(machine.store.descriptors())
    assert index.layer_size(sizes, digest_of(BASE)) == 5006


def test_several_names_and_images_in_one_layout(machine: Machine) -> None:
    first, second = Made(BASE), Made(BASE, TOP)
    entries = [first.entry("docker.io/library/a:1"), first.entry("b"), second.entry("quay.io/c:3"), second.entry()]
    files = layout(*entries, files={**first.blob_files(), **second.blob_files()})
    assert load(machine, files) == ["a:1", "b:latest", "quay.io/c:3"]


def test_containerd_s_name_goes_before_a_tag_alone(machine: Machine) -> None:
    image = Made(BASE)
    entry = image.entry("12")
    entry["annotations"]["io.containerd.image.name"] = "docker.io/library/debian:12"
    assert load(machine, layout(entry, files=image.blob_files())) == ["debian:12"]


def test_a_name_that_is_none_is_left_out(machine: Machine) -> None:
    image = Made(BASE)
    assert load(machine, layout_of(image, "Not A Name")) == [image.id]


def test_the_same_image_compressed_otherwise_takes_its_place(machine: Machine) -> None:
    load(machine, layout_of(Made(BASE), "x:1"))
    load(machine, layout_of(Made(BASE, compress=False), "x:1"))
    image = Made(BASE, compress=False)
    assert machine.blobs() == {digest_of(data) for data in image.blob_files().values()}
    assert len(machine.store.descriptors()) == 2


def test_an_image_that_loses_its_name_stays(machine: Machine) -> None:
    old, new = Made(BASE), Made(BASE, TOP)
    load(machine, layout_of(old, "x:1"))
    load(machine, layout_of(new, "x:1"))
    assert machine.store.resolve(old.id).names == []
    assert machine.store.resolve("x:1").id == new.id


def platforms(*made: tuple[str, Made]) -> list[dict[str, Any]]:
    found = []
    for text, image in made:
        platform = Platform.parse(text)
        document = {"os": platform.os, "architecture": platform.architecture}
        found.append(image.entry(platform=document))
    return found


@pytest.mark.parametrize("nested", [0, 1, 2, 8])
@pytest.mark.parametrize("form", ["file", "pipe"])
def test_several_platforms(machine: Machine, form: str, *, nested: int) -> None:
    """In the layout's own index, or in one that lies inside others."""
    amd, arm = Made(BASE), Made(TOP, architecture="arm64")
    entries = platforms(("linux/arm64", arm), ("linux/amd64", amd))
    files = {**amd.blob_files(), **arm.blob_files()}
    attached = {
        **arm.entry(platform={"os": "unknown", "architecture": "unknown"}),
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    for _ in range(nested):
        entries = [put_index(files, [attached, *entries])]
    assert load(machine, layout(*entries, files=files), form, platform=Platform.parse("amd64")) == [amd.id]
    assert load(machine, layout(*entries, files=files), form, platform=Platform.parse("arm64")) == [arm.id]
    with pytest.raises(NotFoundError, match="has no image for linux/s390x"):
        load(machine, layout(*entries, files=files), form, platform=Platform.parse("linux/s390x"))


def put_index(files: dict[str, bytes], entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Add an index of `entries` to `files`, and return its descriptor."""
    data = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    files[blob(data)] = data
    return descriptor(data, INDEX)


def test_indexes_beside_each_other(machine: Machine) -> None:
    """Each is read once, whoever names it, and one that is not there is passed over."""
    amd, arm = Made(BASE), Made(TOP, architecture="arm64")
    files = {**amd.blob_files(), **arm.blob_files()}
    first = put_index(files, platforms(("linux/amd64", amd)))
    second = put_index(files, [first, first, *platforms(("linux/arm64", arm)), descriptor(b"lost", INDEX)])
    both = layout(put_index(files, [first, second, second]), files=files)
    assert load(machine, both, platform=Platform.parse("amd64")) == [amd.id]
    assert load(machine, both, platform=Platform.parse("arm64")) == [arm.id]


def test_indexes_too_deep_inside_each_other(machine: Machine) -> None:
    amd = Made(BASE)
    files = amd.blob_files()
    entries = platforms(("linux/amd64", amd))
    for _ in range(9):
        entries = [put_index(files, entries)]
    with pytest.raises(InvalidError, match="lies inside more than 8 others"):
        load(machine, layout(*entries, files=files))


def test_an_inner_index_is_verified(machine: Machine) -> None:
    amd = Made(BASE)
    files = amd.blob_files()
    inner = put_index(files, platforms(("linux/amd64", amd)))
    files[blob(files[f"blobs/sha256/{inner['digest'][7:]}"])] += b" "
    with pytest.raises(InvalidError, match=r"bytes, but its descriptor says|more than"):
        load(machine, layout(put_index(files, [inner]), files=files))


def test_of_several_platforms_the_only_one_that_is_there(machine: Machine) -> None:
    amd, other = Made(BASE), Made(TOP, architecture="s390x")
    data = json.dumps(
        {"schemaVersion": 2, "manifests": platforms(("linux/amd64", amd), ("linux/s390x", other))}
    ).encode()
    files = layout(descriptor(data, INDEX), files={**other.blob_files(), blob(data): data})
    assert load(machine, files) == [other.id]


def test_docker_archive_for_another_platform(machine: Machine) -> None:
    entry, files = Made(BASE).docker_files(["x:1"])
    files["manifest.json"] = json.dumps([entry]).encode()
    with pytest.raises(InvalidError, match="is for linux/amd64, not for linux/arm64"):
        load(machine, files, platform=Platform.parse("arm64"))


def change_layer(image: Made, **changes: Any) -> None:
    """Let the manifest say other things of the upper layer."""
    layers = json.loads(image.manifest_bytes)["layers"]
    layers[1].update(changes)
    image.manifest_changes["layers"] = layers


def change_config(image: Made, **changes: Any) -> None:
    """Let the manifest say other things of the config."""
    image.manifest_changes["config"] = {**descriptor(image.config_bytes, CONFIG), **changes}


# What is wrong with the image, before its layout is made.
IMAGE_CHANGES: dict[str, Callable[[Made], Any]] = {
    "diff id": lambda image: image.config["rootfs"].update(diff_ids=[digest_of(BASE), digest_of(b"other")]),
    "diff ids missing": lambda image: image.config["rootfs"]["diff_ids"].pop(),
    "rootfs type": lambda image: image.config["rootfs"].update(type="tree"),
    "layer size": lambda image: change_layer(image, size=len(image.blobs[1]) + 1),
    "layer size too small": lambda image: change_layer(image, size=len(image.blobs[1]) - 1),
    "layer type": lambda image: setattr(image, "layer_type", "application/x-tar"),
    "layer compression": lambda image: setattr(image, "layer_type", "application/vnd.oci.image.layer.v1.tar"),
    "config size": lambda image: change_config(image, size=3),
    "config type": lambda image: change_config(image, mediaType="application/vnd.cncf.helm.config.v1+json"),
    "no gzip": lambda image: image.blobs.__setitem__(1, TOP),
    "cut gzip": lambda image: image.blobs.__setitem__(1, image.blobs[1][:-4]),
    "manifest is an index too": lambda image: image.manifest_changes.update(manifests=[]),
    "manifest says index": lambda image: image.manifest_changes.update(mediaType=INDEX),
    "manifest says docker": lambda image: image.manifest_changes.update(mediaType=DOCKER_MANIFEST),
    "huge manifest": lambda image: image.manifest_changes.update(annotations={"a": "x" * (4 << 20)}),
}
# What is wrong with the layout.
INDEX_CHANGES: dict[str, tuple[bytes, bytes]] = {
    "index is a manifest too": (b'"manifests"', b'"layers": [], "manifests"'),
    "entry type": (MANIFEST.encode(), b"text/plain"),
    "entry is an index": (MANIFEST.encode(), INDEX.encode()),
    "entry digest": (b'"sha256:', b'"sha256:../'),
}


def altered(change: str) -> dict[str, bytes]:
    """The files of an image of two layers with one thing wrong."""
    image = Made(BASE, TOP)
    if change in IMAGE_CHANGES:
        IMAGE_CHANGES[change](image)
    files = layout_of(image, "docker.io/library/host:latest" if change == "reserved name" else "x:1")
    parts = {"layer": image.blobs[1], "config": image.config_bytes, "manifest": image.manifest_bytes}
    what, _, part = change.partition(" ")
    if change in INDEX_CHANGES:
        files["index.json"] = files["index.json"].replace(*INDEX_CHANGES[change])
    elif change == "no layout version":
        files["oci-layout"] = b"{}"
    elif change == "no images":
        files["index.json"] = b'{"schemaVersion": 2, "manifests": []}'
    elif what == "flipped":
        data = parts[part]
        files[blob(data)] = data[:-1] + bytes((data[-1] ^ 1,))
    elif what == "missing":
        files.pop(blob(parts[part]))
    elif change in {"dots", "absolute"}:
        files[{"dots": "../../evil", "absolute": "/evil"}[change]] = b"x"
    return files


ALTERED: dict[str, tuple[type[OcirunError], str]] = {
    "diff id": (DigestMismatchError, "unpacks to other bytes"),
    "diff ids missing": (InvalidError, "2 layers, but its config has 1 diff ids"),
    "rootfs type": (InvalidError, r'\$\.rootfs\.type: expected "layers", got "tree"'),
    "layer size": (DigestMismatchError, "bytes instead of"),
    "layer size too small": (DigestMismatchError, "longer than|bytes instead of"),
    "config size": (DigestMismatchError, "its descriptor says 3"),
    "layer type": (UnsupportedError, "layer of the type application/x-tar"),
    "layer compression": (InvalidError, "layer"),
    "no gzip": (InvalidError, "gzip"),
    "cut gzip": (InvalidError, "cut off"),
    "config type": (UnsupportedError, "not a container image"),
    "manifest is an index too": (InvalidError, r"\$\.manifests: expected no such key"),
    "manifest says index": (InvalidError, r"\$\.mediaType: expected one of"),
    "manifest says docker": (InvalidError, "says it is application/vnd.docker"),
    "huge manifest": (InvalidError, "more than the 4194304 allowed"),
    "index is a manifest too": (InvalidError, r"\$\.layers: expected no such key"),
    "entry type": (InvalidError, "is not an image but text/plain"),
    "entry is an index": (InvalidError, "expected no such key|expected the key"),
    "entry digest": (InvalidError, r"\$\.manifests\[0\]\.digest: expected a digest"),
    "no layout version": (InvalidError, "expected the key 'imageLayoutVersion'"),
    "no images": (InvalidError, "has no images"),
    "flipped layer": (DigestMismatchError, "altered"),
    "flipped config": (DigestMismatchError, "altered"),
    "flipped manifest": (DigestMismatchError, "altered"),
    "missing layer": (NotFoundError, "has no (member|file) blobs/"),
    "missing config": (NotFoundError, "has no (member|file) blobs/"),
    "missing manifest": (NotFoundError, "has no (member|file) blobs/"),
    "dots": (InvalidError, "leads out of the archive"),
    "absolute": (InvalidError, "leads out of the archive"),
    "reserved name": (ConflictError, "reserved"),
}


@pytest.mark.parametrize("form", ["file", "pipe", "directory", "backwards pipe"])
@pytest.mark.parametrize("change", sorted(ALTERED))
def test_altered_layouts(machine: Machine, form: str, change: str) -> None:
    if form == "directory" and change in {"dots", "absolute"}:
        pytest.skip("a directory has no such members")
    load(machine, layout_of(Made(BASE), "old:1"))
    before = machine.state()
    files = altered(change)
    if change in {"dots", "absolute"}:
        files = {name: files[name] for name in sorted(files)}
    kind, message = ALTERED[change]
    with pytest.raises(kind, match=message):
        load(machine, files, form)
    index_before, blobs, layers = before
    assert machine.state()[:2] == (index_before, blobs)
    # A layer that was verified before the failure may stay: it is what its name says.
    assert machine.unpacked() - layers <= {chain_id.hex for chain_id in chain_ids([digest_of(BASE), digest_of(TOP)])}
    assert machine.staged() == []


@pytest.mark.parametrize("form", ["file", "pipe", "gzip pipe", "zstd pipe"])
@pytest.mark.parametrize("tenth", range(10))
def test_cut_off_anywhere(machine: Machine, form: str, tenth: int) -> None:
    image = Made(os.urandom(30_000) and tar_of({"x": os.urandom(30_000)}))
    place = write_tar(machine.directory / "whole", layout_of(image, "x:1"))
    data = place.read_bytes()
    data = data[: len(data.rstrip(b"\0")) * tenth // 10 + 1]
    staging = machine.directory / "spool"
    staging.mkdir()
    if form == "file":
        place.write_bytes(data)
        archive: Any = lambda: TarArchive(os.open(place, os.O_RDONLY), "it")  # noqa: E731 - opening is part of what fails
    else:
        if form != "pipe":
            data = (gzip.compress(data) if form.startswith("gzip") else pyzstd.compress(data))[:-5]
        stream: Any = io.BytesIO(data)
        archive = lambda: open_stream(io.BufferedReader(stream), str(staging), "it")  # noqa: E731 - as above
    with pytest.raises((InvalidError, NotFoundError)):
        machine.load(archive())
    assert (machine.state(), machine.staged()) == ((b"", set(), set()), [])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"Config": "missing.json"}, "has no member missing.json"),
        ({"Layers": ["0/layer.tar"]}, "2 diff ids, but manifest.json lists 1 layers"),
        ({"Layers": ["0/layer.tar", "0/layer.tar"]}, "unpacks to other bytes"),
        ({"Layers": ["0/layer.tar", "nowhere"]}, "has no member nowhere"),
        ({"Layers": ["0/layer.tar", "loop"]}, "links in a circle"),
        ({"RepoTags": ["Bad Name"]}, "invalid reference format"),
        ({"RepoTags": ["host"]}, "reserved"),
        ({"Layers": "x"}, r"\$\[0\]\.Layers: expected array"),
        (None, "has no images"),
    ],
)
@pytest.mark.parametrize("form", ["file", "pipe"])
def test_altered_docker_archives(machine: Machine, form: str, change: dict[str, Any] | None, message: str) -> None:
    entry, files = Made(BASE, TOP).docker_files(["x:1"])
    files["manifest.json"] = json.dumps([] if change is None else [{**entry, **change}]).encode()
    with pytest.raises(OcirunError, match=message):
        machine.load(opened(files, form, machine, {"loop": "loop2", "loop2": "loop"}))
    assert machine.state()[:2] == (b"", set())


def test_a_config_of_docker_s_archive_is_what_its_name_says(machine: Machine) -> None:
    entry, files = Made(BASE).docker_files(["x:1"])
    files[entry["Config"]] = files[entry["Config"]].replace(b"red", b"bad")
    with pytest.raises(DigestMismatchError, match="altered"):
        load(machine, {**files, "manifest.json": json.dumps([entry]).encode()})


def test_layers_of_docker_s_archive_in_a_compression_that_layers_cannot_have(machine: Machine) -> None:
    import bz2

    image = Made(BASE, compress=False)
    image.blobs = [bz2.compress(BASE)]
    entry, files = image.docker_files(["x:1"])
    with pytest.raises(InvalidError, match="compressed with bzip2"):
        load(machine, {**files, "manifest.json": json.dumps([entry]).encode()})


@pytest.mark.parametrize("form", ["file", "pipe"])
@pytest.mark.parametrize("files", [{}, {"etc/passwd": b"root"}])
def test_a_tar_of_something_else(machine: Machine, form: str, files: dict[str, bytes]) -> None:
    with pytest.raises(InvalidError, match="not an archive of images") as caught:
        load(machine, files, form)
    assert "ocirun import" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"x", b"no tar at all" * 1000, bytes(3) * 300])
def test_what_is_no_tar(machine: Machine, data: bytes) -> None:
    place = machine.directory / "junk"
    place.write_bytes(data)
    with pytest.raises(InvalidError):
        machine.load(TarArchive(os.open(place, os.O_RDONLY), "it"))
    stream: Any = io.BytesIO(data)
    with pytest.raises(InvalidError):
        machine.load(open_stream(io.BufferedReader(stream), str(place.parent), "it"))


def test_a_claim_about_a_blob_that_the_store_has_is_verified(machine: Machine) -> None:
    """An image that pairs a known blob with the diff id of another layer that is unpacked."""
    load(machine, layout_of(Made(BASE), "a:1"))
    load(machine, layout_of(Made(TOP), "b:1"))
    liar = Made(BASE)
    liar.config["rootfs"]["diff_ids"] = [digest_of(TOP)]
    with pytest.raises(DigestMismatchError):
        load(machine, layout_of(liar, "c:1"))


def test_a_link_that_leads_out(machine: Machine) -> None:
    entry, files = Made(BASE).docker_files(["x:1"])
    files["manifest.json"] = json.dumps([entry]).encode()
    with pytest.raises(InvalidError, match="a link 'x' that leads out"):
        machine.load(opened(files, "file", machine, {"x": "../../etc/passwd"}))


def test_too_many_members(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocirun.image.archive.MAXIMUM_MEMBERS", 5)
    with pytest.raises(InvalidError, match="more than 5 members"):
        load(machine, layout_of(Made(BASE, TOP), "x:1"))


def test_a_sparse_member(machine: Machine) -> None:
    import tarfile

    place = machine.directory / "sparse"
    header = bytearray(tarfile.TarInfo("index.json").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[386 + 12 * 4 :] = bytes(512 - 386 - 12 * 4)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    place.write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(InvalidError, match="sparse"):
        TarArchive(os.open(place, os.O_RDONLY), "it")
