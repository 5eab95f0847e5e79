"""The source of `import`: a tar of a file system, which becomes an image of one layer."""

from ocirun.errors import InvalidError
from ocirun.image.compression import SNIFF_LENGTH, Decompressed, sniff
from ocirun.image.copy import ImageDocuments, LayerSource, make_documents
from ocirun.oci.media_types import layer_type
from ocirun.oci.platform import Platform, this_machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from ocirun.image.copy import Reader, StoredLayer
    from ocirun.oci.image_documents import ExecutionConfig, ImageConfig
    from ocirun.oci.reference import Reference


class ImportedArchive:
    """An image made of the tar that comes in on `stream`, compressed or not.

    A gzip or zstd compression is kept as it is; bzip2 and xz, which layers cannot have, are undone.
    """

    __slots__ = ("_created", "_execution", "_message", "_name", "_platform", "_stream", "references")

    def __init__(
        self,
        stream: "BufferedReader",
        name: str,
        *,
        references: "list[Reference]",
        created: str,
        message: str,
        execution: "ExecutionConfig",
        platform: "Platform | None" = None,
    ) -> None:
        """Take the stream, called `name` in messages, and what the config is to say; `created` is a time of RFC 3339."""
        self._stream = stream
        self._name = name
        self._created = created
        self._message = message
        self._execution = execution
        self._platform = platform or this_machine()
        self.references = references

    def layers(self) -> "Iterator[LayerSource]":
        """The only layer. Raises InvalidError when there are no bytes."""
        start = self._stream.peek(SNIFF_LENGTH)[:SNIFF_LENGTH]
        if not start:
            raise InvalidError(f"{self._name} is empty", "expected a tar of a file system")
        compression = sniff(start)
        reader: Reader = self._stream
        if compression in ("bzip2", "xz"):
            reader = Decompressed(self._stream, compression, self._name)
            compression = ""
        yield LayerSource(layer_type(compression), lambda: reader)

    def documents(self, stored: "list[StoredLayer]") -> ImageDocuments:
        """A config as docker's import writes it."""
        message = self._message or f"Imported from {self._name}"
        config: ImageConfig = {
            "created": self._created,
            "architecture": self._platform.architecture,
            "os": self._platform.os,
            "config": self._execution,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in stored]},
            "history": [{"created": self._created, "comment": message}],
        }
        if self._platform.variant:
            config["variant"] = self._platform.variant
        return make_documents(config, stored)
