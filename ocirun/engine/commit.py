"""`commit`: a container's changes become a layer, and that layer on its image a new image."""

from ocirun.engine.changes import changes_step, container_maps
from ocirun.engine.records import id_of_name, status
from ocirun.engine.tasks import FIRST_DESCRIPTOR, run_task
from ocirun.errors import ConflictError, InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container
    from ocirun.image.changed_image import ChangedImage
    from ocirun.image.image import Image
    from ocirun.oci.image_documents import ExecutionConfig
    from ocirun.oci.reference import Reference

# What of docker's Config describes an image too; the rest is the container's own (host name, attached streams).
_IMAGE_KEYS = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "OnBuild",
    "Shell",
)


def commit_container(
    engine: "Engine",
    container: "Container",
    reference: str = "",
    *,
    author: str = "",
    message: str = "",
    changes: "list[str] | None" = None,
    pause: bool = True,
) -> str:
    """Make an image of the container and return its id; success means that it is in the store, under `reference` if given.

    `changes` are Dockerfile instructions for its configuration. With `pause` the container's processes stand still meanwhile.
    Raises UsageError, ConflictError, StorageError, StepError; no part of the image is visible then.
    """
    from ocirun.engine.host_image import mark_as_on_host
    from ocirun.engine.tag import parse_new_name
    from ocirun.image.config_changes import apply_changes
    from ocirun.image.copy import copy_image
    from ocirun.image.store_sink import StoreSink
    from ocirun.runtime.states import check

    state = status(container)
    check("commit", state.status, container.name or container.id)
    references = [parse_new_name(reference, "the new image")] if reference else []
    execution = apply_changes(_execution(container), changes or [])
    base = _base_image(engine, container)
    source = _source(engine, container, base, references, execution, author, message)
    with engine.store.transaction() as transaction:
        with _pause(engine, container, wanted=pause and state.running):
            documents = copy_image(source, StoreSink(transaction, engine.layers))
        if container.record["trees"]:
            mark_as_on_host(engine, documents.image_id)
        check_not_removed(engine, container)
        transaction.commit()
    return str(documents.image_id)


def check_not_removed(engine: "Engine", container: "Container") -> None:
    """Raise ConflictError when the container has been removed while its files were read: then some of them may be missing.

    Whoever removes a container takes its name away before any of its files.
    """
    if id_of_name(engine, container.name) != container.id:
        raise ConflictError(
            f"container {container.name} was removed while it was committed", "commit first, then remove it"
        )


def _execution(container: "Container") -> "ExecutionConfig":
    from ocirun.engine.host_image import BASE_LABEL, REFERENCE

    config = container.record["config"]
    found = {key: config[key] for key in _IMAGE_KEYS if config.get(key)}
    if not container.record["image_id"]:
        found["Labels"] = {**(found.get("Labels") or {}), BASE_LABEL: REFERENCE}
    return found  # type: ignore[return-value] # the record keeps docker's words, which are the specification's


def _base_image(engine: "Engine", container: "Container") -> "Image | None":
    image_id = container.record["image_id"]
    if not image_id:
        return None
    image = engine.store.find(image_id)
    if image is None:
        raise InvalidError(
            f"the image {image_id} of container {container.name} is not in the store any more",
            "load or import it again",
        )
    return image


def _source(
    engine: "Engine",
    container: "Container",
    base: "Image | None",
    references: "list[Reference]",
    execution: "ExecutionConfig",
    author: str,
    message: str,
) -> "ChangedImage":
    from ocirun.engine.times import now_text
    from ocirun.image.changed_image import ChangedImage
    from ocirun.image.changes import compressed_tar
    from ocirun.image.copy import LayerSource
    from ocirun.oci.media_types import layer_type

    history = {"created": now_text(), "created_by": " ".join([container.record["path"], *container.record["args"]])}
    if author:
        history["author"] = author
    if message:
        history["comment"] = message
    return ChangedImage(
        engine.store,
        base,
        LayerSource(layer_type("gzip"), lambda: compressed_tar(_changes_writer(engine, container))),
        references=references,
        execution=execution,
        history=history,  # type: ignore[arg-type] # built from the keys it has
    )


def _pause(engine: "Engine", container: "Container", *, wanted: bool) -> "AbstractContextManager[object]":
    from contextlib import nullcontext

    from ocirun.engine.freeze import Frozen

    return Frozen(engine, container) if wanted else nullcontext()


def _changes_writer(engine: "Engine", container: "Container") -> "Callable[[int], object]":
    """A function that writes the container's changes as a tar to a descriptor."""

    def write(output: int) -> None:
        step = changes_step("tar_changes", container)
        run_task(engine, container_maps(engine, container), [step], {FIRST_DESCRIPTOR: output})

    return write
