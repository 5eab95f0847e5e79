"""The image `host`: this machine's own file system, seen through overlays, with nothing to download.

The root is an overlay on a small layer of its own (top-level directories, symlinks, the empty $HOME and /tmp); on it, each
of the machine's directories is an overlay with the machine's as the lower. All writes land in the container's uppers.
docs/host-image.md says what it is good for and where its limits are.
"""

import os

from ocirun.engine.host_skeleton import build_skeleton, name_of, skeleton_name, wants_skeleton
from ocirun.engine.host_trees import HostLayout, host_layout
from ocirun.errors import OcirunError
from ocirun.files import Lock, make_directory, storage_error, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocirun.engine.context import Engine

REFERENCE = "host"
# Tells people that an image holds only the changes made in a container of `host`.
BASE_LABEL = "ocirun.base"
# The directory below layers/ of what is not made from an image.
LAYERS_KEY = "host"
_MOUNT_POINTS = "mount-points-1"
_MODE = 0o755


class HostImage:
    """`root` is the layer directory of the root, `trees` are (path, lower directories top first)."""

    __slots__ = ("root", "trees")

    def __init__(self, root: str, trees: "list[tuple[str, list[str]]]") -> None:
        self.root = root
        self.trees = trees


def host_image_config() -> "dict[str, Any]":
    """The configuration of the image, in docker's words."""
    shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
    return {"Cmd": [shell], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}


def prepare_host_image(engine: "Engine") -> HostImage:
    """Find or make the layers of the image as the machine is now. Raises StorageError, HostError."""
    from functools import partial

    settings = engine.settings
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mount_table = file.read()
    layout = host_layout(settings.home, [settings.root, settings.runroot], mount_table)
    owned = engine.host.id_mode == "rootful"
    directory = _directory(engine)
    trees = []
    wanted: dict[str, Callable[[str], None]] = {}
    for tree in layout.trees:
        lowers = [tree]
        if wants_skeleton(tree, owned=owned):
            name = skeleton_name(tree, owned=owned)
            wanted[name] = partial(build_skeleton, tree, owned=owned)
            lowers.insert(0, f"{directory}/{name}")
        trees.append((tree, lowers))
    root = _root_name(layout)
    wanted[root] = partial(_build_root, layout)
    _make_layers(engine, wanted)
    return HostImage(f"{directory}/{root}", trees)


def layer_names(image: HostImage) -> "list[str]":
    """The names of the skeletons that the image uses, for the record of the container that keeps them."""
    found = [os.path.basename(image.root)]
    found += [os.path.basename(lowers[0]) for _, lowers in image.trees if len(lowers) > 1]
    return found


def remove_unused_skeletons(engine: "Engine") -> int:
    """Remove the skeletons that no container uses and return their number; the next run makes what it needs anew."""
    from ocirun.engine.records import container_ids, load_container
    from ocirun.engine.remove_trees import discard
    from ocirun.errors import NotFoundError

    directory = _directory(engine)
    with Lock(engine.containers_lock_path):
        used: set[str] = set()
        for container_id in container_ids(engine):
            try:
                used.update(load_container(engine, container_id).record.get("skeletons", ()))
            except NotFoundError:
                continue
        used.add(_MOUNT_POINTS)
        names = [name for name in os.listdir(directory) if name not in used] if os.path.isdir(directory) else []
        discarded = discard(engine, [f"{directory}/{name}" for name in names])
    discarded.finish()
    return len(names)


def mark_as_on_host(engine: "Engine", image_id: str) -> None:
    """Note that the image `image_id` was committed here from a container that shows the machine's files. Raises StorageError."""
    make_directory(_marks_directory(engine))
    write_file(f"{_marks_directory(engine)}/{image_id.partition(':')[2]}", b"", durable=False)


def is_on_host(engine: "Engine", image_id: str) -> bool:
    """Whether containers of the image get the machine's files below its layers.

    Only what was committed here: an image from elsewhere could say anything, and must not see this machine's files for it.
    """
    return os.path.exists(f"{_marks_directory(engine)}/{image_id.partition(':')[2]}")


def _marks_directory(engine: "Engine") -> str:
    return f"{engine.root}/on-host"


def mount_points_layer(engine: "Engine") -> str:
    """A layer with the places that every container has something mounted on, for the bottom of all others.

    Without it, an image that lacks one would get it made in the container's upper, where `diff` and `commit` would show it.
    """
    _make_layers(engine, {_MOUNT_POINTS: _build_mount_points})
    return f"{_directory(engine)}/{_MOUNT_POINTS}"


def _build_mount_points(target: str) -> None:
    os.mkdir(target)
    for name in ("proc", "sys", "dev", "etc"):
        os.mkdir(f"{target}/{name}")
        os.chmod(f"{target}/{name}", _MODE)
    os.chmod(target, _MODE)
    for name in ("hosts", "hostname", "resolv.conf"):
        descriptor = os.open(f"{target}/etc/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)


def _directory(engine: "Engine") -> str:
    return f"{engine.layers_directory}/{LAYERS_KEY}"


def _make_layers(engine: "Engine", wanted: "dict[str, Callable[[str], None]]") -> None:
    """Make those directories of `wanted` (name: what builds it) that are not there; one that is there is whole."""
    directory = _directory(engine)
    if all(os.path.isdir(f"{directory}/{name}") for name in wanted):
        return
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        # Who comes second finds them made.
        with Lock(f"{engine.locks_directory}/host.lock"):
            missing = {name: build for name, build in wanted.items() if not os.path.isdir(f"{directory}/{name}")}
            if missing:
                _try_user_namespace(engine)
                _build_layers(engine, missing)
    except OcirunError:
        # First, because the error of a failed step is an OSError too.
        raise
    except OSError as error:
        raise storage_error(error, "prepare the image host") from error


def _build_layers(engine: "Engine", missing: "dict[str, Callable[[str], None]]") -> None:
    from ocirun import native
    from ocirun.image.staging import Staging

    with Staging(engine.temporary_directory) as staging:
        for name, build in missing.items():
            build(f"{staging.path}/{name}")
        # Once for all of them: a name says that what it leads to is whole, after a power cut too (docs/decisions/0008).
        native.flush_file_system(staging.path)
        for name in missing:
            os.rename(f"{staging.path}/{name}", f"{_directory(engine)}/{name}")


def _try_user_namespace(engine: "Engine") -> None:
    """Raise HostError when containers cannot have one here, before time is spent on what they would need."""
    from ocirun.engine.tasks import run_task
    from ocirun.runtime.steps import Step

    run_task(engine, engine.maps, [Step("remove_tree", f"{engine.temporary_directory}/nothing")])


def _root_name(layout: HostLayout) -> str:
    stamps = [(path, os.stat(path).st_mtime_ns) for path in layout.files]
    text = repr(
        (1, os.getuid(), sorted(layout.trees), sorted(layout.directories.items()), sorted(layout.links.items()), stamps)
    )
    return name_of(text)


def _build_root(layout: HostLayout, target: str) -> None:
    import shutil

    os.mkdir(target, _MODE)
    os.chmod(target, _MODE)
    for path in sorted({*layout.trees, *layout.directories}):
        os.mkdir(target + path, _MODE)
    for path, content in layout.links.items():
        os.symlink(content, target + path)
    for path in layout.files:
        shutil.copy2(path, target + path)
    # Last and from below, because a mode may forbid its owner to go on.
    for path, mode in sorted(layout.directories.items(), reverse=True):
        os.chmod(target + path, mode | 0o700)
