"""`ocirun wait`: wait until containers stop, and print their exit codes."""

from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb("CONTAINER [CONTAINER...]", minimum=1, aliases=("container wait", "wait"))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the exit code of each container when it has stopped, in the order of the names."""
    from ocirun.cli.each import for_each
    from ocirun.engine.records import find_container
    from ocirun.engine.wait import wait_container

    del flags
    return for_each(engine, arguments, lambda name: str(wait_container(engine, find_container(engine, name))))
