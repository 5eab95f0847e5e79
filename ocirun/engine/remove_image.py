"""`rmi`: names go, and with the last name the image, unless a container needs it; by docker's rules."""

from ocirun.errors import ConflictError, InvalidError
from ocirun.image import index, layout
from ocirun.image.usage import Usage, pinned_layers, remove_blobs
from ocirun.oci.digest import Digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container
    from ocirun.image.image import Image
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.reference import Reference

UNTAGGED = "Untagged"
DELETED = "Deleted"


class ImageRemover:
    """Removes images of one engine, one after the other; what it has read of the store serves for all of them."""

    __slots__ = ("_engine", "_usage")

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._usage = Usage(engine.store)

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> "list[tuple[str, str]]":
        """Remove the name, or by id the image with all its names; returns (UNTAGGED or DELETED, name or digest).

        An image that a container uses keeps its blobs until the container is gone, also with `force`. Without `prune` an
        image that loses its last name stays. Raises NotFoundError, ConflictError with docker's words, StorageError.
        """
        engine = self._engine
        # Files of layers are removed after the lock is given back: that may take a while, and others wait for it.
        unfinished: list[Callable[[], None]] = []
        with engine.store.lock():
            descriptors = engine.store.descriptors()
            image = engine.store.resolve(name)
            same = [entry for entry in descriptors if engine.store.image_id(entry) == image.id]
            names = index.names(same)
            users = containers_of(engine, image)
            given = _given_name(name, names)
            going = [given] if given is not None else names
            if given is None:
                _check_id(image, names, users, force=force)
            elif len(names) == 1:
                _check_name(image, name, users, force=force)
            done = [(UNTAGGED, reference.familiar) for reference in going]
            after = descriptors
            for reference in going:
                after = index.remove_name(after, reference)
            last = len(going) == len(names)
            if last and prune and not users:
                for entry in same:
                    after = index.remove_manifest(after, entry["digest"])
            layout.write_index(engine.store.directory, after)
            if last and prune and not users:
                done.append((DELETED, image.id))
                done += [(DELETED, chain_id) for chain_id in self._collect(same, after, unfinished)]
        for finish in unfinished:
            finish()
        return done

    def _collect(
        self, gone: "list[Descriptor]", left: "list[Descriptor]", unfinished: "list[Callable[[], None]]"
    ) -> "list[str]":
        """Remove what only the images that are gone needed; returns the chain ids of the layers that went."""
        from ocirun.engine.prune import map_keys

        engine = self._engine
        remove_blobs(engine.store, sorted(self._usage.blobs(gone) - self._usage.blobs(left)))
        unused = self._usage.chain_ids(gone) - self._usage.chain_ids(left) - _layers_of_containers(engine)
        unused -= pinned_layers(engine.store)
        for key in map_keys(engine):
            layers = engine.layers_in(key)
            for chain_id in sorted(unused):
                unfinished.append(layers.discard(Digest(chain_id)))
        return sorted(unused)


def remove_image(engine: "Engine", name: str, *, force: bool = False) -> "list[tuple[str, str]]":
    """Remove one image, as ImageRemover.remove."""
    return ImageRemover(engine).remove(name, force=force)


def containers_of(engine: "Engine", image: "Image") -> "list[Container]":
    """The containers that were made from the image."""
    from ocirun.engine.records import list_containers

    return [container for container in list_containers(engine) if container.record.get("image_id") == image.id]


def _layers_of_containers(engine: "Engine") -> "set[str]":
    from ocirun.engine.records import list_containers

    return set().union(*(container.record.get("layers", ()) for container in list_containers(engine)))


def _given_name(text: str, names: "list[Reference]") -> "Reference | None":
    """The one of the image's `names` that `text` is; None when it is an id."""
    from ocirun.oci.reference import Reference

    try:
        reference = Reference.parse(text).with_default_tag()
    except InvalidError:
        return None
    if reference in names:
        return reference
    if reference.digest is not None and reference.tag:
        reference = Reference(reference.domain, reference.path, reference.tag)
    return reference if reference in names else None


def _check_name(image: "Image", name: str, users: "list[Container]", *, force: bool) -> None:
    """The last name goes: with a container that uses the image only by force."""
    if users and not force:
        raise ConflictError(
            f'conflict: unable to remove repository reference "{name}" (must force) - '
            f"container {users[0].id[:12]} is using its referenced image {image.id.hex[:12]}"
        )


def _check_id(image: "Image", names: "list[Reference]", users: "list[Container]", *, force: bool) -> None:
    """The image goes: not under a running container, and under a stopped one or with several repositories only by force."""
    from ocirun.engine.records import status

    short = image.id.hex[:12]
    running = [container for container in users if status(container).running]
    if running:
        raise ConflictError(
            f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container "
            f"{running[0].id[:12]}"
        )
    if force:
        return
    if len({reference.name for reference in names}) > 1:
        raise ConflictError(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
        )
    if users:
        raise ConflictError(
            f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container "
            f"{users[0].id[:12]}"
        )
