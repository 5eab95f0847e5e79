"""`tag`: one more name for an image."""

from ocirun.errors import UsageError
from ocirun.image import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.reference import Reference


def tag_image(engine: "Engine", source: str, target: str) -> None:
    """Let the name `target` lead to the image `source`; an image that had the name loses it.

    Raises NotFoundError, InvalidError, UsageError, ConflictError for the reserved name, StorageError.
    """
    from ocirun.engine.times import now_text

    reference = parse_new_name(target, "the new name")

    def change(descriptors: "list[Descriptor]") -> "list[Descriptor]":
        image = engine.store.resolve(source)
        known = [entry for entry in descriptors if entry["digest"] == image.manifest_digest]
        # The entry that remembers most, so that the new one remembers as much.
        best = max(known, key=lambda entry: len(entry.get("annotations") or {}), default=image.descriptor)
        annotations = {**(best.get("annotations") or {}), index.TAGGED: now_text()}
        return index.add_name(descriptors, {**best, "annotations": annotations}, reference)

    engine.store.change_index(change)


def parse_new_name(text: str, what: str) -> "Reference":
    """The name with its tag that an image (`what`, for messages) is to get.

    Raises InvalidError, UsageError when it names a digest, ConflictError when it is the reserved one.
    """
    from ocirun.image.load import check_reference
    from ocirun.oci.reference import Reference

    reference = Reference.parse(text)
    if reference.digest is not None:
        raise UsageError(f"refusing to create a tag with a digest reference: {text}", "give name[:tag]")
    return check_reference(reference, what)
