"""The source of `commit` and of a build's steps: an image made from another one, by a layer on top, a changed config, or both."""

from ocirun.image.copy import ImageDocuments, LayerSource, make_documents
from ocirun.image.save import StoredImage
from ocirun.oci.platform import this_machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocirun.image.copy import StoredLayer
    from ocirun.image.image import Image
    from ocirun.image.store import Store
    from ocirun.oci.image_documents import ExecutionConfig, History, ImageConfig
    from ocirun.oci.reference import Reference


class ChangedImage:
    """The image `base` (None: nothing) with `layer` on top (None: no layer), and what its config is to say.

    `history` describes this change; its `empty_layer` is set here.
    """

    __slots__ = ("_base", "_execution", "_history", "_layer", "_store", "references")

    def __init__(
        self,
        store: "Store",
        base: "Image | None",
        layer: "LayerSource | None",
        *,
        references: "list[Reference]",
        execution: "ExecutionConfig",
        history: "History",
    ) -> None:
        self._store = store
        self._base = base
        self._layer = layer
        self._execution = execution
        self._history = history
        self.references = references

    def layers(self) -> "Iterator[LayerSource]":
        """The layers of the base, which the store has, and the new one."""
        if self._base is not None:
            yield from StoredImage(self._store, self._base, []).layers()
        if self._layer is not None:
            yield self._layer

    def documents(self, stored: "list[StoredLayer]") -> ImageDocuments:
        """The base's config, changed."""
        machine = this_machine()
        config: ImageConfig = {
            "architecture": machine.architecture,
            "os": machine.os,
            "rootfs": {"type": "", "diff_ids": []},
        }
        if self._base is not None:
            config = {**self._base.config}
        elif machine.variant:
            config["variant"] = machine.variant
        entry: History = {**self._history}
        if self._layer is None:
            entry["empty_layer"] = True
        config["created"] = entry.get("created", "")
        if entry.get("author"):
            config["author"] = entry["author"]
        config["config"] = self._execution
        config["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in stored]}
        config["history"] = [*(config.get("history") or []), entry]
        return make_documents(config, stored)
