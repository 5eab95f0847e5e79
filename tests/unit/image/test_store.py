"""The store: what references mean, what transactions show, what happens when they fail."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ocirun.errors import InvalidError, NotFoundError, StorageError
from ocirun.image import index, layout
from ocirun.image.image import Image
from ocirun.oci.digest import Digest
from ocirun.oci.platform import Platform
from ocirun.oci.reference import Reference
from tests.unit.image.stores import CONFIG, MANIFEST, Machine, Made, descriptor, digest_of, tar_of


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def image(machine: Machine) -> Made:
    made = Made(tar_of({"a": b"1"}), tar_of({"b": b"2"}))
    machine.add(made, "debian:12")
    return made


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "new")
    assert machine.store.descriptors() == []
    with pytest.raises(NotFoundError, match=r"^No such image: debian:latest$"):
        machine.store.resolve("debian")
    assert not (tmp_path / "new/images").exists()


@pytest.mark.parametrize(
    "text",
    [
        "debian:12",
        "docker.io/library/debian:12",
        "index.docker.io/debian:12",
        "id",
        "sha256:id",
        "short",
        "sha256:short",
        "manifest",
        "digest",
    ],
)
def test_resolve(machine: Machine, image: Made, text: str) -> None:
    hexadecimal = image.id.partition(":")[2]
    manifest = digest_of(image.manifest_bytes)
    text = text.replace("id", hexadecimal).replace("short", hexadecimal[:4])
    text = {"manifest": manifest, "digest": f"debian@{manifest}"}.get(text, text)
    found = machine.store.resolve(text)
    assert found.id == image.id
    assert [name.familiar for name in found.names] == ["debian:12"]


@pytest.mark.parametrize(
    "text",
    [
        "debian",
        "debian:13",
        "12",
        64 * "0",
        "sha256:" + 64 * "0",
        "ffff0000ffff",
        "quay.io/debian:12",
        "x@sha256:" + 64 * "1",
    ],
)
def test_no_such_image(machine: Machine, image: Made, text: str) -> None:
    with pytest.raises(NotFoundError, match=r"^No such image: "):
        machine.store.resolve(text)


def test_an_ambiguous_id_and_a_bad_reference(machine: Machine) -> None:
    for number in range(17):
        machine.add(Made(tar_of({"a": b"1"}), author=str(number)))
    ids = [machine.store.image_id(entry).partition(":")[2] for entry in machine.store.descriptors()]
    start = next(digits for digits in "0123456789abcdef" if sum(text.startswith(digits) for text in ids) > 1)
    with pytest.raises(InvalidError, match="ambiguous reference"):
        machine.store.resolve(f"sha256:{start}")
    with pytest.raises(InvalidError, match="invalid reference format"):
        machine.store.resolve("Bad Name")
    with pytest.raises(NotFoundError):
        machine.store.resolve("a--b")


def test_resolve_for_a_platform(machine: Machine, image: Made) -> None:
    assert machine.store.resolve("debian:12", Platform.parse("linux/amd64")).id == image.id
    with pytest.raises(NotFoundError, match="does not provide the specified platform"):
        machine.store.resolve("debian:12", Platform.parse("linux/arm64"))


def test_a_name_goes_before_the_beginning_of_an_id(machine: Machine, image: Made) -> None:
    other = Made(tar_of({"c": b"3"}))
    start = image.id.partition(":")[2][:6]
    machine.add(other, start)
    assert machine.store.resolve(start).id == other.id
    assert machine.store.resolve(f"sha256:{start}").id == image.id


def test_the_image_is_a_view(machine: Machine, image: Made) -> None:
    found = machine.store.resolve("debian:12")
    assert (found.platform, found.execution.get("Cmd")) == (Platform.parse("linux/amd64"), ["sh"])
    assert found.manifest_digest == digest_of(image.manifest_bytes)
    assert found.chain_ids is found.chain_ids
    assert len(found.layers) == len(found.diff_ids) == len(found.chain_ids) == 2
    assert repr(found) == f"<Image {image.id}>"
    with pytest.raises(AttributeError):
        found.config = {}  # type: ignore[typeddict-item]  # it cannot be changed, to whatever


@pytest.mark.parametrize(
    "manifest, config",
    [
        (b"{", b"{}"),
        (b"[]", b"{}"),
        (b"{}", b"{}"),
        (json.dumps({"config": descriptor(b"", CONFIG), "layers": []}).encode(), b"[]"),
        (json.dumps({"config": descriptor(b"", CONFIG), "layers": []}).encode(), b'{"rootfs": {}}'),
        (json.dumps({"config": descriptor(b"", CONFIG), "layers": [1]}).encode(), b'{"rootfs": {"diff_ids": []}}'),
        (
            json.dumps({"config": descriptor(b"", CONFIG), "layers": [descriptor(b"", "a/b")]}).encode(),
            b'{"rootfs": {"diff_ids": []}}',
        ),
    ],
)
def test_a_damaged_image_is_one_line(manifest: bytes, config: bytes) -> None:
    entry = descriptor(manifest, MANIFEST)
    with pytest.raises(InvalidError, match="is damaged"):
        Image(entry, manifest, config, [])  # type: ignore[arg-type]  # a descriptor as a plain dict


def test_what_other_tools_put_there_is_no_image_of_ours(machine: Machine, image: Made) -> None:
    entries = machine.store.descriptors()
    artifact = json.dumps({"config": descriptor(b"", "application/vnd.some.thing"), "layers": []}).encode()
    (machine.directory / "images" / layout.blob_name(Digest(digest_of(artifact)))).write_bytes(artifact)
    strange = [
        descriptor(artifact, MANIFEST),
        descriptor(b"missing", MANIFEST),
        descriptor(b"x", "text/plain"),
    ]
    layout.write_index(str(machine.directory / "images"), [*entries, *strange])  # type: ignore[list-item]  # plain dicts
    assert [machine.store.image_id(entry) for entry in machine.store.descriptors()[2:]] == ["", "", ""]
    assert machine.store.resolve("debian:12").id == image.id


def test_a_missing_blob_is_named(machine: Machine, image: Made) -> None:
    os.unlink(machine.store.blob_path(Digest(image.id)))
    with pytest.raises(NotFoundError, match=f"lacks the blob {image.id}"):
        machine.store.resolve("debian:12")
    with pytest.raises(NotFoundError, match="lacks the blob"):
        machine.store.open_blob(Digest(image.id))


def test_a_damaged_index_is_one_line(machine: Machine, image: Made) -> None:
    (machine.directory / "images/index.json").write_text("{")
    with pytest.raises(InvalidError, match=r"index.json is damaged"):
        machine.store.descriptors()


def test_documents_have_a_limit(machine: Machine, image: Made) -> None:
    with pytest.raises(InvalidError, match="more than the 10 bytes"):
        machine.store.read_document(Digest(image.id), 10)


def test_a_transaction_without_commit_leaves_nothing(machine: Machine, image: Made) -> None:
    before = machine.state()
    with machine.store.transaction() as transaction:
        made = transaction.add_bytes(b"{}", CONFIG)
        assert transaction.has(Digest(made["digest"]))
        transaction.add_image(made, [], {Digest(made["digest"])})
    assert (machine.state(), machine.staged()) == (before, [])


def test_two_transactions_at_once(machine: Machine) -> None:
    with machine.store.transaction() as first, machine.store.transaction() as second:
        for transaction, text in ((first, b"[1]"), (second, b"[2]")):
            made = transaction.add_bytes(text, CONFIG)
            transaction.add_image(made, [Reference.parse(f"x:{text.decode()[1]}")], {Digest(made["digest"])})
        second.commit()
        first.commit()
    assert [index.annotation(entry, index.REF_NAME) for entry in machine.store.descriptors()] == [
        "x:2",
        "docker.io/library/x:2",
        "x:1",
        "docker.io/library/x:1",
    ]
    assert machine.staged() == []


def test_a_blob_that_is_removed_meanwhile_is_kept(machine: Machine, image: Made) -> None:
    digest = Digest(image.id)
    with machine.store.transaction() as transaction:
        assert transaction.reuse(digest)
        os.unlink(machine.store.blob_path(digest))
        transaction.add_image({"mediaType": "a/b", "digest": image.id, "size": 1}, [], {digest})
        transaction.commit()
    assert machine.store.has_blob(digest)


def test_a_blob_that_nobody_has_fails_the_commit(machine: Machine, image: Made) -> None:
    before = machine.state()
    with machine.store.transaction() as transaction:
        made = transaction.add_bytes(b"{}", CONFIG)
        transaction.add_image(made, [], {Digest(made["digest"]), Digest("sha256:" + 64 * "f")})
        with pytest.raises(NotFoundError, match="removed from the store meanwhile"):
            transaction.commit()
    assert machine.state() == before


def test_a_failing_index_leaves_the_old_state(machine: Machine, image: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine.state()

    def fail(directory: str, descriptors: object) -> None:
        raise StorageError("disk full")

    with machine.store.transaction() as transaction:
        made = transaction.add_bytes(b"{}", CONFIG)
        transaction.add_image(made, [], {Digest(made["digest"])})
        monkeypatch.setattr(layout, "write_index", fail)
        with pytest.raises(StorageError):
            transaction.commit()
    assert (machine.state(), machine.staged()) == (before, [])


def test_kill_at_any_moment_leaves_a_store_that_works(machine: Machine, image: Made, tmp_path: Path) -> None:
    """A process that dies in the middle: what it leaves is not seen, blocks nobody, and is found as garbage."""
    from ocirun.image.staging import garbage

    before = machine.store.descriptors()
    program = (
        "import os, sys; from ocirun.image.store import Store\n"
        "store = Store(*sys.argv[1:]); transaction = store.transaction()\n"
        "transaction.add_bytes(b'{}', 'a/b'); lock = store.lock(); lock.acquire(); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"{tmp_path}/images", f"{tmp_path}/tmp", f"{tmp_path}/lock"], check=False
    )
    assert done.returncode == -9
    assert machine.store.descriptors() == before
    (left,) = garbage(str(tmp_path / "tmp"))
    shutil.rmtree(left)
    machine.add(Made(tar_of({"z": b"9"})), "after:1")
    assert machine.store.resolve("after:1").names


def test_change_index(machine: Machine, image: Made) -> None:
    assert len(machine.store.change_index(lambda entries: entries[:1])) == 2
    assert len(machine.store.descriptors()) == 1
    with pytest.raises(ZeroDivisionError):
        machine.store.change_index(lambda entries: entries[: 1 // 0])
    assert len(machine.store.change_index(lambda entries: entries)) == 1


def test_make_layout_twice(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    for _ in range(2):
        layout.make_layout(str(tmp_path / "images"), str(tmp_path / "tmp"))
    assert json.loads((tmp_path / "images/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert layout.read_index(str(tmp_path / "images")) == []
    with pytest.raises(StorageError):
        layout.make_layout(str(tmp_path / "missing/images"), str(tmp_path / "tmp"))
