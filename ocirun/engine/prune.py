"""Removal of what crashes leave: staged things, names without containers, damaged containers, layers that nobody uses.

Nothing of it is ever needed for ocirun to go on working; it only takes room.
"""

import os

from ocirun.engine.records import container_ids, id_of_name, list_containers, load_container
from ocirun.engine.run_lock import take_run_lock
from ocirun.errors import ConflictError, NotFoundError, OcirunError
from ocirun.files import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.engine.context import Engine


def prune_garbage(engine: "Engine") -> "list[str]":
    """Remove garbage and return a line for each thing removed. What is in use is left alone. Raises StorageError, StepError."""
    engine.prepare()
    # Listing removes the containers of --rm whose monitor was killed.
    list_containers(engine)
    done = _damaged_containers(engine)
    done += _stale_names(engine)
    done += _staged(engine)
    done += _runtime_directories(engine)
    done += _skeletons(engine)
    done += _layers(engine)
    done += _blobs(engine)
    return done


def _damaged_containers(engine: "Engine") -> "list[str]":
    from ocirun.engine.remove import remove_leftover

    done = []
    for container_id in container_ids(engine):
        try:
            container = load_container(engine, container_id)
        except NotFoundError:
            continue
        if not container.record and remove_leftover(engine, container):
            done.append(f"damaged container {container_id[:12]}")
    return done


def _stale_names(engine: "Engine") -> "list[str]":
    done = []
    # Exclusive, so that a name without a container is not one that is just being made.
    with Lock(engine.containers_lock_path):
        for name in os.listdir(engine.names_directory):
            owner = id_of_name(engine, name)
            if not os.path.isdir(engine.container_directory(owner)):
                os.unlink(f"{engine.names_directory}/{name}")
                done.append(f"name {name}")
    return done


def _staged(engine: "Engine") -> "list[str]":
    from ocirun.engine.remove_trees import remove_tree
    from ocirun.image.staging import garbage

    done = []
    for path in garbage(engine.temporary_directory):
        remove_tree(engine, path)
        done.append(f"staged {os.path.basename(path)}")
    return done


def _runtime_directories(engine: "Engine") -> "list[str]":
    from ocirun.engine.remove_trees import remove_tree

    try:
        names = os.listdir(engine.settings.runroot)
    except OSError:
        return []
    done = []
    for name in names:
        if len(name) != 64:
            continue
        try:
            # Held meanwhile, so that the container cannot start and make its socket there.
            lock = take_run_lock(engine.container_directory(name))
        except ConflictError:
            continue
        except NotFoundError:
            lock = -1
        try:
            remove_tree(engine, f"{engine.settings.runroot}/{name}")
        finally:
            if lock >= 0:
                os.close(lock)
        done.append(f"run directory {name[:12]}")
    return done


def _skeletons(engine: "Engine") -> "list[str]":
    from ocirun.engine.host_image import remove_unused_skeletons

    count = remove_unused_skeletons(engine)
    return [f"{count} skeletons of the image host"] if count else []


def _layers(engine: "Engine") -> "list[str]":
    """Layers that neither an image nor a container uses, of all id maps."""
    done = []
    # Their files are removed after the lock is given back: that may take a while, and others wait for it.
    unfinished: list[Callable[[], None]] = []
    with engine.store.lock():
        used = _used_layers(engine)
        for key in map_keys(engine):
            layers = engine.layers_in(key)
            for chain_id in layers.chain_ids():
                if str(chain_id) not in used:
                    unfinished.append(layers.discard(chain_id))
                    done.append(f"layer {chain_id.hex[:12]}")
    for finish in unfinished:
        finish()
    for key in map_keys(engine):
        engine.layers_in(key).remove_garbage()
    return done


def _blobs(engine: "Engine") -> "list[str]":
    """Blobs that a crash left between their renames and that of the index, and an index that was not renamed."""
    from ocirun.image.usage import remove_blobs, remove_unfinished_index, unused_blobs

    with engine.store.lock():
        done = [f"index {name}" for name in remove_unfinished_index(engine.store)]
        unused = unused_blobs(engine.store)
        remove_blobs(engine.store, unused)
    return done + [f"blob {digest}" for digest in unused]


def _used_layers(engine: "Engine") -> "set[str]":
    from ocirun.image.usage import pinned_layers

    used = pinned_layers(engine.store)
    for descriptor in engine.store.descriptors():
        try:
            used.update(str(chain_id) for chain_id in engine.store.image(descriptor, []).chain_ids)
        except OcirunError:
            # Not an image of ours; another tool may have put it there.
            continue
    for container_id in container_ids(engine):
        try:
            used.update(load_container(engine, container_id).record.get("layers", ()))
        except NotFoundError:
            continue
    return used


def map_keys(engine: "Engine") -> "list[str]":
    """The id maps that there are unpacked layers for."""
    from ocirun.engine.host_image import LAYERS_KEY

    return [name for name in os.listdir(engine.layers_directory) if name != LAYERS_KEY]
