"""Sinks of `save`: an OCI layout as a tar that is also an archive of docker save, the same as a directory, or docker's alone.

Blobs are copied by the kernel, and nothing is compressed or decompressed. The documents come first, so that a reader of a
pipe knows everything before the layers come. The same images always give the same bytes.
"""

import os

from ocirun.errors import InvalidError
from ocirun.files import fsync_directory, json_bytes, output_error, write_file
from ocirun.image import index
from ocirun.image.copy import ImageDocuments, LayerSource, StoredLayer
from ocirun.image.layout import INDEX_NAME, LAYOUT_FILE, LAYOUT_NAME, blob_name, index_bytes
from ocirun.oci.digest import Digest, sha256_of
from ocirun.oci.media_types import layer_compression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO, Protocol

    from ocirun.image.copy import Reader
    from ocirun.image.image import Image
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.reference import Reference

    class Blobs(Protocol):
        """Where blobs are read from."""

        def open_blob(self, digest: Digest) -> BinaryIO:
            """The blob, to be closed by the caller."""


# The forms of archives, as --format names them.
OCI_ARCHIVE = "oci-archive"
OCI_DIRECTORY = "oci-dir"
DOCKER_ARCHIVE = "docker-archive"
FORMS = (OCI_ARCHIVE, OCI_DIRECTORY, DOCKER_ARCHIVE)

_SUFFIXES = {"": ".tar", "gzip": ".tar.gz", "zstd": ".tar.zst"}
_CHUNK = 1 << 30


class StoredImage:
    """An image of the store as a source, under the names that it is to have."""

    __slots__ = ("_blobs", "_image", "references")

    def __init__(self, blobs: "Blobs", image: "Image", references: "list[Reference]") -> None:
        """Take the store, or a transaction that keeps the image's blobs from being removed."""
        self._blobs = blobs
        self._image = image
        self.references = references

    def layers(self) -> "Iterator[LayerSource]":
        """The layers, from their blobs."""
        for descriptor, diff_id in zip(self._image.layers, self._image.diff_ids, strict=True):
            digest = Digest(descriptor["digest"])
            yield LayerSource(
                descriptor["mediaType"],
                lambda digest=digest: self._blobs.open_blob(digest),  # type: ignore[misc] # bound in a loop
                digest=digest,
                size=descriptor["size"],
                diff_id=diff_id,
            )

    def documents(self, stored: "list[StoredLayer]") -> ImageDocuments:
        """The documents as the store has them."""
        del stored
        image = self._image
        return ImageDocuments(
            image.manifest_bytes, image.manifest, image.config_bytes, image.config, image.descriptor["mediaType"]
        )


class Member:
    """One file of an archive: bytes, or something to open and copy."""

    __slots__ = ("data", "name", "open", "size")

    def __init__(
        self, name: str, data: bytes = b"", size: int = 0, open_: "Callable[[], Reader] | None" = None
    ) -> None:
        self.name = name
        self.data = data
        self.size = size if open_ else len(data)
        self.open = open_


class ArchiveSink:
    """Gathers images; `members` are then the files of the archive, in their order."""

    __slots__ = ("_images", "_layers", "form")

    def __init__(self, form: str) -> None:
        """Take one of FORMS."""
        self.form = form
        self._images: list[tuple[ImageDocuments, list[Reference]]] = []
        self._layers: dict[str, LayerSource] = {}

    def put_layer(self, layer: LayerSource, below: "list[StoredLayer]") -> StoredLayer:
        """Note a layer, which must be known by digest and size; its bytes are copied when the archive is written."""
        del below
        if layer.digest is None or layer.size is None or layer.diff_id is None:
            raise InvalidError("a layer can be saved only when its digest is known")
        self._layers[layer.digest] = layer
        descriptor: Descriptor = {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
        return StoredLayer(descriptor, layer.diff_id, layer.size)

    def put_image(self, documents: ImageDocuments, references: "list[Reference]", layers: "list[StoredLayer]") -> None:
        """Take the documents; an image given twice gets the names of both."""
        del layers
        for known, names in self._images:
            if known.manifest_bytes == documents.manifest_bytes:
                names.extend(name for name in references if name not in names)
                return
        self._images.append((documents, list(references)))

    def members(self) -> "Iterator[Member]":
        """The files of the archive: documents first, then the layers, each once."""
        docker = self.form == DOCKER_ARCHIVE
        if not docker:
            yield Member(LAYOUT_NAME, LAYOUT_FILE)
            yield Member(INDEX_NAME, index_bytes(self._index()))
        if self.form != OCI_DIRECTORY:
            yield Member("manifest.json", json_bytes([self._docker_entry(*image) for image in self._images]))
            yield Member("repositories", json_bytes(self._repositories()))
        seen = set()
        for documents, _ in self._images:
            manifest = Member(blob_name(sha256_of(documents.manifest_bytes)), documents.manifest_bytes)
            config = Member(self._config_name(documents), documents.config_bytes)
            for member in (config,) if docker else (manifest, config):
                if member.name not in seen:
                    seen.add(member.name)
                    yield member
        for layer in self._layers.values():
            name = self._layer_name({"mediaType": layer.media_type, "digest": str(layer.digest), "size": 0})
            yield Member(name, size=layer.size or 0, open_=layer.open)

    def _config_name(self, documents: ImageDocuments) -> str:
        digest = documents.image_id
        return f"{digest.hex}.json" if self.form == DOCKER_ARCHIVE else blob_name(digest)

    def _layer_name(self, descriptor: "Descriptor") -> str:
        digest = Digest(descriptor["digest"])
        if self.form != DOCKER_ARCHIVE:
            return blob_name(digest)
        return digest.hex + _SUFFIXES[layer_compression(descriptor["mediaType"]) or ""]

    def _index(self) -> "list[Descriptor]":
        entries: list[Descriptor] = []
        for documents, references in self._images:
            annotations = {index.CREATED: documents.config["created"]} if documents.config.get("created") else {}
            for reference in references:
                named = {index.FULL_NAME: str(reference), index.REF_NAME: str(reference), **annotations}
                entries.append({**documents.descriptor, "annotations": named})
            if not references:
                entries.append({**documents.descriptor, "annotations": annotations})
        return entries

    def _docker_entry(self, documents: ImageDocuments, references: "list[Reference]") -> "dict[str, Any]":
        # In full, as podman writes them: docker reads both, and podman would take "debian:12" for localhost/debian:12.
        tags = [str(reference) for reference in references if reference.tag]
        layers = [self._layer_name(layer) for layer in documents.manifest["layers"]]
        return {"Config": self._config_name(documents), "RepoTags": tags or None, "Layers": layers}

    def _repositories(self) -> "dict[str, dict[str, str]]":
        """What docker had before manifest.json: repository -> tag -> the top layer's name."""
        found: dict[str, dict[str, str]] = {}
        for documents, references in self._images:
            layers = documents.manifest["layers"]
            for reference in references:
                if reference.tag and layers:
                    found.setdefault(reference.familiar_name, {})[reference.tag] = Digest(layers[-1]["digest"]).hex
        return found


def write_archive(sink: ArchiveSink, target: int, name: str) -> None:
    """Write the archive as a tar to the descriptor `target`, called `name` in messages. Raises StorageError, InvalidError."""
    import tarfile

    written = 0
    directories: set[str] = set()
    try:
        for member in sink.members():
            for directory in _parents(member.name):
                if directory not in directories:
                    directories.add(directory)
                    written += _write(target, _header(tarfile, directory, None))
            written += _write(target, _header(tarfile, member.name, member.size))
            _copy_member(member, target)
            written += member.size + _write(target, bytes(-member.size % tarfile.BLOCKSIZE))
        end = 2 * tarfile.BLOCKSIZE
        _write(target, bytes(end + -(written + end) % tarfile.RECORDSIZE))
    except OSError as error:
        raise output_error(error, name) from error


def write_directory(sink: ArchiveSink, target: str) -> None:
    """Write the layout as the directory `target`, which appears whole. Raises StorageError, InvalidError."""
    place = f"{target.rstrip('/')}.{os.urandom(4).hex()}.tmp"
    try:
        os.makedirs(f"{place}/blobs/sha256")
        for member in sink.members():
            if member.open is None:
                os.makedirs(os.path.dirname(f"{place}/{member.name}"), exist_ok=True)
                write_file(f"{place}/{member.name}", member.data, durable=False)
                continue
            os.makedirs(os.path.dirname(f"{place}/{member.name}"), exist_ok=True)
            with open(f"{place}/{member.name}", "xb", buffering=0) as file:
                _copy_member(member, file.fileno())
                os.fsync(file.fileno())
        os.rename(place, target)
        fsync_directory(os.path.dirname(os.path.abspath(target)))
    except OSError as error:
        raise output_error(error, target) from error
    finally:
        import shutil

        shutil.rmtree(place, ignore_errors=True)


def _parents(name: str) -> "list[str]":
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) + "/" for count in range(len(parts))]


def _header(tarfile: "Any", name: str, size: "int | None") -> bytes:
    header = tarfile.TarInfo(name)
    header.type = tarfile.DIRTYPE if size is None else tarfile.REGTYPE
    header.mode = 0o755 if size is None else 0o644
    header.size = size or 0
    data: bytes = header.tobuf(tarfile.PAX_FORMAT)
    return data


def _write(target: int, data: bytes) -> int:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)


def _copy_member(member: Member, target: int) -> None:
    if member.open is None:
        _write(target, member.data)
        return
    reader: Any = member.open()
    try:
        copied = _copy_file(reader, target, member.size)
        if copied != member.size:
            raise InvalidError(
                f"the blob of {member.name} has {copied} bytes, expected {member.size}", "load the image again"
            )
    finally:
        reader.close()


def _copy_file(source: "BinaryIO", target: int, size: int) -> int:
    """Copy at most `size` bytes from a file by the best means there is; returns how many there were."""
    import errno

    descriptor = source.fileno()
    copied = 0
    # From the best (shares the bytes where the file system can) to what always works.
    for means in (_copy_range, _send, _read_and_write):
        try:
            while copied < size and (count := means(descriptor, target, min(size - copied, _CHUNK))):
                copied += count
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM):
                raise
            continue
        break
    return copied


def _copy_range(source: int, target: int, count: int) -> int:
    return os.copy_file_range(source, target, count)


def _send(source: int, target: int, count: int) -> int:
    return os.sendfile(target, source, None, count)


def _read_and_write(source: int, target: int, count: int) -> int:
    return _write(target, os.read(source, min(count, 1 << 20)))
