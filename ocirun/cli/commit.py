"""`ocirun commit`: make an image from the changes of a container."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    minimum=1,
    maximum=2,
    aliases=("container commit", "commit"),
    options=(
        Option("author", "string", "Who made the image (Jane Doe <jane@example.org>)", short="a"),
        Option("change", "list", "Apply a Dockerfile instruction, such as 'CMD [\"sh\"]'", short="c"),
        Option("message", "string", "What was done", short="m"),
        Option("pause", "bool", "Stop the container's processes meanwhile", short="p", default=True),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Make the image and print its id."""
    from ocirun.cli.output import write
    from ocirun.engine.commit import commit_container
    from ocirun.engine.records import find_container

    image_id = commit_container(
        engine,
        find_container(engine, arguments[0]),
        arguments[1] if len(arguments) > 1 else "",
        author=flags.text("author"),
        message=flags.text("message"),
        changes=flags.values("change"),
        pause=flags.boolean("pause"),
    )
    write(f"{image_id}\n")
    return 0
