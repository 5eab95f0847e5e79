"""`ocirun history`: show how an image was made."""

from ocirun.cli.formats import ago, human_size, short_id, shorten
from ocirun.cli.listing import Columns, print_rows
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine
    from ocirun.engine.history import HistoryStep

PLATFORM = Option("platform", "string", "The platform that the image must be for, such as linux/amd64")

VERB = Verb(
    "[OPTIONS] IMAGE",
    minimum=1,
    maximum=1,
    aliases=("image history", "history"),
    options=(
        Option("format", "string", "table, 'table TEMPLATE', json, or a Go template"),
        Option("human", "bool", "Show sizes and times for people", short="H", default=True),
        Option("no-trunc", "bool", "Do not shorten ids and commands"),
        Option("quiet", "bool", "Show only the ids", short="q"),
        PLATFORM,
    ),
)

_SINCE = "{{.CreatedSince}}"
_TABLE = "{{.ID}}\t%s\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
# docker cuts commands here.
_COMMAND_LENGTH = 45


class Line:
    """One step, and how it is to be shown."""

    __slots__ = ("human", "step", "truncated")

    def __init__(self, step: "HistoryStep", *, human: bool, truncated: bool) -> None:
        self.step = step
        self.human = human
        self.truncated = truncated


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the steps, newest first."""
    from ocirun.engine.history import image_history
    from ocirun.oci.platform import Platform

    platform = Platform.parse(flags.text("platform")) if flags.text("platform") else None
    human, truncated = flags.boolean("human"), not flags.boolean("no-trunc")
    steps = image_history(engine, arguments[0], platform)
    wanted = "{{.ID}}" if flags.boolean("quiet") else flags.text("format")
    table = _TABLE % (_SINCE if human else "{{.CreatedAt}}")
    print_rows([Line(step, human=human, truncated=truncated) for step in steps], COLUMNS, wanted, table)
    return 0


def _id(line: Line) -> str:
    return short_id(line.step.id) if line.truncated else line.step.id


def _created_by(line: Line) -> str:
    command = line.step.created_by.replace("\t", " ")
    return shorten(command, _COMMAND_LENGTH) if line.truncated else command


def _since(line: Line) -> str:
    return ago(line.step.created) or "N/A"


def _size(line: Line) -> str:
    return human_size(line.step.size) if line.human else str(line.step.size)


def _created_at(line: Line) -> str:
    """The time in the local zone as Go's RFC 3339 without fractions."""
    import datetime as dt

    from ocirun.engine.list_images import seconds_of

    seconds = int(seconds_of(line.step.created))
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().isoformat().replace("+00:00", "Z")


# fmt: off
COLUMNS = Columns("*formatter.historyContext", {
    "Comment": ("COMMENT", lambda line: line.step.comment),
    "CreatedAt": ("CREATED AT", _created_at),
    "CreatedBy": ("CREATED BY", _created_by),
    "CreatedSince": ("CREATED", _since),
    "ID": ("IMAGE", _id),
    "Size": ("SIZE", _size),
})
# fmt: on
