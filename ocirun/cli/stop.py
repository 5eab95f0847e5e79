"""`ocirun stop`: stop running containers."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    minimum=1,
    aliases=("container stop", "stop"),
    options=(
        Option("signal", "string", "Signal that asks the container to stop", short="s"),
        Option("timeout", "int", "Seconds to wait before the container is killed", short="t", also=("time",)),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Stop the containers side by side, and print the name of each."""
    from ocirun.cli.each import for_each_at_once
    from ocirun.engine.records import find_container
    from ocirun.engine.stop import stop_container

    timeout = flags.number("timeout") if flags.given("timeout") else None

    def stop(name: str) -> str:
        stop_container(find_container(engine, name), timeout, flags.text("signal"))
        return name

    return for_each_at_once(engine, arguments, stop)
