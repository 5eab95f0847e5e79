"""`ocirun tag`: give an image one more name."""

from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", minimum=2, maximum=2, aliases=("image tag", "tag"))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Set the name; nothing is printed."""
    from ocirun.engine.tag import tag_image

    del flags
    tag_image(engine, *arguments)
    return 0
