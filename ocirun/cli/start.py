"""`ocirun start`: start containers that do not run."""

from ocirun.cli.detach_option import DETACH_KEYS
from ocirun.cli.options import NOT_YET, Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.attach import Session
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container

VERB = Verb(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    minimum=1,
    aliases=("container start", "start"),
    options=(
        Option("attach", "bool", "Connect standard output and error, and pass signals on", short="a"),
        Option("checkpoint", "string", "", refused=NOT_YET),
        Option("checkpoint-dir", "string", "", refused=NOT_YET),
        DETACH_KEYS,
        Option("interactive", "bool", "Connect standard input", short="i"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Start the containers; with --attach or --interactive a single one, whose exit status is ours."""
    interactive = flags.boolean("interactive")
    if flags.boolean("attach") or interactive:
        if len(arguments) > 1:
            from ocirun.cli.options import WordsError

            raise WordsError("you cannot start and attach multiple containers at once")
        return _start_attached(engine, arguments[0], flags, interactive=interactive)
    from ocirun.cli.each import for_each

    return for_each(engine, arguments, lambda name: _start(engine, name))


def _start(engine: "Engine", name: str) -> str:
    from ocirun.engine.records import find_container
    from ocirun.engine.start import AlreadyRunningError, start_container

    container = find_container(engine, name)
    try:
        start_container(engine, container).close()
    except AlreadyRunningError:
        pass
    return name


def _start_attached(engine: "Engine", name: str, flags: "Flags", *, interactive: bool) -> int:
    from ocirun.cli.terminal import check_terminal, run_session
    from ocirun.engine.records import find_container

    container = find_container(engine, name)
    tty = bool(container.record.get("tty"))
    stdin = interactive and bool(container.record.get("open_stdin"))
    check_terminal(stdin=interactive, tty=tty)
    session = _session(engine, container, tty=tty)
    try:
        status = run_session(session, stdin=stdin, tty=tty, detach_keys=flags.text("detach-keys"))
    finally:
        session.close()
    return 0 if status is None else status


def _session(engine: "Engine", container: "Container", *, tty: bool) -> "Session":
    """A session with the container, which is started unless it runs."""
    from ocirun.cli.terminal import window_size
    from ocirun.engine.attach import open_session
    from ocirun.engine.start import AlreadyRunningError, start_container

    rows, columns = window_size() if tty else (0, 0)
    try:
        return start_container(engine, container, attach=True, rows=rows, columns=columns)
    except AlreadyRunningError:
        return open_session(engine.settings.runroot, container.id)
