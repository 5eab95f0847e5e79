"""`ocirun rm`: remove containers."""

from ocirun.cli.options import NOT_YET, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    minimum=1,
    aliases=("container rm", "container remove", "rm"),
    options=(
        Option("force", "bool", "Kill the container first if it runs", short="f"),
        Option("link", "bool", "", short="l", refused=NOT_YET),
        Option("volumes", "bool", "Remove its anonymous volumes too", short="v"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Remove the containers, and print the name of each."""
    from ocirun.cli.each import for_each
    from ocirun.engine.records import find_container
    from ocirun.engine.remove import remove_container
    from ocirun.errors import UsageError

    force, volumes = flags.boolean("force"), flags.boolean("volumes")

    def remove(name: str) -> str:
        if not name.strip("/"):
            raise UsageError("container name cannot be empty")
        remove_container(engine, find_container(engine, name), force=force, volumes=volumes)
        return name

    return for_each(engine, arguments, remove, forgive_missing=force)
