"""`validate`: a document, an archive, a layout directory or an image of the store, against the specifications and its digests."""

import os

from ocirun.errors import DigestMismatchError, InvalidError, NotFoundError, OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine
    from ocirun.image.copy import ImageDocuments, ImageSource, LayerSource, StoredLayer
    from ocirun.oci.reference import Reference

# A key that only one kind of document has; the first that is found decides.
_MARKS = (
    ("imageLayoutVersion", "layout"),
    ("ociVersionMin", "runtime-features"),
    ("bundle", "runtime-state"),
    ("ociVersion", "runtime-config"),
    ("manifests", "index"),
    ("layers", "manifest"),
    ("rootfs", "image-config"),
    ("digest", "descriptor"),
)
_DOCUMENT_LIMIT = 64 << 20


class Report:
    """What was looked at (in the words of a person), and what is wrong with it."""

    __slots__ = ("problems", "what")

    def __init__(self, what: str, problems: "list[str]") -> None:
        self.what = what
        self.problems = problems


def validate(engine: "Engine", target: str) -> "list[Report]":
    """Check a file, a directory or an image of the store; each image is a report of its own.

    Raises NotFoundError when it is neither, StorageError.
    """
    if os.path.isdir(target):
        if not os.path.exists(f"{target}/index.json") and os.path.exists(f"{target}/config.json"):
            return [_document(f"{target}/config.json")]
        return _archive(engine, target)
    if os.path.exists(target):
        return [_document(target)] if _is_json(target) else _archive(engine, target)
    return [_stored(engine, target)]


def _is_json(path: str) -> bool:
    from ocirun.engine.load_image import open_file

    with open_file(path) as file:
        return file.read(64).lstrip()[:1] in (b"{", b"[")


def _document(path: str) -> Report:
    from ocirun.engine.load_image import open_file
    from ocirun.oci.schemas import parse_json, violations

    with open_file(path) as file:
        data = file.read(_DOCUMENT_LIMIT + 1)
    if len(data) > _DOCUMENT_LIMIT:
        return Report(path, [f"it has more than {_DOCUMENT_LIMIT} bytes"])
    try:
        document = parse_json(data, path)
        kind = _kind_of(document)
    except InvalidError as error:
        return Report(path, [error.what])
    return Report(f"{path}: {kind.replace('-', ' ')}", violations(kind, document))


def _kind_of(document: "Any") -> str:
    if isinstance(document, list):
        return "docker-archive"
    if isinstance(document, dict):
        for key, kind in _MARKS:
            if key in document:
                return kind
    raise InvalidError("it is no document of the OCI specifications")


class _CheckSink:
    """A sink that keeps nothing: it verifies, and notes what is wrong instead of stopping at it."""

    __slots__ = ("problems",)

    def __init__(self) -> None:
        self.problems: list[str] = []

    def put_layer(self, layer: "LayerSource", below: "list[StoredLayer]") -> "StoredLayer":
        """Verify digest, size and diff id of a layer."""
        from ocirun.image.copy import StoredLayer
        from ocirun.image.layers import Layers
        from ocirun.oci.digest import Digest

        del below
        try:
            reader = layer.open()
            try:
                found = Layers.verify(
                    reader,
                    None,
                    media_type=layer.media_type,
                    digest=layer.digest,
                    size=layer.size,
                    diff_id=layer.diff_id,
                )
            finally:
                reader.close()
            digest, size, diff_id = Digest(found.digest), found.size, Digest(found.diff_id)
        except (InvalidError, NotFoundError) as error:
            self.problems.append(error.what)
            none = Digest("sha256:" + 64 * "0")
            digest, size, diff_id = layer.digest or none, layer.size or 0, layer.diff_id or none
        return StoredLayer({"mediaType": layer.media_type, "digest": digest, "size": size}, diff_id, size)

    def put_image(
        self, documents: "ImageDocuments", references: "list[Reference]", layers: "list[StoredLayer]"
    ) -> None:
        """The documents were verified when the source read them."""


def _check_image(source: "ImageSource", what: str) -> Report:
    from ocirun.image.copy import copy_image

    sink = _CheckSink()
    documents = copy_image(source, sink)
    names = ", ".join(reference.familiar for reference in source.references) or documents.image_id
    return Report(f"{what}: image {names}", sink.problems)


def _archive(engine: "Engine", path: str) -> "list[Report]":
    from contextlib import ExitStack

    from ocirun.engine.load_image import open_archive
    from ocirun.image.load import open_images
    from ocirun.image.staging import Staging

    reports: list[Report] = []
    engine.prepare()
    with ExitStack() as stack:
        staging = stack.enter_context(Staging(engine.temporary_directory))
        try:
            archive = open_archive(path, staging.path, stack)
            reports.extend(_check_image(source, path) for source in open_images(archive))
        except (InvalidError, NotFoundError, DigestMismatchError) as error:
            reports.append(Report(path, [error.what]))
    return reports


def _stored(engine: "Engine", name: str) -> Report:
    """An image of the store, read as if its layout had come from outside."""
    from ocirun.image.archive import DirectoryArchive
    from ocirun.image.load import LayoutImage

    try:
        image = engine.store.resolve(name)
    except NotFoundError:
        raise NotFoundError(f"there is neither a file nor an image {name}") from None
    try:
        source = LayoutImage(DirectoryArchive(engine.store.directory), image.descriptor, image.names)
        return _check_image(source, name)
    except OcirunError as error:
        return Report(name, [error.what])
