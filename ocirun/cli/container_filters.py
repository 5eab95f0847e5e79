"""Which containers `ps` shows: docker's filters over records and states."""

from ocirun.cli.filters import Filters
from ocirun.engine.image_names import ImageNames
from ocirun.errors import NotFoundError, UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container, State

# Docker looks at `isolation` on Windows only.
_ALLOWED = frozenset(
    "ancestor before expose exited health id is-task isolation label name network publish since status volume".split()
)
_HEALTHS = frozenset(("healthy", "none", "starting", "unhealthy"))
_PROTOCOLS = frozenset(("sctp", "tcp", "udp"))
_LAST_PORT = 65535
_STATES = frozenset(("created", "dead", "exited", "paused", "removing", "restarting", "running"))


def select(engine: "Engine", texts: "list[str]", *, everything: bool, last: int) -> "list[tuple[Container, State]]":
    """The containers that the filters `texts` let through, newest first, each with its state.

    Without `everything` only those that run; with `last` above 0 the newest so many, whatever their state. Raises UsageError.
    """
    from ocirun.engine.records import list_containers, status

    choice = _Choice(engine, Filters(texts, _ALLOWED))
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

    __slots__ = ("ancestors", "before", "exits", "exposed", "filters", "healths", "images", "since")

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
        self.healths = frozenset(filters.values("health"))
        for value in sorted(self.healths - _HEALTHS):
            raise UsageError(
                f"unrecognized filter value for health: {value}", f"a health is one of: {', '.join(sorted(_HEALTHS))}"
            )
        self.exposed = [_ports("expose", value) for value in filters.values("expose")]
        for value in filters.values("publish"):
            _ports("publish", value)
        self.before = _created(engine, filters.single("before"))
        self.since = _created(engine, filters.single("since"))
        self.images = ImageNames(engine)
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
            and self._exposes(container)
            # No port of a container is published yet.
            and "publish" not in filters
            and not filters.boolean("is-task", default=False)
            and self._has_health(container, state)
        )

    def _exposes(self, container: "Container") -> bool:
        if "expose" not in self.filters:
            return True
        found = []
        for text in (container.record.get("config") or {}).get("ExposedPorts") or ():
            try:
                found.append(_ports("expose", text))
            except UsageError:
                # An image may write there what it likes.
                continue
        return any(
            protocol == wanted and first <= end and start <= last
            for protocol, first, last in found
            for wanted, start, end in self.exposed
        )

    def _has_health(self, container: "Container", state: "State") -> bool:
        """Raises UnsupportedError for a running container whose health somebody would have to check."""
        if "health" not in self.filters:
            return True
        test = ((container.record.get("config") or {}).get("Healthcheck") or {}).get("Test") or ["NONE"]
        if test[0] == "NONE" or state.status == "created":
            return "none" in self.healths
        if not state.running:
            # What has ended is not healthy; docker says so, too.
            return "unhealthy" in self.healths
        if self.healths == {"none"}:
            return False
        if self.healths >= _HEALTHS - {"none"}:
            return True
        raise UnsupportedError(
            f"the health of container {container.name or container.id} is not known: health checks are not run yet",
            "health=none finds those without one",
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
        record = container.record
        layers, own = record.get("layers", []), record.get("image_id")
        return any(
            own == image_id
            or top in layers
            # The image `host` is in no store, and has no id.
            or (record.get("image") == text and (not own or self.images.means(text, own)))
            for text, image_id, top in self.ancestors
        )


def _created(engine: "Engine", reference: str) -> str:
    if not reference:
        return ""
    from ocirun.engine.records import find_container

    return str(find_container(engine, reference).record.get("created", ""))


def _ports(name: str, text: str) -> "tuple[str, int, int]":
    """(protocol, first, last) of docker's PORT[-PORT][/PROTOCOL]. Raises UsageError."""
    ports, slash, protocol = text.partition("/")
    first, dash, last = ports.partition("-")
    numbers = [
        number for number in (first, last if dash else first) if number.isdecimal() and int(number) <= _LAST_PORT
    ]
    if len(numbers) < 2 or int(numbers[0]) > int(numbers[1]) or (slash and protocol.lower() not in _PROTOCOLS):
        raise UsageError(f"invalid filter '{name}={text}'", "it is PORT[-PORT][/PROTOCOL], such as 80/tcp")
    return protocol.lower() or "tcp", int(numbers[0]), int(numbers[1])


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
