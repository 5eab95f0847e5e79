"""`prune`: containers that do not run, volumes that no container mounts, images without a name or without a use.

Each function returns what it removed and the bytes that this freed. What is in use, or comes into use meanwhile, stays.
"""

import os

from ocirun.engine.records import list_containers, status
from ocirun.errors import ConflictError, NotFoundError, OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container


def prune_containers(engine: "Engine", wanted: "Callable[[Container], bool]") -> "tuple[list[str], int]":
    """Remove the containers that do not run and that `wanted` names; their ids. Raises StorageError."""
    from ocirun.engine.inspect import container_sizes
    from ocirun.engine.remove import remove_container

    removed, freed = [], 0
    for container in list_containers(engine):
        state = status(container)
        if state.running or state.alive or not wanted(container):
            continue
        size = container_sizes(engine, container)[0] if container.record else 0
        try:
            remove_container(engine, container, volumes=False)
        except (ConflictError, NotFoundError):
            # It was started, or removed by somebody else, in the meantime.
            continue
        removed.append(container.id)
        freed += size
    return removed, freed


def prune_volumes(
    engine: "Engine", wanted: "Callable[[dict[str, str]], bool]", *, everything: bool
) -> "tuple[list[str], int]":
    """Remove the volumes that no container mounts and whose labels `wanted` likes; their names.

    Named ones go only with `everything`. Raises StorageError.
    """
    from ocirun.engine.inspect import tree_size
    from ocirun.engine.volumes import ANONYMOUS_LABEL, list_volumes, remove_volume, volume_data

    removed, freed = [], 0
    for volume in list_volumes(engine):
        labels, name = volume["Labels"] or {}, volume["Name"]
        if (ANONYMOUS_LABEL not in labels and not everything) or not wanted(labels):
            continue
        size = tree_size(volume_data(engine, name))
        try:
            remove_volume(engine, name)
        except (ConflictError, NotFoundError):
            continue
        removed.append(name)
        freed += size
    return removed, freed


def prune_images(engine: "Engine", *, everything: bool) -> "tuple[list[tuple[str, str]], int]":
    """Remove images that have no name, with `everything` all that no container is made from.

    Returns (what was done: "Untagged" or "Deleted", name or id) pairs. Raises StorageError.
    """
    from ocirun.engine.remove_image import remove_image

    used = {container.record.get("image_id") for container in list_containers(engine)}
    before = _blob_bytes(engine)
    done: list[tuple[str, str]] = []
    for image_id, names in _images(engine).items():
        if image_id in used or (names and not everything):
            continue
        for reference in names or [image_id]:
            try:
                done += remove_image(engine, reference)
            except (ConflictError, NotFoundError):
                continue
    return done, max(0, before - _blob_bytes(engine))


def _images(engine: "Engine") -> "dict[str, list[str]]":
    """The names of each image, by its id; several manifests may share an id."""
    descriptors = engine.store.descriptors()
    found: dict[str, list[str]] = {}
    for descriptor in descriptors:
        try:
            image = engine.store.image(descriptor, descriptors)
        except OcirunError:
            # Not an image of ours; another tool may have put it there.
            continue
        names = found.setdefault(str(image.id), [])
        names += [str(name) for name in image.names if str(name) not in names]
    return found


def _blob_bytes(engine: "Engine") -> int:
    try:
        with os.scandir(f"{engine.images_directory}/blobs/sha256") as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except FileNotFoundError:
        return 0
