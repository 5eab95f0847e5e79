"""`ocirun create`: make a container without starting it."""

from ocirun.cli.container_flags import CONTAINER_OPTIONS
from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    minimum=1,
    interspersed=False,
    aliases=("container create", "create"),
    options=CONTAINER_OPTIONS,
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Make the container and print its id."""
    from ocirun.cli.container_options import container_options
    from ocirun.cli.creation import make_container
    from ocirun.cli.options import OptionError
    from ocirun.cli.output import write
    from ocirun.errors import UsageError

    try:
        options = container_options(flags, arguments)
    except UsageError as error:
        raise OptionError(error.what, error.hint) from error
    container = make_container(engine, options, flags.text("cidfile"))
    write(f"{container.id}\n")
    return 0
