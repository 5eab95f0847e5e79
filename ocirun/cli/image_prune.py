"""`ocirun image prune`: remove images that have no name, or no use."""

from ocirun.cli.options import NOT_YET, Option, Verb
from ocirun.cli.pruning import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    options=(
        Option("all", "bool", "Remove all images that no container is made from", short="a"),
        Option("filter", "filter", "", refused=NOT_YET),
        FORCE,
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Ask, remove, and report."""
    from ocirun.cli.pruning import confirm, report
    from ocirun.engine.prune_unused import prune_images

    del arguments
    everything = flags.boolean("all")
    what = "all images without at least one container associated to them" if everything else "all dangling images"
    if not flags.boolean("force") and not confirm(f"This will remove {what}."):
        return 0
    done, freed = prune_images(engine, everything=everything)
    report([("Deleted Images", [f"{verb.lower()}: {name}" for verb, name in done])], freed)
    return 0
