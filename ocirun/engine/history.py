"""`history`: the steps that made an image, newest first."""

from ocirun.image import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.oci.platform import Platform

_MISSING = "<missing>"


class HistoryStep:
    """One step: `id` of the image for the last one; `created` (RFC 3339 or ""), `size` in bytes (0 without a layer)."""

    __slots__ = ("comment", "created", "created_by", "id", "size", "tags")

    def __init__(self, created: str, created_by: str, comment: str, size: int) -> None:
        self.id = _MISSING
        self.tags: list[str] = []
        self.created = created
        self.created_by = created_by
        self.comment = comment
        self.size = size


def image_history(engine: "Engine", name: str, platform: "Platform | None" = None) -> "list[HistoryStep]":
    """The steps of the image, newest first. Layers that its history does not mention come as steps without a command.

    Raises NotFoundError, InvalidError.
    """
    from ocirun.engine.image_sizes import layer_sizes

    descriptors = engine.store.descriptors()
    image = engine.store.resolve(name, platform)
    sizes = iter(layer_sizes(image, index.known_layer_sizes(descriptors)))
    steps = []
    for entry in image.config.get("history") or ():
        size = 0 if entry.get("empty_layer") else next(sizes, 0)
        created, command = entry.get("created") or "", entry.get("created_by") or ""
        steps.append(HistoryStep(created, command, entry.get("comment") or "", size))
    steps.extend(HistoryStep(image.config.get("created") or "", "", "", size) for size in sizes)
    if not steps:
        steps.append(HistoryStep(image.config.get("created") or "", "", "", 0))
    steps.reverse()
    steps[0].id = image.id
    steps[0].tags = [known.familiar for known in image.names if known.tag]
    return steps
