"""`images`: what is in the store, from index.json alone where it says enough."""

import fnmatch

from ocirun.errors import UsageError
from ocirun.image import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocirun.engine.context import Engine
    from ocirun.image.image import Image
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.reference import Reference

FILTERS = frozenset(("before", "dangling", "label", "reference", "since", "until"))


class ListedImage:
    """One image of the list: id, names, time of creation (RFC 3339) and size in bytes; the rest is read when asked for."""

    __slots__ = ("_descriptor", "_engine", "created", "id", "names", "size")

    def __init__(
        self,
        engine: "Engine",
        descriptor: "Descriptor",
        image_id: str,
        names: "list[Reference]",
        created: str,
        size: int,
    ) -> None:
        self._engine = engine
        self._descriptor = descriptor
        self.id = image_id
        self.names = names
        self.created = created
        self.size = size

    @property
    def image(self) -> "Image":
        """The whole image. Raises NotFoundError, InvalidError."""
        return self._engine.store.image(self._descriptor, [])

    @property
    def manifest_digest(self) -> str:
        """The digest of the manifest."""
        return self._descriptor["digest"]

    @property
    def labels(self) -> "dict[str, str]":
        """The labels of the image."""
        return self.image.execution.get("Labels") or {}

    @property
    def seconds(self) -> float:
        """Seconds since 1970 of the creation."""
        return seconds_of(self.created)

    @property
    def tags(self) -> "list[str]":
        """The names with a tag, as docker prints them."""
        return [name.familiar for name in self.names if name.tag]

    @property
    def digests(self) -> "list[str]":
        """The names with a digest, as docker prints them."""
        return [f"{name.familiar_name}@{name.digest}" for name in self.names if name.digest]


def list_images(engine: "Engine", filters: "Mapping[str, list[str]] | None" = None) -> "list[ListedImage]":
    """The images that pass all `filters` (docker's names -> values), newest first.

    Raises UsageError for a filter or a value that docker does not have, NotFoundError for the image of before or since.
    """
    filters = filters or {}
    for name in filters:
        if name not in FILTERS:
            raise UsageError(f"invalid filter '{name}'", f"known are {', '.join(sorted(FILTERS))}")
    found = _all_images(engine)
    for value in filters.get("dangling", ()):
        wanted = _boolean(value)
        found = [image for image in found if (not image.names) is wanted]
    for value in filters.get("label", ()):
        found = [image for image in found if _has_label(image, value)]
    for value in filters.get("before", ()):
        moment = _created(engine, value)
        found = [image for image in found if image.seconds < moment]
    for value in filters.get("since", ()):
        moment = _created(engine, value)
        found = [image for image in found if image.seconds > moment]
    for value in filters.get("until", ()):
        moment = _moment(value)
        found = [image for image in found if image.seconds < moment]
    patterns = filters.get("reference", [])
    return [image for image in found if not patterns or _keep_matching(image, patterns)]


def _all_images(engine: "Engine") -> "list[ListedImage]":
    groups: dict[str, list[Descriptor]] = {}
    descriptors = engine.store.descriptors()
    for descriptor in descriptors:
        image_id = engine.store.image_id(descriptor)
        # An entry that is no image, or whose blobs are missing, was put there by another tool: not ours to list.
        if image_id:
            groups.setdefault(image_id, []).append(descriptor)
    sizes = index.known_layer_sizes(descriptors)
    found = [_listed(engine, image_id, entries, sizes) for image_id, entries in groups.items()]
    found.sort(key=lambda image: (image.seconds, image.id), reverse=True)
    return found


def _listed(engine: "Engine", image_id: str, entries: "list[Descriptor]", sizes: "Mapping[str, int]") -> ListedImage:
    names = index.names(entries)
    for entry in entries:
        text = index.annotation(entry, index.LAYER_SIZES)
        if text:
            size = sum(int(item.partition("=")[2]) for item in text.split())
            return ListedImage(engine, entry, image_id, names, index.annotation(entry, index.CREATED), size)
    from ocirun.engine.image_sizes import layer_sizes

    image = engine.store.image(entries[0], [])
    return ListedImage(
        engine, entries[0], image_id, names, image.config.get("created") or "", sum(layer_sizes(image, sizes))
    )


def _created(engine: "Engine", name: str) -> float:
    return seconds_of(engine.store.resolve(name).config.get("created") or "")


def _moment(text: str) -> float:
    from ocirun.engine.times import parse_moment

    return parse_moment(text) / 1e9


def seconds_of(created: str) -> float:
    """Seconds since 1970 of an image's time of creation; 0 when it has none."""
    if not created or created.startswith("0001-01-01"):
        return 0.0
    import datetime as dt

    try:
        return dt.datetime.fromisoformat(created).timestamp()
    except ValueError:
        return 0.0


def _boolean(value: str) -> bool:
    if value.lower() in ("1", "true", "t"):
        return True
    if value.lower() in ("0", "false", "f"):
        return False
    raise UsageError(f"invalid filter 'dangling={value}'", "it is true or false")


def _has_label(image: ListedImage, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    labels = image.labels
    return key in labels and (not equals or labels[key] == wanted)


def _keep_matching(image: ListedImage, patterns: "list[str]") -> bool:
    """Reduce the image's names to those that fit one of `patterns`; whether any is left."""
    image.names = [name for name in image.names if any(matches_pattern(name, pattern) for pattern in patterns)]
    return bool(image.names)


def matches_pattern(name: "Reference", pattern: str) -> bool:
    """Whether a shell pattern fits the familiar name, with or without its tag; a star does not cross a slash (docker)."""
    return any(_path_match(text, pattern) for text in (name.familiar, name.familiar_name))


def _path_match(text: str, pattern: str) -> bool:
    texts, patterns = text.split("/"), pattern.split("/")
    return len(texts) == len(patterns) and all(fnmatch.fnmatchcase(*pair) for pair in zip(texts, patterns, strict=True))
