"""`load`: images from an archive or a layout directory into the store."""

import os

from ocirun.files import storage_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import BinaryIO

    from ocirun.engine.context import Engine
    from ocirun.image.archive import Archive
    from ocirun.oci.platform import Platform
    from ocirun.oci.reference import Reference

# Bytes read at once from a pipe: what it holds at most.
PIPE_CHUNK = 1 << 20


class LoadedImage:
    """An image that has been loaded, under one of its names or none, and the id of the image that had the name before."""

    __slots__ = ("id", "reference", "replaced_id")

    def __init__(self, image_id: str, reference: "Reference | None", replaced_id: str) -> None:
        self.id = image_id
        self.reference = reference
        self.replaced_id = replaced_id


def load_images(engine: "Engine", source: "str | BinaryIO", platform: "Platform | None" = None) -> "list[LoadedImage]":
    """Load all images of `source`, a path or an open file that may be a pipe; all are visible at the end, or none.

    Raises InvalidError, DigestMismatchError, NotFoundError, ConflictError, UnsupportedError, StorageError, StepError.
    """
    from contextlib import ExitStack

    from ocirun.image.copy import copy_image
    from ocirun.image.load import open_images
    from ocirun.image.store_sink import StoreSink

    with ExitStack() as stack:
        transaction = stack.enter_context(engine.store.transaction())
        archive = open_archive(source, transaction.staging_path, stack)
        sink = StoreSink(transaction, engine.layers)
        copied = []
        for image in open_images(archive, platform):
            documents = copy_image(image, sink)
            copied.append((str(documents.image_id), image.references))
        archive.finish()
        replaced = transaction.commit()
    loaded = []
    for image_id, references in copied:
        for reference in references:
            old = replaced.get(reference)
            loaded.append(LoadedImage(image_id, reference, engine.store.image_id(old) if old else ""))
        if not references:
            loaded.append(LoadedImage(image_id, None, ""))
    return loaded


def open_archive(source: "str | BinaryIO", staging: str, stack: "ExitStack") -> "Archive":
    """The archive at a path or behind an open file, closed with `stack`; `staging` takes what a stream brings too early.

    Raises NotFoundError, InvalidError, StorageError.
    """
    from ocirun.image.archive import DirectoryArchive, TarArchive
    from ocirun.image.compression import SNIFF_LENGTH, sniff
    from ocirun.image.stream_archive import open_stream

    archive: Archive
    if isinstance(source, str):
        name = source
        if os.path.isdir(source):
            return DirectoryArchive(source)
        file = stack.enter_context(open_file(source))
    else:
        name = "standard input"
        file = stack.enter_context(open_copy(source))
    if _is_seekable(file) and not sniff(os.pread(file.fileno(), SNIFF_LENGTH, 0)):
        archive = TarArchive(os.dup(file.fileno()), name)
    else:
        archive = open_stream(file, staging, name)  # type: ignore[arg-type] # opened with a buffer
    stack.callback(archive.close)
    return archive


def open_file(path: str) -> "BinaryIO":
    """The file, buffered. Raises NotFoundError, StorageError."""
    from ocirun.errors import NotFoundError

    try:
        return open(path, "rb", buffering=PIPE_CHUNK)
    except FileNotFoundError:
        raise NotFoundError(f"open {path}: no such file or directory") from None
    except OSError as error:
        raise storage_error(error, f"open {path}") from error


def open_copy(source: "BinaryIO") -> "BinaryIO":
    """The same open file once more, buffered, for the caller to close. Raises StorageError."""
    try:
        return os.fdopen(os.dup(source.fileno()), "rb", buffering=PIPE_CHUNK)
    except OSError as error:
        raise storage_error(error, "read standard input") from error


def _is_seekable(file: "BinaryIO") -> bool:
    import stat

    # A terminal and some devices can be sought in, but only a file has its bytes in places.
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
