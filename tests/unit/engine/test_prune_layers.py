"""Layers that a change of the store has unpacked, or relies on, stay until its images refer to them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ocirun.engine.prune import prune_garbage
from ocirun.engine.remove_image import remove_image
from ocirun.image.archive import DirectoryArchive
from ocirun.image.copy import LayerSource, StoredLayer, copy_image
from ocirun.image.load import open_images
from ocirun.image.store_sink import StoreSink
from tests.unit.engine.images import PlainEngine
from tests.unit.image.archives import archive, hard_link, member
from tests.unit.image.stores import Made, layout_of, write_directory

BASE = archive(member("a", b"content"))
# Cannot be unpacked without the layer below it.
LINK = archive(hard_link("b", "a"))
OTHER = archive(member("other", b"x"))


@pytest.fixture
def engine(tmp_path: Path) -> PlainEngine:
    return PlainEngine(tmp_path)


def directory(tmp_path: Path, image: Made, name: str) -> DirectoryArchive:
    return DirectoryArchive(str(write_directory(tmp_path / f"layout-{name}", layout_of(image, f"{name}:1"))))


def load(engine: PlainEngine, source: DirectoryArchive, between: Callable[[], object]) -> None:
    """Load the images of `source`, and do `between` after each of their layers and before the commit."""
    with engine.store.transaction() as transaction:
        sink = StoreSink(transaction, engine.layers)
        put_layer = sink.put_layer

        class Interrupted:
            put_image = sink.put_image

            def put_layer(self, layer: LayerSource, below: list[StoredLayer]) -> StoredLayer:
                stored = put_layer(layer, below)
                between()
                return stored

        for image in open_images(source, None):
            copy_image(image, Interrupted())
        transaction.commit()


def unpacked(engine: PlainEngine) -> set[str]:
    return set(engine.layers.chain_ids())


def test_prune_while_an_image_is_loaded(engine: PlainEngine, tmp_path: Path) -> None:
    image = Made(BASE, LINK)
    done: list[str] = []
    load(engine, directory(tmp_path, image, "x"), lambda: done.extend(prune_garbage(engine)))
    assert done == []
    assert unpacked(engine) == set(engine.store.resolve("x:1").chain_ids)
    assert prune_garbage(engine) == []


def test_removal_of_another_image_with_the_same_layer(engine: PlainEngine, tmp_path: Path) -> None:
    """The layer is unpacked already; its last image goes while another is loaded on top of it."""
    load(engine, directory(tmp_path, Made(BASE), "old"), lambda: None)
    load(
        engine,
        directory(tmp_path, Made(BASE, LINK), "new"),
        lambda: engine.store.find("old:1") and remove_image(engine, "old:1"),
    )
    assert engine.store.find("old:1") is None
    assert unpacked(engine) == set(engine.store.resolve("new:1").chain_ids)


def test_what_is_not_committed_goes_with_the_next_prune(engine: PlainEngine, tmp_path: Path) -> None:
    class GivenUpError(Exception):
        pass

    def give_up() -> None:
        raise GivenUpError

    with pytest.raises(GivenUpError):
        load(engine, directory(tmp_path, Made(OTHER), "x"), give_up)
    assert len(unpacked(engine)) == 1
    assert [line.split()[0] for line in prune_garbage(engine)] == ["layer"]
    assert unpacked(engine) == set()
