"""`ocirun run`: make a container from an image and run it."""

from ocirun.cli.container_flags import CONTAINER_OPTIONS
from ocirun.cli.detach_option import DETACH_KEYS
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine
    from ocirun.engine.options import ContainerOptions
    from ocirun.engine.records import Container

VERB = Verb(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    minimum=1,
    interspersed=False,
    aliases=("container run", "run"),
    statuses=(125, 126, 127),
    options=(
        *CONTAINER_OPTIONS,
        Option("detach", "bool", "Run in the background and print the container's id", short="d"),
        DETACH_KEYS,
        Option("dry-run", "bool", "Print the plan that would be executed, and do nothing"),
        Option("sig-proxy", "bool", "Pass signals on to the container", default=True),
    ),
    aside="The image 'host' is this machine's own file system, seen through an overlay: nothing on the machine changes.",
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Run the container; in the foreground its exit status is ours."""
    from ocirun.cli.container_options import attached_streams, container_options

    detach = flags.boolean("detach")
    options = container_options(flags, arguments, detach=detach)
    if detach and options.attach:
        from ocirun.cli.options import WordsError

        raise WordsError("conflicting options: cannot specify both --attach and --detach")
    if flags.boolean("dry-run"):
        return _dry_run(engine, options)
    if detach:
        return _run_detached(engine, options, flags.text("cidfile"))
    from ocirun.cli.terminal import check_terminal

    streams = attached_streams(options)
    check_terminal(stdin="stdin" in streams, tty=options.tty)
    from ocirun.cli.creation import make_container

    container = make_container(engine, options, flags.text("cidfile"))
    return _run_attached(engine, container, flags, options, streams)


def _run_attached(
    engine: "Engine", container: "Container", flags: "Flags", options: "ContainerOptions", streams: "tuple[str, ...]"
) -> int:
    from ocirun.cli.terminal import run_session, window_size
    from ocirun.engine.start import start_container

    rows, columns = window_size() if options.tty else (0, 0)
    session = start_container(engine, container, attach=True, rows=rows, columns=columns)
    try:
        status = run_session(
            session,
            stdin="stdin" in streams and options.interactive,
            tty=options.tty,
            detach_keys=flags.text("detach-keys"),
            signal_proxy=flags.boolean("sig-proxy"),
            outputs=streams,
        )
    finally:
        session.close()
    # Detached by its keys, the container runs on and all is well.
    return 0 if status is None else status


def _run_detached(engine: "Engine", options: "ContainerOptions", id_file: str) -> int:
    from ocirun.cli.creation import make_container
    from ocirun.cli.output import write
    from ocirun.engine.start import start_container

    container = make_container(engine, options, id_file)
    # docker prints the id also when the start then fails; scripts remove the container by it.
    try:
        start_container(engine, container).close()
    finally:
        write(f"{container.id}\n")
    return 0


def _dry_run(engine: "Engine", options: "ContainerOptions") -> int:
    from ocirun.cli.output import write
    from ocirun.engine.start import dry_run

    write(dry_run(engine, options))
    return 0
