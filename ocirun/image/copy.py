"""Copying images: every way in and out of the store is one source, one sink, and `copy_image` between them.

sources   an OCI layout or docker archive (load), a plain tar (import), an image of the store (save), a container (commit)
sinks     the store, an archive or directory
"""

from ocirun.files import json_bytes
from ocirun.oci.digest import Digest, sha256_of
from ocirun.oci.media_types import CONFIG, MANIFEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from ocirun.oci.image_documents import Descriptor, ImageConfig, Manifest
    from ocirun.oci.reference import Reference

    class Reader(Protocol):
        """Bytes in order; b"" at the end."""

        def read(self, size: int, /) -> bytes:
            """At most `size` of the next bytes."""

        def close(self) -> None:
            """Give up what is held open."""

    class ImageSource(Protocol):
        """Where an image comes from."""

        @property
        def references(self) -> list[Reference]:
            """The names that the image brings along."""

        def layers(self) -> Iterator["LayerSource"]:
            """The layers, bottom first; each is used before the next one is asked for."""

        def documents(self, stored: list["StoredLayer"]) -> "ImageDocuments":
            """Manifest and config, when it is known what the layers turned out to be."""

    class ImageSink(Protocol):
        """Where an image goes to."""

        def put_layer(self, layer: "LayerSource", below: list["StoredLayer"]) -> "StoredLayer":
            """Take one layer, verified; `below` are those that it lies on, bottom first."""

        def put_image(
            self, documents: "ImageDocuments", references: list[Reference], layers: list["StoredLayer"]
        ) -> None:
            """Take the documents; the image is whole then, and visible when the sink says so."""


class LayerSource:
    """One layer on its way. What is not known beforehand is None; what is known is verified by the sink.

    `open` gives the bytes as `media_type` says they are compressed; it is called at most once. After the copy `stored`
    says what became of the layer.
    """

    __slots__ = ("diff_id", "digest", "media_type", "open", "size", "stored")

    def __init__(
        self,
        media_type: str,
        open_: "Callable[[], Reader]",
        *,
        digest: "Digest | None" = None,
        size: "int | None" = None,
        diff_id: "Digest | None" = None,
    ) -> None:
        self.media_type = media_type
        self.open = open_
        self.digest = digest
        self.size = size
        self.diff_id = diff_id
        self.stored: StoredLayer | None = None


class StoredLayer:
    """A layer that has arrived: its descriptor, its diff id, and the bytes of its files (docker's size of a layer)."""

    __slots__ = ("descriptor", "diff_id", "unpacked_size")

    def __init__(self, descriptor: "Descriptor", diff_id: Digest, unpacked_size: int) -> None:
        self.descriptor = descriptor
        self.diff_id = diff_id
        self.unpacked_size = unpacked_size


class ImageDocuments:
    """The manifest and the config of an image, as bytes and parsed."""

    __slots__ = ("config", "config_bytes", "manifest", "manifest_bytes", "manifest_type")

    def __init__(
        self,
        manifest_bytes: bytes,
        manifest: "Manifest",
        config_bytes: bytes,
        config: "ImageConfig",
        manifest_type: str = MANIFEST,
    ) -> None:
        self.manifest_bytes = manifest_bytes
        self.manifest = manifest
        self.manifest_type = manifest_type
        self.config_bytes = config_bytes
        self.config = config

    @property
    def image_id(self) -> Digest:
        """The digest of the config."""
        return Digest(self.manifest["config"]["digest"])

    @property
    def descriptor(self) -> "Descriptor":
        """The descriptor of the manifest, with the platform of the config."""
        platform = {key: self.config.get(key) for key in ("architecture", "os", "variant") if self.config.get(key)}
        return {
            "mediaType": self.manifest_type,
            "digest": sha256_of(self.manifest_bytes),
            "size": len(self.manifest_bytes),
            "platform": platform,  # type: ignore[typeddict-item] # built from the keys it has
        }

    @property
    def blobs(self) -> "set[Digest]":
        """The digests of all that belongs to the image."""
        layers = {Digest(layer["digest"]) for layer in self.manifest["layers"]}
        return {sha256_of(self.manifest_bytes), self.image_id, *layers}


def make_documents(config: "ImageConfig", stored: "list[StoredLayer]", config_bytes: bytes = b"") -> ImageDocuments:
    """Documents in OCI's form for these layers. The config is written as it is given, or as `config_bytes` have it."""
    config_bytes = config_bytes or json_bytes(config)
    manifest: Manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": sha256_of(config_bytes), "size": len(config_bytes)},
        "layers": [layer.descriptor for layer in stored],
    }
    return ImageDocuments(json_bytes(manifest), manifest, config_bytes, config)


def copy_image(source: "ImageSource", sink: "ImageSink") -> ImageDocuments:
    """Copy one image with its layers; success means that the sink has all of it, verified.

    Raises what the source and the sink raise; the sink then shows nothing of the image.
    """
    stored: list[StoredLayer] = []
    for layer in source.layers():
        layer.stored = sink.put_layer(layer, stored)
        stored.append(layer.stored)
    documents = source.documents(stored)
    sink.put_image(documents, source.references, stored)
    return documents
