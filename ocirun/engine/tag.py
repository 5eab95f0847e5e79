"""`tag`: one more name for an image."""

from ocirun.errors import UsageError
from ocirun.image import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.oci.image_documents import Descriptor


def tag_image(engine: "Engine", source: str, target: str) -> None:
    """Let the name `target` lead to the image `source`; an image that had the name loses it.

    Raises NotFoundError, InvalidError, UsageError, ConflictError for the reserved name, StorageError.
    """
    from ocirun.engine.times import now_text
    from ocirun.image.load import check_reference
    from ocirun.oci.reference import Reference

    reference = Reference.parse(target)
    if reference.digest is not None:
        raise UsageError("refusing to create a tag with a digest reference")
    reference = check_reference(reference, "the new name")

    def change(descriptors: "list[Descriptor]") -> "list[Descriptor]":
        image = engine.store.resolve(source)
        known = [entry for entry in descriptors if entry["digest"] == image.manifest_digest]
        # The entry that remembers most, so that the new one remembers as much.
        best = max(known, key=lambda entry: len(entry.get("annotations") or {}), default=image.descriptor)
        annotations = {**(best.get("annotations") or {}), index.TAGGED: now_text()}
        return index.add_name(descriptors, {**best, "annotations": annotations}, reference)

    engine.store.change_index(change)
