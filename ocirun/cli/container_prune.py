"""`ocirun container prune`: remove all containers that do not run."""

from ocirun.cli.options import Option, Verb
from ocirun.cli.pruning import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    options=(Option("filter", "filter", "Remove only those that fit: label=..., label!=..., until=24h"), FORCE),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Ask, remove, and report."""
    from ocirun.cli.filters import Filters
    from ocirun.cli.pruning import confirm, container_choice, report
    from ocirun.engine.prune_unused import prune_containers

    del arguments
    choice = container_choice(Filters(flags.values("filter"), frozenset(("label", "label!", "until"))))
    if not flags.boolean("force") and not confirm("This will remove all stopped containers."):
        return 0
    removed, freed = prune_containers(engine, choice)
    report([("Deleted Containers", removed)], freed)
    return 0
