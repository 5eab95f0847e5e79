"""`ocirun kill`: send a signal to running containers."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    minimum=1,
    aliases=("container kill", "kill"),
    options=(Option("signal", "string", "Signal to send (default SIGKILL)", short="s"),),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Signal the containers, and print the name of each."""
    from ocirun.cli.each import for_each
    from ocirun.engine.kill import kill_container
    from ocirun.engine.records import find_container

    signal = flags.text("signal") or "SIGKILL"

    def kill(name: str) -> str:
        kill_container(find_container(engine, name), signal)
        return name

    return for_each(engine, arguments, kill)
