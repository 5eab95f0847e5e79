"""`save`: images of the store as an archive or a layout directory."""

import os
import stat

from ocirun.errors import ConflictError, NotFoundError, UsageError
from ocirun.files import output_error
from ocirun.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.image.image import Image
    from ocirun.image.save import ArchiveSink
    from ocirun.image.transaction import Transaction
    from ocirun.oci.platform import Platform
    from ocirun.oci.reference import Reference


def save_images(
    engine: "Engine", names: "list[str]", output: "str | int", form: str, platform: "Platform | None" = None
) -> None:
    """Write the named images in one of image.save.FORMS to a path, where it appears whole, or to an open descriptor.

    Raises NotFoundError, UsageError for an unknown form, ConflictError when a directory is in the way, StorageError.
    """
    from ocirun.image.copy import copy_image
    from ocirun.image.save import FORMS, ArchiveSink, StoredImage

    if form not in FORMS:
        raise UsageError(f"unknown format {form!r}", f"choose one of {', '.join(FORMS)}")
    sink = ArchiveSink(form)
    with engine.store.transaction() as transaction:
        # The lock is held only until the blobs are sure to stay: whoever reads our output may be slow.
        with engine.store.lock(shared=True):
            for name in names:
                for image, references in _find(engine, name, platform):
                    _keep(transaction, image)
                    copy_image(StoredImage(transaction, image, references), sink)
        _write(sink, output, form)


def _keep(transaction: "Transaction", image: "Image") -> None:
    for layer in image.layers:
        if not transaction.has(Digest(layer["digest"])):
            raise NotFoundError(f"the image store lacks the blob {layer['digest']}", "load or pull the image again")


def _find(engine: "Engine", name: str, platform: "Platform | None") -> "list[tuple[Image, list[Reference]]]":
    """The images that `name` means, and their names in the archive: a repository alone means all its tags, an id no name."""
    from ocirun.errors import InvalidError
    from ocirun.oci.reference import Reference

    try:
        reference = Reference.parse(name)
    except InvalidError:
        return [(engine.store.resolve(name, platform), [])]
    if not reference.tag and reference.digest is None:
        descriptors = engine.store.descriptors()
        from ocirun.image.index import names

        tagged = [known for known in names(descriptors) if known.name == reference.name and known.tag]
        if tagged:
            return [(engine.store.resolve(str(known), platform), [known]) for known in tagged]
    image = engine.store.resolve(name, platform)
    wanted = reference.with_default_tag()
    return [(image, [wanted] if wanted in image.names and wanted.tag else [])]


def _write(sink: "ArchiveSink", output: "str | int", form: str) -> None:
    from ocirun.image.save import OCI_DIRECTORY, write_archive, write_directory

    if isinstance(output, int):
        if form == OCI_DIRECTORY:
            raise UsageError(f"{form} is a directory", "name it with -o")
        write_archive(sink, output, "standard output")
        return
    directory = os.path.dirname(output) or "."
    if not os.path.isdir(directory):
        raise NotFoundError(f'invalid output path: directory "{directory}" does not exist')
    if form == OCI_DIRECTORY:
        if os.path.lexists(output) and not (os.path.isdir(output) and not os.listdir(output)):
            raise ConflictError(f"{output} exists already", "choose a directory that does not exist or is empty")
        write_directory(sink, output)
        return
    if os.path.isdir(output):
        raise ConflictError(
            f'invalid output path: "{output}" is a directory', f"--format {OCI_DIRECTORY} writes directories"
        )
    _write_file(sink, output)


def _write_file(sink: "ArchiveSink", output: str) -> None:
    """Write the archive to a file that appears whole; a device or a pipe is written to as it is."""
    from ocirun.image.save import write_archive

    special = os.path.exists(output) and not stat.S_ISREG(os.stat(output).st_mode)
    place = output if special else f"{output}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    # 0600, as docker writes it: an image may hold what others should not read.
    flags = os.O_WRONLY | os.O_CLOEXEC | (0 if special else os.O_CREAT | os.O_EXCL)
    try:
        descriptor = os.open(place, flags, 0o600)
        try:
            write_archive(sink, descriptor, output)
            if not special:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not special:
            os.rename(place, output)
    except OSError as error:
        raise output_error(error, output) from error
    finally:
        if not special:
            try:
                os.unlink(place)
            except OSError:
                pass
