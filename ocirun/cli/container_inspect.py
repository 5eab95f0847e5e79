"""`ocirun container inspect`: show all that is known of containers."""

from ocirun.cli.inspect import FORMAT, SIZE
from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb("[OPTIONS] CONTAINER [CONTAINER...]", minimum=1, statuses=(64,), options=(FORMAT, SIZE))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the documents of the named containers."""
    from ocirun.cli.inspect import inspect

    return inspect(engine, ("container",), arguments, flags.text("format"), size=flags.boolean("size"))
