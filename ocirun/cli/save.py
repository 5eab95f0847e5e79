"""`ocirun save`: write images to an archive."""

import os
import sys

from ocirun.cli.options import Option, Verb
from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] IMAGE [IMAGE...]",
    minimum=1,
    aliases=("image save", "save"),
    options=(
        Option(
            "format",
            "string",
            "oci-archive (an OCI layout in a tar, which docker reads too), oci-dir (a directory) or docker-archive",
            default="oci-archive",
        ),
        Option("output", "string", "Write to a file, or to a directory, instead of standard output", short="o"),
        Option("platform", "string", "The platform that the images must be for, such as linux/amd64"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Write the archive; nothing is printed."""
    from ocirun.engine.save_image import save_images
    from ocirun.oci.platform import Platform

    platform = Platform.parse(flags.text("platform")) if flags.text("platform") else None
    output: str | int = flags.text("output")
    if not output:
        if sys.stdout is None or os.isatty(sys.stdout.fileno()):
            raise UsageError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        output = sys.stdout.fileno()
    save_images(engine, arguments, output, flags.text("format"), platform)
    return 0
