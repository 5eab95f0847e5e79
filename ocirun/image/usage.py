"""What the images of the store need: blobs, and unpacked layers; what nobody needs can go."""

import os

from ocirun.errors import InvalidError, NotFoundError
from ocirun.files import storage_error
from ocirun.image import layout
from ocirun.oci.digest import Digest, is_digest
from ocirun.oci.media_types import INDEXES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocirun.image.store import Store
    from ocirun.oci.image_documents import Descriptor


# Begins the name of an empty file in a staging directory, which keeps an unpacked layer; the rest is its chain id's digits.
PIN = "layer-"


class Usage:
    """Answers for one store. Each manifest is read once, so that removing many images costs little more than one."""

    __slots__ = ("_known", "_store")

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._known: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def blobs(self, descriptors: "Iterable[Descriptor]") -> "set[str]":
        """The digests of all blobs that these entries of the index need."""
        return set().union(*(self._of(descriptor)[0] for descriptor in descriptors))

    def chain_ids(self, descriptors: "Iterable[Descriptor]") -> "set[str]":
        """The chain ids of all layers of these images."""
        return set().union(*(self._of(descriptor)[1] for descriptor in descriptors))

    def _of(self, descriptor: "Descriptor") -> "tuple[frozenset[str], frozenset[str]]":
        digest = descriptor["digest"]
        if digest not in self._known:
            self._known[digest] = self._read(descriptor)
        return self._known[digest]

    def _read(self, descriptor: "Descriptor") -> "tuple[frozenset[str], frozenset[str]]":
        """What is found by reading; a document that is missing or damaged leads to nothing that could be read."""
        blobs = _references(self._store, descriptor)
        try:
            chain = self._store.image(descriptor, []).chain_ids
        except (InvalidError, NotFoundError):
            chain = []
        return frozenset(blobs), frozenset(chain)


def _references(store: "Store", descriptor: "Descriptor") -> "set[str]":
    """The digests that the document behind `descriptor` leads to, itself included, whatever another tool put there."""
    import json

    from ocirun.image.store import MANIFEST_LIMIT

    found: set[str] = set()
    pending: list[tuple[str, str]] = [(descriptor["digest"], descriptor["mediaType"])]
    while pending:
        digest, media_type = pending.pop()
        if digest in found or not is_digest(digest):
            continue
        found.add(digest)
        try:
            document = json.loads(store.read_document(Digest(digest), MANIFEST_LIMIT))
            if media_type in INDEXES:
                pending += [(entry["digest"], entry["mediaType"]) for entry in document["manifests"]]
            else:
                found.update(entry["digest"] for entry in (document["config"], *document["layers"]))
        except (InvalidError, NotFoundError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return found


def pinned_layers(store: "Store") -> "set[str]":
    """The chain ids of the layers that changes under way need (Transaction.pin_layer). The caller holds the lock.

    Pins of a process that was killed count until prune has removed its staging directory.
    """
    found: set[str] = set()
    for staging in _names(store.temporary):
        pins = (name for name in _names(f"{store.temporary}/{staging}") if name.startswith(PIN))
        found.update(f"sha256:{name.removeprefix(PIN)}" for name in pins)
    return found


def remove_blobs(store: "Store", digests: "Iterable[str]") -> int:
    """Remove these blobs; returns the bytes that were freed. The caller holds the lock. Raises StorageError."""
    freed = 0
    for digest in digests:
        path = store.blob_path(Digest(digest))
        try:
            size = os.stat(path).st_size
            os.unlink(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise storage_error(error, f"remove {path}") from error
        freed += size
    return freed


def remove_unfinished_index(store: "Store") -> "list[str]":
    """Remove what write_file leaves of index.json when it is killed; returns the names. The caller holds the lock."""
    start = f"{layout.INDEX_NAME}."
    found = [name for name in _names(store.directory) if name.startswith(start) and name.endswith(".tmp")]
    for name in found:
        os.unlink(f"{store.directory}/{name}")
    return found


def unused_blobs(store: "Store") -> "list[str]":
    """The digests of blobs in place that no entry of the index needs. The caller holds the lock."""
    used = Usage(store).blobs(store.descriptors())
    found = []
    for algorithm in _names(f"{store.directory}/blobs"):
        for name in _names(f"{store.directory}/blobs/{algorithm}"):
            digest = f"{algorithm}:{name}"
            if is_digest(digest) and digest not in used:
                found.append(digest)
    return found


def _names(directory: str) -> "list[str]":
    try:
        return os.listdir(directory)
    except OSError:
        return []
