"""The store as a sink: layers are verified, kept as blobs and unpacked, all in one pass over their bytes."""

import os

from ocirun.errors import DigestMismatchError, InvalidError, NotFoundError
from ocirun.image import index
from ocirun.image.copy import StoredLayer
from ocirun.oci.digest import Digest, chain_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocirun.image.copy import ImageDocuments, LayerSource, Reader
    from ocirun.image.layers import Layers
    from ocirun.image.transaction import BlobWriter, Transaction
    from ocirun.image.unpack import UnpackedLayer
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.reference import Reference


class StoreSink:
    """Puts images into `transaction`, whose commit shows them, and unpacks their layers into `layers`."""

    __slots__ = ("_layers", "_new_sizes", "_pairs", "_stored_sizes", "_transaction")

    def __init__(self, transaction: "Transaction", layers: "Layers") -> None:
        self._transaction = transaction
        self._layers = layers
        # Blobs and diff ids that are known to belong together, because they went through our hands.
        self._pairs: set[tuple[str, str]] = set()
        self._stored_sizes: Mapping[str, int] | None = None
        self._new_sizes: dict[str, int] = {}

    def put_layer(self, layer: "LayerSource", below: "list[StoredLayer]") -> StoredLayer:
        """Take a layer; nothing is read when the store has its blob and has it unpacked.

        Raises DigestMismatchError, InvalidError, StorageError.
        """
        beneath = [stored.diff_id for stored in below]
        if layer.digest is None or layer.diff_id is None or not self._transaction.has(layer.digest):
            return self._receive(layer, beneath)
        size = os.stat(self._transaction.staged_path(layer.digest)).st_size
        if layer.size not in (None, size):
            raise DigestMismatchError(f"layer {layer.digest} has {size} bytes, but its descriptor says {layer.size}")
        descriptor: Descriptor = {"mediaType": layer.media_type, "digest": layer.digest, "size": size}
        if self._is_known(layer.digest, layer.diff_id) and self._has_unpacked(beneath, layer.diff_id):
            return StoredLayer(descriptor, layer.diff_id, self._size_of(layer.diff_id, size))
        with self._transaction.open_blob(layer.digest) as blob:
            self._unpack(layer, blob, None, beneath)
        return StoredLayer(descriptor, layer.diff_id, self._size_of(layer.diff_id, size))

    def _receive(self, layer: "LayerSource", beneath: "list[Digest]") -> StoredLayer:
        reader = layer.open()
        # A file that was spooled in our staging directory becomes the blob; anything else is written while it is read.
        spooled = getattr(reader, "spooled_path", "")
        writer = None if spooled else self._transaction.begin_blob()
        try:
            unpacked = self._unpack(layer, reader, writer, beneath)
            digest, diff_id = Digest(unpacked.digest), Digest(unpacked.diff_id)
            if writer is None:
                self._transaction.adopt(spooled, digest)
            else:
                self._transaction.keep(writer, digest)
        finally:
            reader.close()
            if writer is not None:
                writer.close()
        descriptor: Descriptor = {"mediaType": layer.media_type, "digest": digest, "size": unpacked.size}
        return StoredLayer(descriptor, diff_id, self._size_of(diff_id, unpacked.size))

    def _unpack(
        self, layer: "LayerSource", reader: "Reader", writer: "BlobWriter | None", beneath: "list[Digest]"
    ) -> "UnpackedLayer":
        if layer.diff_id is not None and self._has_unpacked(beneath, layer.diff_id):
            # Nothing is extracted, so nothing is counted: the size is remembered.
            unpacked = self._layers.verify(
                reader,
                writer,
                media_type=layer.media_type,
                digest=layer.digest,
                size=layer.size,
                diff_id=layer.diff_id,
                limits=self._layers.limits,
            )
        else:
            unpacked = self._layers.unpack(
                reader,
                writer,
                media_type=layer.media_type,
                digest=layer.digest,
                size=layer.size,
                diff_id=layer.diff_id,
                below=beneath,
                before=self._transaction.pin_layer,
            )
            self._new_sizes[unpacked.diff_id] = unpacked.unpacked_size
        self._pairs.add((unpacked.digest, unpacked.diff_id))
        return unpacked

    def _has_unpacked(self, beneath: "list[Digest]", diff_id: Digest) -> bool:
        """Whether the layer is unpacked; it stays so until the end of the transaction."""
        chain_id = chain_ids([*beneath, diff_id])[-1]
        # Pinned before the look: afterwards it could be gone by the time it is pinned.
        self._transaction.pin_layer(chain_id)
        return self._layers.has(chain_id)

    def _is_known(self, digest: Digest, diff_id: Digest) -> bool:
        """Whether the blob is known to unpack to that diff id; if not, a claim of an archive has to be verified."""
        if (digest, diff_id) in self._pairs:
            return True
        store = self._transaction.store
        for descriptor in store.descriptors():
            # The remembered sizes say which images have the layer, so that only those are read.
            if index.layer_size(index.known_layer_sizes([descriptor]), diff_id) is None:
                continue
            try:
                image = store.image(descriptor, [])
            except (InvalidError, NotFoundError):
                continue
            for layer, known in zip(image.layers, image.diff_ids, strict=True):
                self._pairs.add((layer["digest"], known))
            if (digest, diff_id) in self._pairs:
                return True
        return False

    def _size_of(self, diff_id: Digest, otherwise: int) -> int:
        if diff_id in self._new_sizes:
            return self._new_sizes[diff_id]
        if self._stored_sizes is None:
            self._stored_sizes = index.known_layer_sizes(self._transaction.store.descriptors())
        size = index.layer_size(self._stored_sizes, diff_id)
        return otherwise if size is None else size

    def put_image(
        self, documents: "ImageDocuments", references: "list[Reference]", layers: "list[StoredLayer]"
    ) -> None:
        """Take the documents; the image is visible after the transaction's commit. Raises StorageError."""
        self._transaction.add_bytes(documents.config_bytes, documents.manifest["config"]["mediaType"])
        self._transaction.add_bytes(documents.manifest_bytes, documents.manifest_type)
        diff_ids = [str(layer.diff_id) for layer in layers]
        annotations = {
            index.IMAGE_ID: str(documents.image_id),
            index.LAYER_SIZES: index.layer_sizes_text(diff_ids, [layer.unpacked_size for layer in layers]),
        }
        if documents.config.get("created"):
            annotations[index.CREATED] = documents.config["created"]
        descriptor: Descriptor = {**documents.descriptor, "annotations": annotations}
        self._transaction.add_image(descriptor, references, documents.blobs)
