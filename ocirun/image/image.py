"""One image as the store has it. An Image cannot be changed; changes make another one."""

from ocirun.errors import InvalidError
from ocirun.oci.digest import Digest, chain_ids
from ocirun.oci.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.oci.image_documents import Descriptor, ExecutionConfig, ImageConfig, Manifest
    from ocirun.oci.reference import Reference


class Image:
    """A manifest, its config, and the names that lead to it.

    id               the digest of the config, which is docker's image id
    descriptor       of the manifest, as index.json has it
    manifest, config the parsed documents; `config_bytes` as they were written
    diff_ids         digests of the uncompressed layers, bottom first
    names            the references that lead here, sorted
    """

    __slots__ = (
        "_chain_ids",
        "config",
        "config_bytes",
        "descriptor",
        "diff_ids",
        "id",
        "manifest",
        "manifest_bytes",
        "names",
    )

    _chain_ids: "list[Digest]"
    config: "ImageConfig"
    config_bytes: bytes
    descriptor: "Descriptor"
    diff_ids: "list[Digest]"
    id: Digest
    manifest: "Manifest"
    manifest_bytes: bytes
    names: "list[Reference]"

    def __init__(
        self, descriptor: "Descriptor", manifest_bytes: bytes, config_bytes: bytes, names: "list[Reference]"
    ) -> None:
        """Parse the documents. Raises InvalidError when they do not have the shape of an image's."""
        put = object.__setattr__
        what = f"the image with manifest {descriptor['digest']}"
        manifest = _parse(manifest_bytes, what)
        config = _parse(config_bytes, what)
        try:
            put(self, "id", Digest(manifest["config"]["digest"]))
            put(self, "diff_ids", [Digest(text) for text in config["rootfs"]["diff_ids"] or ()])
            count = len([layer["digest"] for layer in manifest["layers"]])
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidError(f"{what} is damaged: {error!r}") from error
        if count != len(self.diff_ids):
            raise InvalidError(f"{what} is damaged: {count} layers, but {len(self.diff_ids)} diff ids")
        put(self, "descriptor", descriptor)
        put(self, "manifest", manifest)
        put(self, "manifest_bytes", manifest_bytes)
        put(self, "config", config)
        put(self, "config_bytes", config_bytes)
        put(self, "names", names)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an image cannot be changed: {name}")

    @property
    def manifest_digest(self) -> Digest:
        """The digest of the manifest."""
        return Digest(self.descriptor["digest"])

    @property
    def layers(self) -> "list[Descriptor]":
        """The descriptors of the layers, bottom first."""
        return self.manifest["layers"]

    @property
    def chain_ids(self) -> "list[Digest]":
        """For each layer the name of it and all below it, bottom first: the key of unpacked layers."""
        if not hasattr(self, "_chain_ids"):
            object.__setattr__(self, "_chain_ids", chain_ids(self.diff_ids))
        return self._chain_ids

    @property
    def execution(self) -> "ExecutionConfig":
        """What a container of this image does unless told otherwise; {} when the image says nothing."""
        return self.config.get("config") or {}

    @property
    def platform(self) -> Platform:
        """What the image was made for."""
        return Platform.of_document(self.config)

    def __repr__(self) -> str:
        return f"<Image {self.id}>"


def _parse(data: bytes, what: str) -> "dict[str, Any]":
    import json

    try:
        document = json.loads(data)
        if b"\\ud" in data.lower():
            # Half a surrogate pair is JSON, and no text: U+FFFD, as Go reads it.
            text = (
                json.dumps(document, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            )
            document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"{what} is damaged: {error}") from error
    if not isinstance(document, dict):
        raise InvalidError(f"{what} is damaged: expected an object")
    return document
