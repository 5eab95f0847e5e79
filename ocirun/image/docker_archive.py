"""Archives of docker save: manifest.json names the config and the layers of each image (no specification but docker's).

Layers have no digests there, only diff ids in the config; their names are <id>/layer.tar (often links to each other),
<digest>.tar, or blobs/sha256/<digest> since docker 25. A layer keeps the compression it has.
"""

from ocirun.errors import InvalidError
from ocirun.image.compression import SNIFF_LENGTH, sniff
from ocirun.image.copy import LayerSource, make_documents
from ocirun.image.load import DOCKER_NAME, check_config, check_reference
from ocirun.image.store import CONFIG_LIMIT, MANIFEST_LIMIT
from ocirun.oci.digest import Digest, check_bytes, is_digest
from ocirun.oci.media_types import layer_type
from ocirun.oci.reference import Reference
from ocirun.oci.schemas import check, parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocirun.image.archive import Archive
    from ocirun.image.copy import ImageDocuments, Reader, StoredLayer
    from ocirun.oci.platform import Platform


class Peeked:
    """A Reader whose first bytes have been looked at."""

    __slots__ = ("_reader", "_start", "spooled_path")

    def __init__(self, reader: "Reader", length: int) -> None:
        self._reader = reader
        self._start = b""
        self.spooled_path: str = getattr(reader, "spooled_path", "")
        while len(self._start) < length:
            data = reader.read(length - len(self._start))
            if not data:
                break
            self._start += data

    @property
    def start(self) -> bytes:
        """The bytes looked at, until they are read."""
        return self._start

    def read(self, size: int, /) -> bytes:
        """At most `size` of the next bytes."""
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._reader.read(size)

    def close(self) -> None:
        """Close the reader below."""
        self._reader.close()


def open_docker_images(archive: "Archive", platform: "Platform | None") -> "Iterator[DockerImage]":
    """The images that manifest.json lists. Raises InvalidError, NotFoundError, ConflictError."""
    what = f"{DOCKER_NAME} of {archive.name}"
    entries = parse_json(archive.read(DOCKER_NAME, MANIFEST_LIMIT), what)
    check("docker-archive", entries, what)
    if not entries:
        raise InvalidError(f"{archive.name} has no images")
    known: dict[str, StoredLayer] = {}
    for entry in entries:
        yield DockerImage(archive, entry, platform, known)


class DockerImage:
    """One image of manifest.json. `known` is shared between the images of an archive: member name -> what it became."""

    __slots__ = ("_archive", "_config", "_config_bytes", "_known", "_members", "references")

    def __init__(
        self, archive: "Archive", entry: "dict[str, Any]", platform: "Platform | None", known: "dict[str, StoredLayer]"
    ) -> None:
        """Read the config. Raises InvalidError, NotFoundError, ConflictError."""
        self._archive = archive
        self._known = known
        self.references = [check_reference(Reference.parse(name), archive.name) for name in entry.get("RepoTags") or ()]
        self._members: list[str] = entry["Layers"] or []
        what = f"config {entry['Config']} of {archive.name}"
        self._config_bytes = archive.read(entry["Config"], CONFIG_LIMIT)
        digest = _digest_in(entry["Config"])
        if digest is not None:
            check_bytes(self._config_bytes, digest, what)
        self._config = check_config(self._config_bytes, what, platform)
        if len(self._config["rootfs"]["diff_ids"]) != len(self._members):
            counts = f"{len(self._config['rootfs']['diff_ids'])} diff ids, but {DOCKER_NAME} lists {len(self._members)} layers"
            raise InvalidError(f"{what} has {counts}")

    def layers(self) -> "Iterator[LayerSource]":
        """The layers; one that another name in the archive leads to is not read again."""
        for member, diff_id in zip(self._members, self._config["rootfs"]["diff_ids"], strict=True):
            name = self._archive.resolve(member)
            known = self._known.get(name)
            if known is not None:
                layer = self._again(known, Digest(diff_id), name)
            else:
                reader = Peeked(self._archive.open(name), SNIFF_LENGTH)
                layer = LayerSource(
                    _layer_type(reader.start, f"{member} of {self._archive.name}"),
                    lambda reader=reader: reader,  # type: ignore[misc] # bound in a loop
                    digest=_digest_in(name) if name.startswith("blobs/") else None,
                    diff_id=Digest(diff_id),
                )
            yield layer
            if layer.stored is not None:
                self._known[name] = layer.stored

    def _again(self, known: "StoredLayer", diff_id: Digest, name: str) -> LayerSource:
        descriptor = known.descriptor
        return LayerSource(
            descriptor["mediaType"],
            lambda: self._archive.open(name),
            digest=Digest(descriptor["digest"]),
            size=descriptor["size"],
            diff_id=diff_id,
        )

    def documents(self, stored: "list[StoredLayer]") -> "ImageDocuments":
        """A manifest for the layers as they came; the config byte for byte, so that the image keeps its id."""
        return make_documents(self._config, stored, self._config_bytes)


def _layer_type(start: bytes, what: str) -> str:
    compression = sniff(start)
    if compression not in ("", "gzip", "zstd"):
        raise InvalidError(f"{what} is compressed with {compression}", "layers are gzip, zstd or not compressed")
    return layer_type(compression)


def _digest_in(name: str) -> "Digest | None":
    """The digest that a member's name says: blobs/sha256/<hex>, <hex>.json, or sha256:<hex>."""
    last = name.rpartition("/")[2].removesuffix(".json")
    text = last if ":" in last else f"sha256:{last}"
    return Digest(text) if is_digest(text) else None
