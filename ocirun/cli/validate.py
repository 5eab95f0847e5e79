"""`ocirun validate`: check an image, or a file, against the OCI specifications."""

from ocirun.cli.options import Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "FILE|DIRECTORY|IMAGE [FILE|DIRECTORY|IMAGE...]",
    minimum=1,
    aside=(
        "A file may be an archive of images or one JSON document: a manifest, an index, an image's config, a container's\n"
        "config.json, a state or features document. Digests, sizes and diff ids of images are computed anew."
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print what is wrong, or that nothing is; 1 is the status when something is."""
    from ocirun.cli.output import one_line, write
    from ocirun.engine.validate import validate

    del flags
    status = 0
    for target in arguments:
        for report in validate(engine, target):
            for problem in report.problems:
                write(one_line(f"{report.what}: {problem}") + "\n")
                status = 1
            if not report.problems:
                write(one_line(f"{report.what}: valid") + "\n")
    return status
