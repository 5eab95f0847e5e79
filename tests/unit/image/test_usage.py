"""What images need, and what can go."""

import os
from pathlib import Path

from ocirun.image import layout
from ocirun.image.usage import Usage, remove_blobs, unused_blobs
from ocirun.oci.digest import Digest
from tests.unit.image.stores import INDEX, Machine, Made, descriptor, digest_of, tar_of
from tests.unit.image.stores import layout as layout_files

BASE = tar_of({"a": b"1"})
TOP = tar_of({"b": b"2"})


def test_shared_layers_are_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    one, two = Made(BASE), Made(BASE, TOP)
    machine.add(one, "one:1")
    machine.add(two, "two:1")
    entries = machine.store.descriptors()
    first, second = entries[:2], entries[2:]
    usage = Usage(machine.store)
    assert usage.blobs(second) - usage.blobs(first) == {
        digest_of(data) for data in (two.manifest_bytes, two.config_bytes, two.blobs[1])
    }
    assert usage.chain_ids(first) == {machine.store.resolve("one:1").chain_ids[0]}
    assert usage.chain_ids(first) < usage.chain_ids(second)
    assert unused_blobs(machine.store) == []
    layout.write_index(machine.store.directory, first)
    unused = unused_blobs(machine.store)
    assert set(unused) == usage.blobs(second) - usage.blobs(first)
    assert remove_blobs(machine.store, unused) == sum(
        len(data) for data in (two.manifest_bytes, two.config_bytes, two.blobs[1])
    )
    assert remove_blobs(machine.store, unused) == 0
    assert machine.store.resolve("one:1").id == one.id


def test_an_index_of_another_tool_keeps_what_it_leads_to(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    image = Made(BASE)
    machine.add(image, "x:1")
    inner = layout_files(image.entry(), files={})["index.json"]
    (tmp_path / "images" / layout.blob_name(Digest(digest_of(inner)))).write_bytes(inner)
    layout.write_index(machine.store.directory, [descriptor(inner, INDEX)])  # type: ignore[list-item]  # a plain dict
    assert unused_blobs(machine.store) == []
    assert machine.store.image(machine.store.descriptors()[0], []).id == image.id
    os.unlink(machine.store.blob_path(Digest(digest_of(image.manifest_bytes))))
    assert set(unused_blobs(machine.store)) == {digest_of(image.config_bytes), digest_of(image.blobs[0])}


def test_no_store_at_all(tmp_path: Path) -> None:
    assert unused_blobs(Machine(tmp_path / "x").store) == []
