"""Which containers `ps` shows: docker's filters over records and states."""

from ocirun.cli.filters import Filters
from ocirun.errors import NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container, State

_ALLOWED = frozenset(
    ("ancestor", "before", "exited", "id", "is-task", "label", "name", "network", "since", "status", "volume")
)
_LATER = frozenset(("expose", "health", "isolation", "publish"))
_STATES = frozenset(("created", "dead", "exited", "paused", "removing", "restarting", "running"))


def select(engine: "Engine", texts: "list[str]", *, everything: bool, last: int) -> "list[tuple[Container, State]]":
    """The containers that the filters `texts` let through, newest first, each with its state.

    Without `everything` only those that run; with `last` above 0 the newest so many, whatever their state. Raises UsageError.
    """
    from ocirun.engine.records import list_containers, status

    choice = _Choice(engine, Filters(texts, _ALLOWED, _LATER))
    everything = everything or last > 0 or "status" in choice.filters
    found: list[tuple[Container, State]] = []
    for container in list_containers(engine):
        if last > 0 and len(found) == last:
            break
        state = status(container)
        if (everything or state.running) and choice.fits(container, state):
            found.append((container, state))
    return found


class _Choice:
    """The filters of one listing, with what is looked up once."""

    __slots__ = ("ancestors", "before", "exits", "filters", "since")

    def __init__(self, engine: "Engine", filters: Filters) -> None:
        self.filters = filters
        for value in filters.values("status"):
            if value not in _STATES:
                raise UsageError(
                    f"invalid filter 'status={value}'", f"a status is one of: {', '.join(sorted(_STATES))}"
                )
        try:
            self.exits = [int(value) for value in filters.values("exited")]
        except ValueError:
            raise UsageError(f"invalid filter 'exited={filters.single('exited')}'", "it is an exit code") from None
        filters.boolean("is-task")
        self.before = _created(engine, filters.single("before"))
        self.since = _created(engine, filters.single("since"))
        self.ancestors = _ancestors(engine, filters.values("ancestor"))

    def fits(self, container: "Container", state: "State") -> bool:
        """Whether all filters let this container through."""
        filters, record = self.filters, container.record
        labels = (record.get("config") or {}).get("Labels") or {}
        created = record.get("created", "")
        return (
            filters.matches("id", container.id)
            and (filters.matches("name", container.name) or filters.matches("name", f"/{container.name}"))
            and filters.matches_labels(labels)
            and ("status" not in filters or state.status in filters.values("status"))
            and ("exited" not in filters or (state.status == "exited" and state.exit_code in self.exits))
            and (not self.before or created < self.before)
            and (not self.since or created > self.since)
            and ("network" not in filters or record.get("network_mode", "") in filters.values("network"))
            and self._mounts(container)
            and self._descends(container)
            and not filters.boolean("is-task", default=False)
        )

    def _mounts(self, container: "Container") -> bool:
        wanted = self.filters.values("volume")
        return not wanted or any(
            value in (mount.get("Name"), mount.get("Source"), mount.get("Destination"))
            for mount in container.record.get("mounts", [])
            for value in wanted
        )

    def _descends(self, container: "Container") -> bool:
        """Whether the container's image is one of the ancestors, or is built on all the layers of one."""
        if "ancestor" not in self.filters:
            return True
        layers = container.record.get("layers", [])
        return any(
            container.record.get("image_id") == image_id or container.record.get("image") == text or top in layers
            for text, image_id, top in self.ancestors
        )


def _created(engine: "Engine", reference: str) -> str:
    if not reference:
        return ""
    from ocirun.engine.records import find_container

    return str(find_container(engine, reference).record.get("created", ""))


def _ancestors(engine: "Engine", texts: "list[str]") -> "list[tuple[str, str, str]]":
    """For each text the image's id and its uppermost chain id, "" for what is not in the store."""
    found = []
    for text in texts:
        try:
            image = engine.store.resolve(text)
        except NotFoundError:
            found.append((text, "-", "-"))
            continue
        found.append((text, str(image.id), str(image.chain_ids[-1]) if image.chain_ids else "-"))
    return found
