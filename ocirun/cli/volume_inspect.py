"""`ocirun volume inspect`: show all that is known of volumes."""

from ocirun.cli.inspect import FORMAT
from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb("[OPTIONS] VOLUME [VOLUME...]", minimum=1, statuses=(64,), options=(FORMAT,))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the documents of the named volumes."""
    from ocirun.cli.inspect import inspect

    return inspect(engine, ("volume",), arguments, flags.text("format"))
