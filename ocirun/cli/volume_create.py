"""`ocirun volume create`: make a volume."""

from ocirun.cli.options import NOT_YET, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine


def _label(text: str) -> str:
    from ocirun.cli.key_values import check_label

    return check_label(text)


VERB = Verb(
    "[OPTIONS] [VOLUME]",
    maximum=1,
    options=(
        Option("driver", "string", "", short="d", refused=NOT_YET, accepted=("local",)),
        Option("label", "list", "Set a label", check=_label),
        Option("name", "string", "The name, as an option"),
        Option("opt", "list", "", short="o", refused=NOT_YET),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Make the volume, unless it is there, and print its name."""
    from ocirun.cli.key_values import labels
    from ocirun.cli.output import write
    from ocirun.engine.volumes import create_volume
    from ocirun.errors import UsageError

    if flags.given("name") and arguments:
        raise UsageError(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        )
    name = arguments[0] if arguments else flags.text("name")
    document = create_volume(engine, name, labels([], flags.values("label")))
    write(f"{document['Name']}\n")
    return 0
