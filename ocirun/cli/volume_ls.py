"""`ocirun volume ls`: list volumes."""

from ocirun.cli.listing import Columns, print_rows
from ocirun.cli.options import NOT_YET, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.cli.filters import Filters
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    aliases=("volume ls", "volume list"),
    options=(
        Option("cluster", "bool", "", refused=NOT_YET),
        Option("filter", "filter", "Show only volumes that fit: name, label, dangling, driver", short="f"),
        Option("format", "string", "table, 'table TEMPLATE', json, or a Go template"),
        Option("quiet", "bool", "Show only the names", short="q"),
    ),
)

_ALLOWED = frozenset(("dangling", "driver", "label", "name"))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the volumes that the filters let through, by name."""
    from ocirun.cli.filters import Filters
    from ocirun.engine.volumes import list_volumes

    del arguments
    filters = Filters(flags.values("filter"), _ALLOWED)
    volumes = [volume for volume in list_volumes(engine) if _fits(engine, filters, volume)]
    wanted = flags.text("format") or ("{{.Name}}" if flags.boolean("quiet") else "")
    print_rows(volumes, COLUMNS, wanted, "{{.Driver}}\t{{.Name}}")
    return 0


def _fits(engine: "Engine", filters: "Filters", volume: "dict[str, Any]") -> bool:
    from ocirun.engine.volumes import volume_users

    dangling = filters.boolean("dangling")
    return (
        filters.matches("name", volume["Name"])
        and filters.matches_labels(volume["Labels"] or {})
        and ("driver" not in filters or volume["Driver"] in filters.values("driver"))
        and (dangling is None or dangling == (not volume_users(engine, volume["Name"])))
    )


def _labels(volume: "dict[str, Any]") -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((volume["Labels"] or {}).items()))


# fmt: off
COLUMNS = Columns("*formatter.volumeContext", {
    "Availability": ("AVAILABILITY", lambda _: "N/A"),
    "Driver": ("DRIVER", lambda volume: volume["Driver"]),
    "Group": ("GROUP", lambda _: "N/A"),
    "Labels": ("LABELS", _labels),
    "Links": ("LINKS", lambda _: "N/A"),
    "Mountpoint": ("MOUNTPOINT", lambda volume: volume["Mountpoint"]),
    "Name": ("VOLUME NAME", lambda volume: volume["Name"]),
    "Scope": ("SCOPE", lambda volume: volume["Scope"]),
    "Size": ("SIZE", lambda _: "N/A"),
    "Status": ("STATUS", lambda _: "N/A"),
}, {
    "Label": lambda volume, name: (volume["Labels"] or {}).get(name, ""),
})
# fmt: on
