"""`import`: a tar of a file system as an image of one layer."""

from ocirun.errors import UnsupportedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from ocirun.engine.context import Engine
    from ocirun.oci.platform import Platform


def import_image(
    engine: "Engine",
    source: "str | BinaryIO",
    reference: str,
    changes: "list[str]",
    message: str,
    platform: "Platform | None" = None,
) -> str:
    """Make an image of the tar at a path or behind an open file, named `reference` unless that is "", and return its id.

    Raises UsageError (changes), InvalidError, NotFoundError, ConflictError, StorageError, StepError.
    """
    from ocirun.engine.load_image import open_copy, open_file
    from ocirun.engine.tag import parse_new_name
    from ocirun.engine.times import now_text
    from ocirun.image.config_changes import apply_changes
    from ocirun.image.copy import copy_image
    from ocirun.image.import_archive import ImportedArchive
    from ocirun.image.store_sink import StoreSink

    execution = apply_changes({}, changes)
    references = [parse_new_name(reference, "the new image")] if reference else []
    if isinstance(source, str):
        if source.startswith(("http://", "https://")):
            raise UnsupportedError("ocirun downloads nothing but images", f"curl -L {source} | ocirun import -")
        file, name = open_file(source), source
    else:
        file, name = open_copy(source), "-"
    with file, engine.store.transaction() as transaction:
        archive = ImportedArchive(
            file,  # type: ignore[arg-type] # opened with a buffer
            name,
            references=references,
            created=now_text(),
            message=message,
            execution=execution,
            platform=platform,
        )
        documents = copy_image(archive, StoreSink(transaction, engine.layers))
        transaction.commit()
    return str(documents.image_id)
