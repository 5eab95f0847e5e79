"""`ocirun volume prune`: remove volumes that no container uses."""

from ocirun.cli.options import Option, Verb
from ocirun.cli.pruning import FORCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    options=(
        Option("all", "bool", "Remove named volumes too", short="a"),
        Option("filter", "filter", "Remove only those that fit: label=..., label!=..., all=true"),
        FORCE,
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Ask, remove, and report."""
    from ocirun.cli.filters import Filters
    from ocirun.cli.pruning import confirm, label_choice, report
    from ocirun.engine.prune_unused import prune_volumes

    del arguments
    filters = Filters(flags.values("filter"), frozenset(("all", "label", "label!")))
    everything = flags.boolean("all") or bool(filters.boolean("all", default=False))
    kind = "all" if everything else "anonymous"
    if not flags.boolean("force") and not confirm(
        f"This will remove {kind} local volumes not used by at least one container."
    ):
        return 0
    removed, freed = prune_volumes(engine, label_choice(filters), everything=everything)
    report([("Deleted Volumes", removed)], freed)
    return 0
