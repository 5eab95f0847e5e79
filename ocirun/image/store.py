"""The image store: an OCI image layout in <root>/images, readable by any tool at every moment.

Reading takes no lock, because index.json appears by rename. Changes hold the lock exclusively; who needs an image to stay
(a container being made from it) holds it shared.
"""

import os

from ocirun.errors import InvalidError, NotFoundError
from ocirun.files import Lock, storage_error
from ocirun.image import index, layout
from ocirun.image.image import Image
from ocirun.oci.digest import Digest
from ocirun.oci.media_types import CONFIGS, INDEXES, MANIFESTS
from ocirun.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from ocirun.image.transaction import Transaction
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.platform import Platform

# The limits of what is read into memory, in bytes.
MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 8 << 20

_HEX = frozenset("0123456789abcdef")


class Store:
    """The store in `directory`; `temporary`, on the same file system, is where incoming blobs are staged."""

    __slots__ = ("directory", "lock_path", "temporary")

    def __init__(self, directory: str, temporary: str, lock_path: str) -> None:
        self.directory = directory
        self.temporary = temporary
        self.lock_path = lock_path

    def lock(self, *, shared: bool = False) -> Lock:
        """The lock that keeps images from being changed (shared), or changes them (exclusive)."""
        return Lock(self.lock_path, shared=shared)

    def descriptors(self) -> "list[Descriptor]":
        """The entries of index.json. Raises InvalidError, StorageError."""
        return layout.read_index(self.directory)

    def resolve(self, text: str, platform: "Platform | None" = None) -> Image:
        """The image that `text` means: an id with or without sha256:, a name, or the unique beginning of an id.

        With `platform` the image must be for it. Raises NotFoundError with docker's "No such image: ...", InvalidError.
        """
        image = self.find(text)
        if image is None:
            raise NotFoundError(f"No such image: {_as_docker_says(text)}")
        if platform is not None and not platform.runs(image.platform):
            raise NotFoundError(
                f"image with reference {text} was found but does not provide the specified platform ({platform})",
                f"it is for {image.platform}",
            )
        return image

    def find(self, text: str) -> "Image | None":
        """As resolve, but None when there is no such image."""
        descriptors = self.descriptors()
        hexadecimal = text.removeprefix("sha256:")
        is_id = _HEX.issuperset(hexadecimal) and 0 < len(hexadecimal) <= 64
        if is_id and (len(hexadecimal) == 64 or hexadecimal != text):
            return self._find_id(descriptors, hexadecimal)
        try:
            reference = Reference.parse(text)
        except InvalidError:
            if is_id:
                return self._find_id(descriptors, hexadecimal)
            raise
        descriptor = self.find_descriptor(descriptors, reference)
        if descriptor is None:
            return self._find_id(descriptors, hexadecimal) if is_id else None
        return self.image(descriptor, descriptors)

    @staticmethod
    def find_descriptor(descriptors: "list[Descriptor]", reference: Reference) -> "Descriptor | None":
        """The entry that `reference`, with or without a tag or digest, leads to."""
        descriptor = index.find_name(descriptors, reference.with_default_tag())
        if descriptor is None and reference.digest is not None:
            # The digest says which image; the name in front must be one that leads to it.
            for candidate in descriptors:
                name = index.name_of(candidate)
                if candidate["digest"] == reference.digest and name is not None and name.name == reference.name:
                    descriptor = candidate
        return descriptor

    def _find_id(self, descriptors: "list[Descriptor]", start: str) -> "Image | None":
        found: dict[str, Descriptor] = {}
        for descriptor in descriptors:
            image_id = self.image_id(descriptor)
            if image_id.partition(":")[2].startswith(start) or descriptor["digest"].partition(":")[2] == start:
                found.setdefault(image_id, descriptor)
        if len(found) > 1:
            raise InvalidError(
                f"ambiguous reference: {len(found)} image ids begin with {start}", "give more digits of the id"
            )
        for descriptor in found.values():
            return self.image(descriptor, descriptors)
        return None

    def image_id(self, descriptor: "Descriptor") -> str:
        """The image id behind an entry of index.json, "" when it is no image; reads the manifest only if it must."""
        known = index.annotation(descriptor, index.IMAGE_ID)
        if known:
            return known
        try:
            return self.image(descriptor, []).id
        except (InvalidError, NotFoundError):
            return ""

    def image(self, descriptor: "Descriptor", descriptors: "list[Descriptor]") -> Image:
        """The image behind an entry of index.json, named as all of `descriptors` say.

        Raises InvalidError when the entry is not an image, NotFoundError when its blobs are missing.
        """
        descriptor = self._manifest_of(descriptor)
        digest = descriptor["digest"]
        manifest_bytes = self.read_document(Digest(digest), MANIFEST_LIMIT)
        config_digest = _config_digest(manifest_bytes, digest)
        config_bytes = self.read_document(config_digest, CONFIG_LIMIT)
        names = index.names(known for known in descriptors if known["digest"] == digest)
        return Image(descriptor, manifest_bytes, config_bytes, names)

    def _manifest_of(self, descriptor: "Descriptor") -> "Descriptor":
        """The entry itself, or for an index that another tool put here the manifest for this machine."""
        if descriptor["mediaType"] in MANIFESTS:
            return descriptor
        if descriptor["mediaType"] not in INDEXES:
            raise InvalidError(f"{descriptor['digest']} is not an image but {descriptor['mediaType']}")
        from ocirun.image.platforms import choose_manifest

        def read(entry: "Descriptor") -> bytes:
            return self.read_document(Digest(entry["digest"]), MANIFEST_LIMIT)

        return choose_manifest(read(descriptor), descriptor["digest"], self.has_blob, read)

    def read_document(self, digest: Digest, limit: int) -> bytes:
        """The bytes of a manifest, index or config. Raises NotFoundError, InvalidError, StorageError."""
        return layout.read_blob(self.directory, digest, limit)

    def blob_path(self, digest: Digest) -> str:
        """Where the blob is, if it is there."""
        return f"{self.directory}/{layout.blob_name(digest)}"

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is in the store."""
        return os.path.isfile(self.blob_path(digest))

    def open_blob(self, digest: Digest) -> "BinaryIO":
        """The blob, unbuffered, to be closed by the caller. Raises NotFoundError, StorageError."""
        path = self.blob_path(digest)
        try:
            return open(path, "rb", buffering=0)
        except FileNotFoundError:
            raise NotFoundError(f"the image store lacks the blob {digest}", "load or pull the image again") from None
        except OSError as error:
            raise storage_error(error, f"read {path}") from error

    def change_index(self, change: "Callable[[list[Descriptor]], list[Descriptor]]") -> "list[Descriptor]":
        """Replace the index by `change` of it, under the lock, at once and durably; returns what it was.

        Raises StorageError, and what `change` raises; the index stays as it was then.
        """
        with self.lock():
            before = self.descriptors()
            after = change(before)
            if after != before:
                layout.write_index(self.directory, after)
        return before

    def transaction(self) -> "Transaction":
        """A change that shows all at once or not at all; use it in a `with` block. Raises StorageError."""
        from ocirun.image.transaction import Transaction

        return Transaction(self)


def _config_digest(manifest_bytes: bytes, digest: str) -> Digest:
    import json

    try:
        config = json.loads(manifest_bytes)["config"]
        media_type, config_digest = config["mediaType"], Digest(config["digest"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidError(f"the manifest {digest} is damaged: {error!r}") from error
    if media_type not in CONFIGS:
        raise InvalidError(f"{digest} is not a container image: its config is {media_type}")
    return config_digest


def _as_docker_says(text: str) -> str:
    """The text with the tag it goes without saying, as docker's "No such image" has it."""
    try:
        return Reference.parse(text).with_default_tag().familiar
    except InvalidError:
        return text
