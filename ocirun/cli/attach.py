"""`ocirun attach`: connect this terminal to a running container."""

from ocirun.cli.detach_option import DETACH_KEYS
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] CONTAINER",
    minimum=1,
    maximum=1,
    aliases=("container attach", "attach"),
    options=(
        DETACH_KEYS,
        Option("no-stdin", "bool", "Do not connect standard input"),
        Option("sig-proxy", "bool", "Pass signals on to the container", default=True),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Relay until the container ends or the user detaches; its exit status is ours."""
    from ocirun.cli.terminal import check_terminal, run_session
    from ocirun.engine.attach import open_session
    from ocirun.engine.records import find_container, status
    from ocirun.errors import ConflictError

    container = find_container(engine, arguments[0])
    if not status(container).running:
        raise ConflictError("cannot attach to a stopped container, start it first", f"ocirun start -a {arguments[0]}")
    tty = bool(container.record.get("tty"))
    stdin = bool(container.record.get("open_stdin")) and not flags.boolean("no-stdin")
    check_terminal(stdin=not flags.boolean("no-stdin"), tty=tty)
    session = open_session(engine.settings.runroot, container.id)
    try:
        code = run_session(
            session,
            stdin=stdin,
            tty=tty,
            detach_keys=flags.text("detach-keys"),
            signal_proxy=flags.boolean("sig-proxy"),
            redraw=True,
        )
    finally:
        session.close()
    return 0 if code is None else code
