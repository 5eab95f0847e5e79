"""`ocirun import`: make an image from a tar of a file system."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] file|- [REPOSITORY[:TAG]]",
    minimum=1,
    maximum=2,
    aliases=("image import", "import"),
    options=(
        Option("change", "list", "Apply a Dockerfile instruction, such as 'CMD [\"sh\"]'", short="c"),
        Option("message", "string", "What the image's history says", short="m"),
        Option("platform", "string", "The platform that the files are for, such as linux/arm64"),
    ),
    aside="$OCIRUN_LAYER_LIMITS sets how far a layer may blow up: bytes=1t,ratio=500,entries=16777216 unless told otherwise.",
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Make the image and print its id."""
    from ocirun.cli.load import standard_input
    from ocirun.cli.output import write
    from ocirun.engine.import_image import import_image
    from ocirun.oci.platform import Platform

    source = arguments[0]
    image_id = import_image(
        engine,
        standard_input("requested import from stdin, but stdin is empty") if source == "-" else source,
        arguments[1] if len(arguments) > 1 else "",
        flags.values("change"),
        flags.text("message"),
        Platform.parse(flags.text("platform")) if flags.text("platform") else None,
    )
    write(f"{image_id}\n")
    return 0
