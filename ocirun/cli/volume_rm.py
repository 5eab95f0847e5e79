"""`ocirun volume rm`: remove volumes."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] VOLUME [VOLUME...]",
    minimum=1,
    aliases=("volume rm", "volume remove"),
    options=(Option("force", "bool", "It is no error when a volume does not exist", short="f"),),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Remove the volumes, and print the name of each."""
    from ocirun.cli.each import for_each
    from ocirun.engine.volumes import remove_volume

    def remove(name: str) -> str:
        remove_volume(engine, name, force=flags.boolean("force"))
        return name

    return for_each(engine, arguments, remove)
