"""`ocirun load`: read images from an archive."""

import os
import sys

from ocirun.cli.options import Option, Verb
from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    aliases=("image load", "load"),
    options=(
        Option("input", "string", "Read from a file or an OCI layout directory instead of standard input", short="i"),
        Option("platform", "string", "Of an image for several platforms load this one, such as linux/arm64"),
        Option("quiet", "bool", "Print only the names of the images", short="q"),
    ),
    aside="$OCIRUN_LAYER_LIMITS sets how far a layer may blow up: bytes=1t,ratio=500,entries=16777216 unless told otherwise.",
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Load the images and print their names, or their ids if they have none."""
    from ocirun.cli.output import write
    from ocirun.engine.load_image import load_images
    from ocirun.oci.platform import Platform

    del arguments
    source = flags.text("input") or standard_input("requested load from stdin, but stdin is empty")
    platform = Platform.parse(flags.text("platform")) if flags.text("platform") else None
    for image in load_images(engine, source, platform):
        if image.reference is None:
            write(f"Loaded image ID: {image.id}\n")
            continue
        name = image.reference.familiar
        if image.replaced_id:
            write(
                f"The image {name} already exists, renaming the old one with ID {image.replaced_id} to empty string\n"
            )
        write(f"Loaded image: {name}\n")
    return 0


def standard_input(complaint: str) -> "BinaryIO":
    """Standard input. Raises UsageError with `complaint` when it is a terminal or closed: nobody types an archive."""
    if sys.stdin is None or os.isatty(sys.stdin.fileno()):
        raise UsageError(complaint, "name a file with -i, or redirect one to standard input")
    return sys.stdin.buffer
