"""Unpacked layers: they appear whole, by whoever is first, and what was left half done is found."""

import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ocirun.errors import DigestMismatchError, StorageError
from ocirun.files import Lock
from ocirun.image.layers import Layers, ensure_layers
from ocirun.oci.digest import Digest, chain_ids
from tests.unit.image.archives import extract
from tests.unit.image.stores import TAR, Machine, Made, digest_of, tar_of

DATA = tar_of({"a": b"1"})


def stream() -> Any:
    return io.BytesIO(DATA)


def test_it_appears_whole(tmp_path: Path) -> None:
    layers = Layers(str(tmp_path / "layers"), extract, shutil.rmtree)
    assert layers.chain_ids() == []
    unpacked = layers.unpack(stream(), None, media_type=TAR, below=[])
    assert (unpacked.diff_id, unpacked.unpacked_size) == (digest_of(DATA), 1)
    assert layers.chain_ids() == [digest_of(DATA)]
    above = layers.unpack(stream(), None, media_type=TAR, below=[unpacked.diff_id])
    chain = chain_ids([unpacked.diff_id, above.diff_id])
    assert set(layers.chain_ids()) == set(chain)
    layers.remove(chain[1])
    layers.remove(chain[1])
    assert layers.chain_ids() == [chain[0]]
    assert [name for name in os.listdir(layers.directory) if name.startswith(".")] == []


def test_somebody_else_is_faster(tmp_path: Path) -> None:
    directory = tmp_path / "layers"
    final = directory / digest_of(DATA)[7:]

    def slow(descriptor: int, target: str, lowers: list[str]) -> tuple[int, int]:
        counts = extract(descriptor, target, lowers)
        shutil.copytree(target, final)
        return counts

    layers = Layers(str(directory), slow, shutil.rmtree)
    layers.unpack(stream(), None, media_type=TAR, below=[])
    assert os.listdir(directory) == [final.name]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def broken(descriptor: int, target: str, lowers: list[str]) -> tuple[int, int]:
        os.read(descriptor, 1 << 20)
        raise OSError(28, "full")

    layers = Layers(str(tmp_path / "layers"), broken, shutil.rmtree)
    with pytest.raises(StorageError, match=r"unpack a layer in .*: No space left on device"):
        layers.unpack(stream(), None, media_type=TAR, below=[])
    layers = Layers(str(tmp_path / "layers"), extract, shutil.rmtree)
    with pytest.raises(DigestMismatchError):
        layers.unpack(stream(), None, media_type=TAR, below=[], diff_id="sha256:" + 64 * "0")
    assert os.listdir(layers.directory) == []


def test_garbage(tmp_path: Path) -> None:
    layers = Layers(str(tmp_path / "layers"), extract, shutil.rmtree)
    assert layers.remove_garbage() == 0
    for name in (".x-1", ".x-2", 64 * "a"):
        (tmp_path / "layers" / name).mkdir(parents=True)
    with Lock(str(tmp_path / "layers/.x-2.lock")):
        assert layers.remove_garbage() == 1
        assert sorted(os.listdir(layers.directory)) == [".x-2", ".x-2.lock", 64 * "a"]
    assert layers.remove_garbage() == 1
    assert os.listdir(layers.directory) == [64 * "a"]


def test_garbage_is_a_lock_alone_too(tmp_path: Path) -> None:
    """It is what is left of a process that was killed between taking the lock and making the directory."""
    layers = Layers(str(tmp_path / "layers"), extract, shutil.rmtree)
    layers.unpack(stream(), None, media_type=TAR, below=[])
    before = os.listdir(layers.directory)
    (tmp_path / "layers/.x-1.lock").touch()
    with Lock(str(tmp_path / "layers/.x-2.lock")):
        assert layers.remove_garbage() == 0
        assert sorted(os.listdir(layers.directory)) == sorted([".x-2.lock", *before])
    assert layers.remove_garbage() == 0
    assert os.listdir(layers.directory) == before


def test_ensure_layers_unpacks_what_is_missing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.add(Made(DATA, tar_of({"b": b"2"})), "x:1")
    image = machine.store.resolve("x:1")
    expected = [machine.layers.path(chain_id) for chain_id in image.chain_ids]
    assert ensure_layers(machine.store, image, machine.layers) == expected
    machine.layers.remove(image.chain_ids[1])
    assert ensure_layers(machine.store, image, machine.layers) == expected
    assert (Path(expected[1]) / "b").read_text() == "2"
    machine.layers.remove(image.chain_ids[0])
    blob = Path(machine.store.blob_path(Digest(image.layers[0]["digest"])))
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\1")
    with pytest.raises(DigestMismatchError):
        ensure_layers(machine.store, image, machine.layers)
