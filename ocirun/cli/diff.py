"""`ocirun diff`: list what a container changed in its file system."""

from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb("CONTAINER", minimum=1, maximum=1, aliases=("container diff", "diff"))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print one line a change: A (added), C (changed) or D (deleted), and the path."""
    from ocirun.cli.output import write
    from ocirun.engine.changes import container_changes
    from ocirun.engine.records import find_container

    del flags
    changes = container_changes(engine, find_container(engine, arguments[0]))
    write("".join(f"{kind} {path}\n" for kind, path in changes))
    return 0
