"""`ocirun rmi`: remove images."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] IMAGE [IMAGE...]",
    minimum=1,
    aliases=("image rm", "image remove", "rmi"),
    options=(
        Option("force", "bool", "Remove names that a stopped container uses, and all names of an id", short="f"),
        Option("no-prune", "bool", "Keep an image that loses its last name"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Remove each image and print what went; a failure is one line, and the others go on."""
    from ocirun.cli.each import for_each
    from ocirun.engine.remove_image import ImageRemover

    remover = ImageRemover(engine)
    force, prune = flags.boolean("force"), not flags.boolean("no-prune")

    def remove(name: str) -> "str | None":
        done = remover.remove(name, force=force, prune=prune)
        return "\n".join(f"{verb}: {what}" for verb, what in done) or None

    return for_each(engine, arguments, remove, forgive_missing=force)
