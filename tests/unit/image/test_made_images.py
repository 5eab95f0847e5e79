"""Images that are made here: of a tar (import), and of another image (commit)."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pyzstd

from ocirun.errors import InvalidError
from ocirun.image.changed_image import ChangedImage
from ocirun.image.copy import LayerSource, copy_image
from ocirun.image.import_archive import ImportedArchive
from ocirun.image.store_sink import StoreSink
from ocirun.oci.platform import Platform, this_machine
from ocirun.oci.reference import Reference
from tests.unit.image.stores import TAR, Machine, Made, digest_of, tar_of

DATA = tar_of({"a": b"1"})
NAME = Reference.parse("made:1")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def put(machine: Machine, source: Any) -> None:
    with machine.store.transaction() as transaction:
        copy_image(source, StoreSink(transaction, machine.layers))
        transaction.commit()


def imported(data: bytes, **options: Any) -> ImportedArchive:
    raw: Any = io.BytesIO(data)
    values = {
        "references": [NAME],
        "created": "2026-01-02T03:04:05Z",
        "message": "",
        "execution": {"Cmd": ["sh"]},
        **options,
    }
    return ImportedArchive(io.BufferedReader(raw), "-", **values)


@pytest.mark.parametrize(
    "pack, suffix, same",
    [
        (bytes, "tar", True),
        (gzip.compress, "tar+gzip", True),
        (pyzstd.compress, "tar+zstd", True),
        (bz2.compress, "tar", False),
        (lzma.compress, "tar", False),
    ],
)
def test_import(machine: Machine, pack: Callable[[bytes], bytes], suffix: str, *, same: bool) -> None:
    data = pack(DATA)
    put(machine, imported(data))
    image = machine.store.resolve("made:1")
    (layer,) = image.layers
    assert layer["mediaType"].endswith(f".{suffix}")
    assert layer["digest"] == digest_of(data if same else DATA)
    assert image.diff_ids == [digest_of(DATA)]
    assert image.config["created"] == "2026-01-02T03:04:05Z"
    assert image.config["history"] == [{"created": "2026-01-02T03:04:05Z", "comment": "Imported from -"}]
    assert image.execution == {"Cmd": ["sh"]}
    assert image.platform == this_machine()


def test_import_with_a_message_for_a_platform(machine: Machine) -> None:
    put(machine, imported(DATA, message="hello", platform=Platform.parse("linux/arm/v6")))
    config = machine.store.resolve("made:1").config
    assert (config["architecture"], config["variant"]) == ("arm", "v6")
    assert (config["history"] or [])[0]["comment"] == "hello"


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 100, gzip.compress(DATA)[:-9], pyzstd.compress(DATA)[:-1]])
def test_import_of_what_is_no_tar(machine: Machine, data: bytes) -> None:
    with pytest.raises(InvalidError):
        put(machine, imported(data))
    assert (machine.state(), machine.staged()) == ((b"", set(), set()), [])


def test_a_layer_on_top(machine: Machine) -> None:
    machine.add(Made(DATA), "base:1")
    base = machine.store.resolve("base:1")
    top: Any = io.BytesIO(tar_of({"b": b"2"}))
    history: Any = {"created": "2027-01-01T00:00:00Z", "created_by": "sh", "author": "me", "comment": "more"}
    source = ChangedImage(
        machine.store, base, LayerSource(TAR, lambda: top), references=[NAME], execution={"Cmd": ["x"]}, history=history
    )
    put(machine, source)
    image = machine.store.resolve("made:1")
    assert image.layers[0] == base.layers[0]
    assert image.diff_ids == [digest_of(DATA), digest_of(tar_of({"b": b"2"}))]
    assert image.config["history"] == [*(base.config["history"] or []), history]
    assert (image.config["created"], image.config["author"]) == ("2027-01-01T00:00:00Z", "me")
    assert image.execution == {"Cmd": ["x"]}
    assert base.config["history"] == Made(DATA).config["history"]


def test_only_the_config(machine: Machine) -> None:
    machine.add(Made(DATA), "base:1")
    base = machine.store.resolve("base:1")
    put(
        machine, ChangedImage(machine.store, base, None, references=[NAME], execution={}, history={"created_by": "ENV"})
    )
    image = machine.store.resolve("made:1")
    assert image.layers == base.layers
    assert (image.config["history"] or [])[-1] == {"created_by": "ENV", "empty_layer": True}


def test_of_nothing(machine: Machine) -> None:
    top: Any = io.BytesIO(DATA)
    source = ChangedImage(
        machine.store,
        None,
        LayerSource(TAR, lambda: top),
        references=[],
        execution={},
        history={"created": "2027-01-01T00:00:00Z"},
    )
    put(machine, source)
    image = machine.store.resolve(machine.store.image_id(machine.store.descriptors()[0]))
    assert image.diff_ids == [digest_of(DATA)]
    assert image.platform == this_machine()
    assert image.names == []
