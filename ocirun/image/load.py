"""Sources of `load`: the images of an OCI layout (tar or directory) and of an archive made by docker save.

Everything is checked before it is believed: sizes and digests, shapes against the schemas, and that a document is the kind
of thing that its media type says (CVE-2021-41190).
"""

from ocirun.errors import ConflictError, DigestMismatchError, InvalidError, UnsupportedError, UsageError
from ocirun.image import index
from ocirun.image.copy import ImageDocuments, LayerSource
from ocirun.image.layout import INDEX_NAME, LAYOUT_NAME, blob_name
from ocirun.image.platforms import choose_entry, choose_manifest
from ocirun.image.store import CONFIG_LIMIT, MANIFEST_LIMIT
from ocirun.oci.digest import Digest, check_bytes
from ocirun.oci.media_types import CONFIGS, INDEXES, MANIFESTS, layer_compression
from ocirun.oci.reference import Reference
from ocirun.oci.schemas import check, parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocirun.image.archive import Archive
    from ocirun.image.copy import ImageSource, StoredLayer
    from ocirun.oci.image_documents import Descriptor, ImageConfig
    from ocirun.oci.platform import Platform

DOCKER_NAME = "manifest.json"
# A layout may hold thousands of images; ten thousand descriptors are 5 MB.
_INDEX_LIMIT = 64 << 20


def open_images(archive: "Archive", platform: "Platform | None" = None) -> "list[ImageSource]":
    """The images in `archive`: of several platforms the wanted one. Raises InvalidError, NotFoundError, ConflictError."""
    form = archive.first_of((LAYOUT_NAME, INDEX_NAME, DOCKER_NAME))
    if form == DOCKER_NAME:
        from ocirun.image.docker_archive import open_docker_images

        return list(open_docker_images(archive, platform))
    if not form:
        raise InvalidError(
            f"{archive.name} is not an archive of images: it has neither {INDEX_NAME} nor {DOCKER_NAME}",
            "a tar of a file system comes in with `ocirun import`",
        )
    return list(_open_layout(archive, platform))


def check_reference(reference: Reference, what: str) -> Reference:
    """The name with its tag. Raises ConflictError when it is the reserved one, UsageError when it looks like a digest."""
    if reference.is_host:
        raise ConflictError(
            f"{what} is named {reference.familiar}, which is reserved for this machine's own files",
            "choose another name or tag",
        )
    if reference.familiar_name in ("sha256", "sha512"):
        raise UsageError("refusing to create an ambiguous tag using digest algorithm as name")
    return reference.with_default_tag()


def _open_layout(archive: "Archive", platform: "Platform | None") -> "Iterator[LayoutImage]":
    layout = parse_json(archive.read(LAYOUT_NAME, MANIFEST_LIMIT), f"{LAYOUT_NAME} of {archive.name}")
    check("layout", layout, f"{LAYOUT_NAME} of {archive.name}")
    document = parse_json(archive.read(INDEX_NAME, _INDEX_LIMIT), f"{INDEX_NAME} of {archive.name}")
    check("index", document, f"{INDEX_NAME} of {archive.name}")
    groups = _group(document["manifests"], archive.name)
    if not groups:
        raise InvalidError(f"{archive.name} has no images")

    def is_present(digest: Digest) -> bool:
        return archive.has(blob_name(digest))

    def read(entry: "Descriptor") -> bytes:
        return _read_blob(archive, entry, MANIFEST_LIMIT)

    for references, entries in groups:
        entry = entries[0]
        if len(entries) > 1:
            entry = choose_entry(entries, archive.name, is_present, platform)
        if entry["mediaType"] in INDEXES:
            entry = choose_manifest(read(entry), entry["digest"], is_present, read, platform)
        yield LayoutImage(archive, entry, references, platform)


def _group(entries: "list[Descriptor]", what: str) -> "list[tuple[list[Reference], list[Descriptor]]]":
    """Which entries are the same image: those of one name are its platforms, those of one digest its names.

    Entries without a name that each have a platform are one image for several platforms.
    """
    by_name: dict[Reference | None, list[Descriptor]] = {}
    for entry in entries:
        known = by_name.setdefault(_reference_of(entry, what), [])
        if entry["digest"] not in {other["digest"] for other in known}:
            known.append(entry)
    nameless = by_name.pop(None, [])
    groups: dict[tuple[str, ...], tuple[list[Reference], list[Descriptor]]] = {}
    for reference, named in by_name.items():
        key = tuple(entry["digest"] for entry in named)
        groups.setdefault(key, ([], named))[0].append(reference)  # type: ignore[arg-type] # None was popped
    if len(nameless) > 1 and all(entry.get("platform") for entry in nameless):
        groups[tuple(entry["digest"] for entry in nameless)] = ([], nameless)
    else:
        for entry in nameless:
            groups.setdefault((entry["digest"],), ([], [entry]))
    return list(groups.values())


def _reference_of(entry: "Descriptor", what: str) -> "Reference | None":
    text = index.name_text(entry)
    try:
        return check_reference(Reference.parse(text), what) if text else None
    except InvalidError:
        # Something that is no name for docker, such as a title: the image comes in without a name.
        return None


def _read_blob(archive: "Archive", descriptor: "Descriptor", limit: int) -> bytes:
    digest = Digest(descriptor["digest"])
    what = f"blob {digest} of {archive.name}"
    if descriptor["size"] > limit:
        raise InvalidError(f"{what} has {descriptor['size']} bytes, more than the {limit} allowed for a document")
    data = archive.read(blob_name(digest), limit)
    if len(data) != descriptor["size"]:
        raise DigestMismatchError(f"{what} has {len(data)} bytes, but its descriptor says {descriptor['size']}")
    check_bytes(data, digest, what)
    return data


class LayoutImage:
    """One image of an OCI layout, its manifest and config checked."""

    __slots__ = ("_archive", "_documents", "references")

    def __init__(
        self,
        archive: "Archive",
        descriptor: "Descriptor",
        references: "list[Reference]",
        platform: "Platform | None" = None,
    ) -> None:
        """Read the documents. Raises InvalidError, NotFoundError."""
        self._archive = archive
        self.references = references
        what = f"manifest {descriptor['digest']} of {archive.name}"
        if descriptor["mediaType"] not in MANIFESTS:
            raise InvalidError(f"{what} is not an image but {descriptor['mediaType']}")
        manifest_bytes = _read_blob(archive, descriptor, MANIFEST_LIMIT)
        manifest = parse_json(manifest_bytes, what)
        check("manifest", manifest, what)
        if manifest.get("mediaType", descriptor["mediaType"]) != descriptor["mediaType"]:
            raise InvalidError(f"{what} says it is {manifest['mediaType']}, its descriptor {descriptor['mediaType']}")
        if manifest["config"]["mediaType"] not in CONFIGS:
            raise UnsupportedError(f"{what} is not a container image: its config is {manifest['config']['mediaType']}")
        config_bytes = _read_blob(archive, manifest["config"], CONFIG_LIMIT)
        config = check_config(config_bytes, f"config {manifest['config']['digest']} of {archive.name}", platform)
        if len(config["rootfs"]["diff_ids"]) != len(manifest["layers"]):
            counts = (
                f"{len(manifest['layers'])} layers, but its config has {len(config['rootfs']['diff_ids'])} diff ids"
            )
            raise InvalidError(f"{what} has {counts}")
        for layer in manifest["layers"]:
            if layer_compression(layer["mediaType"]) is None:
                raise UnsupportedError(
                    f"{what} has a layer of the type {layer['mediaType']}, which ocirun cannot unpack"
                )
        self._documents = ImageDocuments(manifest_bytes, manifest, config_bytes, config, descriptor["mediaType"])

    def layers(self) -> "Iterator[LayerSource]":
        """The layers, with all that the documents say about them."""
        diff_ids = self._documents.config["rootfs"]["diff_ids"]
        for descriptor, diff_id in zip(self._documents.manifest["layers"], diff_ids, strict=True):
            digest = Digest(descriptor["digest"])
            yield LayerSource(
                descriptor["mediaType"],
                lambda digest=digest: self._archive.open(blob_name(digest)),  # type: ignore[misc] # bound in a loop
                digest=digest,
                size=descriptor["size"],
                diff_id=Digest(diff_id),
            )

    def documents(self, stored: "list[StoredLayer]") -> ImageDocuments:
        """The documents as they are in the layout."""
        del stored
        return self._documents


def check_config(data: bytes, what: str, platform: "Platform | None") -> "ImageConfig":
    """The image config in `data`. Raises InvalidError when it breaks the schema or is for another than the wanted platform."""
    from ocirun.oci.platform import Platform

    document: Any = parse_json(data, what)
    check("image-config", document, what)
    if document["rootfs"]["diff_ids"] is None:
        document["rootfs"]["diff_ids"] = []
    found = Platform.of_document(document)
    if platform is not None and not platform.runs(found):
        raise InvalidError(f"{what} is for {found}, not for {platform}")
    config: ImageConfig = document
    return config
