"""`ocirun system prune`: remove what nothing uses, and what crashes left."""

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
        Option(
            "all", "bool", "Remove all images that no container is made from, not only those without a name", short="a"
        ),
        Option("filter", "filter", "", refused=NOT_YET),
        FORCE,
        Option("volumes", "bool", "Remove anonymous volumes that no container uses"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Ask, remove, and report."""
    from ocirun.cli.pruning import confirm, report
    from ocirun.engine.prune import prune_garbage
    from ocirun.engine.prune_unused import prune_containers, prune_images, prune_volumes

    del arguments
    everything, volumes = flags.boolean("all"), flags.boolean("volumes")
    if not flags.boolean("force") and not confirm(_warning(everything=everything, volumes=volumes)):
        return 0
    containers, freed = prune_containers(engine, lambda _: True)
    sections = [("Deleted Containers", containers)]
    if volumes:
        names, size = prune_volumes(engine, lambda _: True, everything=False)
        sections.append(("Deleted Volumes", names))
        freed += size
    images, size = prune_images(engine, everything=everything)
    sections.append(("Deleted Images", [f"{verb.lower()}: {name}" for verb, name in images]))
    sections.append(("Deleted Leftovers", prune_garbage(engine)))
    report(sections, freed + size)
    return 0


def _warning(*, everything: bool, volumes: bool) -> str:
    lines = ["This will remove:", "  - all stopped containers"]
    if volumes:
        lines.append("  - all anonymous volumes not used by at least one container")
    lines.append(
        "  - all images without at least one container associated to them" if everything else "  - all dangling images"
    )
    return "\n".join([*lines, "  - what interrupted commands left behind\n"])
