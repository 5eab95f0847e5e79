"""`ocirun ps`: list containers."""

from ocirun.cli.formats import ago, container_status, human_size, local_time, short_id, shorten
from ocirun.cli.listing import Columns, check_fields, print_rows
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine
    from ocirun.engine.image_names import ImageNames
    from ocirun.engine.records import Container, State

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    aliases=("container ls", "container list", "container ps", "ps"),
    options=(
        Option("all", "bool", "Show all containers, not only those that run", short="a"),
        Option("filter", "filter", "Show only containers that fit, such as status=exited or name=web", short="f"),
        Option("format", "string", "table, 'table TEMPLATE', json, or a Go template"),
        Option("last", "int", "Show the n containers made last, whatever their state", short="n", default=-1),
        Option("latest", "bool", "Show the container made last, whatever its state", short="l"),
        Option("no-trunc", "bool", "Do not shorten ids, commands and mounts"),
        Option("quiet", "bool", "Show only the ids", short="q"),
        Option("size", "bool", "Show the size of what each container wrote", short="s"),
    ),
)

_TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_RAW = (
    "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n"
    "state: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\n"
    "labels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n"
)


class Line:
    """One container of the list, with its state at the moment of listing, and the names of images."""

    __slots__ = ("container", "engine", "images", "state", "truncated")

    def __init__(
        self, engine: "Engine", container: "Container", state: "State", images: "ImageNames", *, truncated: bool
    ) -> None:
        self.engine = engine
        self.container = container
        self.state = state
        self.images = images
        self.truncated = truncated

    @property
    def record(self) -> "dict[str, Any]":
        """The container's record."""
        return self.container.record


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the containers that the options select."""
    from ocirun.cli.container_filters import select
    from ocirun.cli.output import write_error
    from ocirun.engine.image_names import ImageNames

    del arguments
    last = 1 if flags.boolean("latest") and not flags.given("last") else flags.number("last")
    truncated = not flags.boolean("no-trunc")
    chosen = select(engine, flags.values("filter"), everything=flags.boolean("all"), last=last)
    images = ImageNames(engine)
    lines = [Line(engine, container, state, images, truncated=truncated) for container, state in chosen]
    wanted, table = flags.text("format"), _TABLE
    if flags.boolean("quiet"):
        if wanted:
            write_error("WARNING: Ignoring custom format, because both --format and --quiet are set.\n")
        wanted = "container_id: {{.ID}}" if wanted == "raw" else "{{.ID}}"
    elif wanted == "raw":
        wanted = _RAW + ("size: {{.Size}}\n" if flags.boolean("size") else "")
    elif flags.boolean("size"):
        table += "\t{{.Size}}"
    if not lines:
        # Docker tells what is wrong with the template all the same.
        check_fields(COLUMNS, wanted.removeprefix("table"))
    print_rows(lines, COLUMNS, wanted, table)
    return 0


def _id(line: Line) -> str:
    return short_id(line.container.id) if line.truncated else line.container.id


def _image(line: Line) -> str:
    image, image_id = str(line.record.get("image") or ""), str(line.record.get("image_id") or "")
    if not image:
        return "<no image>"
    if image_id and not line.images.means(image, image_id):
        # The name is gone, or another image's by now.
        image = image_id
    if not line.truncated:
        return image
    if image.startswith("sha256:") or short_id(image) == short_id(image_id):
        return short_id(image)
    from ocirun.errors import InvalidError
    from ocirun.oci.reference import Reference

    try:
        reference = Reference.parse(image)
    except InvalidError:
        return image
    return Reference(reference.domain, reference.path, reference.tag).familiar


def _command(line: Line) -> str:
    from ocirun.cli.options import quote

    arguments = [f"'{word}'" if " " in word else word for word in line.record.get("args", [])]
    command = " ".join([line.record.get("path", ""), *arguments]).strip()
    return quote(shorten(command, 20) if line.truncated else command)


def _labels(line: Line) -> "dict[str, str]":
    return (line.record.get("config") or {}).get("Labels") or {}


def _mounts(line: Line) -> str:
    names = [mount.get("Name") or mount.get("Source", "") for mount in line.record.get("mounts", [])]
    return ",".join(shorten(name, 15) if line.truncated else name for name in names)


def _local_volumes(line: Line) -> int:
    return sum(mount.get("Type") == "volume" for mount in line.record.get("mounts", []))


def _size(line: Line) -> str:
    from ocirun.engine.inspect import container_sizes

    written, whole = container_sizes(line.engine, line.container)
    text = human_size(written)
    return f"{text} (virtual {human_size(whole)})" if whole > 0 else text


def _platform(line: Line) -> str:
    return str(line.record.get("platform") or "linux")


# fmt: off
COLUMNS = Columns("*formatter.ContainerContext", {
    "Command": ("COMMAND", _command),
    "CreatedAt": ("CREATED AT", lambda line: local_time(line.record.get("created", ""))),
    "ID": ("CONTAINER ID", _id),
    "Image": ("IMAGE", _image),
    "Labels": ("LABELS", lambda line: ",".join(f"{key}={value}" for key, value in sorted(_labels(line).items()))),
    "LocalVolumes": ("LOCAL VOLUMES", lambda line: str(_local_volumes(line))),
    "Mounts": ("MOUNTS", _mounts),
    "Names": ("NAMES", lambda line: line.container.name),
    "Networks": ("NETWORKS", lambda line: str(line.record.get("network_mode") or "")),
    "Platform": ("PLATFORM", _platform),
    "Ports": ("PORTS", lambda _: ""),
    "RunningFor": ("CREATED", lambda line: ago(line.record.get("created", ""))),
    "Size": ("SIZE", _size),
    "State": ("STATE", lambda line: line.state.status),
    "Status": ("STATUS", lambda line: container_status(line.state)),
}, {
    "Label": lambda line, name: _labels(line).get(name, ""),
})
# fmt: on
