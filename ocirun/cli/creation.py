"""Making the container of `run` and `create`: the missing image, and the file with its id."""

import os

from ocirun.errors import ConflictError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.options import ContainerOptions
    from ocirun.engine.records import Container


def make_container(engine: "Engine", options: "ContainerOptions", id_file: str) -> "Container":
    """Make the container and write its id to the new file `id_file` ("" = none).

    Raises ConflictError when that file exists, NotFoundError for an image that would have to be pulled, and what
    create_container raises; the file is gone then.
    """
    from ocirun.engine.create import create_container

    descriptor = _open_id_file(id_file) if id_file else -1
    container = None
    try:
        container = create_container(engine, options)
        if descriptor >= 0:
            os.write(descriptor, container.id.encode())
    except NotFoundError as error:
        raise _missing(options, error) from error
    finally:
        if descriptor >= 0:
            os.close(descriptor)
            if container is None:
                os.unlink(id_file)
    return container


def _open_id_file(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise ConflictError(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from None
    except OSError as error:
        from ocirun.files import storage_error

        raise storage_error(error, f"failed to create the container ID file {path}") from error


def _missing(options: "ContainerOptions", error: NotFoundError) -> NotFoundError:
    """The error of an image that is not in the store: there is nothing yet that could pull it."""
    from ocirun.errors import InvalidError
    from ocirun.oci.reference import Reference

    if options.pull == "never" or not error.what.startswith("No such image"):
        return error
    try:
        name = Reference.parse(options.image).with_default_tag().familiar
    except InvalidError:
        return error
    return NotFoundError(
        f"Unable to find image '{name}' locally",
        "pulling is not supported yet: bring it with 'ocirun load' or 'ocirun import', or use the image 'host'",
    )
