"""What a container stands on: an image's layers, or the machine's own file system (image `host`)."""

import os

from ocirun.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine
    from ocirun.runtime.id_maps import IdMaps
    from ocirun.runtime.root import RootFilesystem


class Base:
    """An image resolved for one container.

    `lowers` are the layer directories, top first. `trees` are the further overlays of image `host`: (path, lower directories).
    `config` is the image's configuration in docker's words; `image_id`, `manifest_digest` are "" for `host`.
    """

    __slots__ = ("chain_ids", "config", "image_id", "lowers", "manifest_digest", "platform", "skeletons", "trees")

    def __init__(self, config: "dict[str, Any]", lowers: "list[str]") -> None:
        self.config = config
        self.lowers = lowers
        self.image_id = ""
        self.manifest_digest = ""
        self.platform = "linux"
        self.chain_ids: list[str] = []
        self.skeletons: list[str] = []
        self.trees: list[tuple[str, list[str]]] = []


def resolve_base(engine: "Engine", reference: str, platform: str, maps: "IdMaps", *, on_host: bool = False) -> Base:
    """Find the image and unpack what is missing of its layers; images.lock is held by the caller.

    `on_host` is the user's word that an image made on top of `host` elsewhere may see this machine's files.
    Raises NotFoundError, ConflictError, InvalidError, StorageError, HostError.
    """
    from ocirun.engine.host_image import BASE_LABEL, REFERENCE, host_image_config, is_on_host, mount_points_layer

    if reference == REFERENCE:
        base = Base(host_image_config(), [])
        _put_on_host(engine, base)
        return base
    from ocirun.image.layers import ensure_layers

    wanted = None
    if platform:
        from ocirun.oci.platform import Platform

        wanted = Platform.parse(platform)
    image = engine.store.resolve(reference, wanted)
    directories = ensure_layers(engine.store, image, engine.layers_for(maps))
    base = Base(dict(image.execution), [*directories[::-1], mount_points_layer(engine)])
    base.image_id = str(image.id)
    base.manifest_digest = str(image.manifest_digest)
    base.chain_ids = [str(chain_id) for chain_id in image.chain_ids]
    labelled = (base.config.get("Labels") or {}).get(BASE_LABEL) == REFERENCE
    if on_host or is_on_host(engine, base.image_id):
        del base.lowers[-1]
        _put_on_host(engine, base)
    elif labelled:
        raise ConflictError(
            f"image {reference} holds only changes to the files of another machine, made in its image host",
            f"if it may see this machine's files: ocirun run --base host {reference}",
        )
    return base


def _put_on_host(engine: "Engine", base: Base) -> None:
    """Lay the layers of `base` (often none) over the machine's own file system, each part over the tree it belongs to."""
    from ocirun.engine.host_image import layer_names, prepare_host_image

    host = prepare_host_image(engine)
    for path, tree_lowers in host.trees:
        base.trees.append((path, _parts_of_layers(base.lowers, path) + tree_lowers))
    base.lowers = [*base.lowers, host.root]
    base.skeletons = layer_names(host)


def _parts_of_layers(layers: "list[str]", path: str) -> "list[str]":
    """The directory `path` of those layers that have it. A symlink on the way is not followed: it would lead into the machine."""
    found = []
    for layer in layers:
        place = layer
        for name in path.strip("/").split("/"):
            place = f"{place}/{name}"
            if not os.path.isdir(place) or os.path.islink(place):
                break
        else:
            found.append(place)
    return found


def root_filesystem(directory: str, record: "dict[str, Any]", *, first_start: bool) -> "RootFilesystem":
    """The root of the container at `directory` as its record says.

    With `first_start` the upper directories of --userns=keep-id are made, which belong to an id that is not the user's.
    """
    from ocirun.runtime.root import OVERLAY_OPTIONS, VOLATILE_OPTIONS, Overlay, RootFilesystem

    options = VOLATILE_OPTIONS if record["auto_remove"] else OVERLAY_OPTIONS
    prepare = first_start and record["foreign_root"]
    targets = ["/", *(path for path, _ in record["trees"])]
    overlays = []
    for target, (upper, work, lowers) in zip(targets, overlay_places(directory, record), strict=True):
        mode = os.stat(lowers[0]).st_mode & 0o7777 if prepare else 0o755
        overlays.append(Overlay(target, lowers, upper, work, options=options, prepare=prepare, mode=mode))
    return RootFilesystem(f"{directory}/rootfs", overlays)


def overlay_places(directory: str, record: "dict[str, Any]") -> "list[tuple[str, str, list[str]]]":
    """(upper, work, lowers top first) of each overlay of the container at `directory`, the root's first."""
    places = [(f"{directory}/upper", f"{directory}/work", record["lowers"])]
    for index, (_, lowers) in enumerate(record["trees"]):
        places.append((f"{directory}/host/{index}/upper", f"{directory}/host/{index}/work", lowers))
    return places
