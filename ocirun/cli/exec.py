"""`ocirun exec`: run one more command in a running container."""

from ocirun.cli.detach_option import DETACH_KEYS
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine
    from ocirun.errors import OcirunError


def _environment(text: str) -> str:
    from ocirun.cli.key_values import check_environment

    return check_environment(text)


VERB = Verb(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    minimum=2,
    interspersed=False,
    aliases=("container exec", "exec"),
    statuses=(126, 127),
    options=(
        Option("detach", "bool", "Leave the command running in the background", short="d"),
        DETACH_KEYS,
        Option("env", "list", "Set an environment variable, or pass on one of ours", short="e", check=_environment),
        Option("env-file", "list", "Read environment variables from a file"),
        Option("interactive", "bool", "Keep standard input open", short="i"),
        Option("privileged", "bool", "Give the command all capabilities of the container's user namespace"),
        Option("tty", "bool", "Give the command a terminal", short="t"),
        Option("user", "string", "Run as this user (name|uid[:group|gid])", short="u"),
        Option("workdir", "string", "Directory in which the command starts", short="w"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Run the command; its exit status is ours."""
    from ocirun.cli.key_values import environment
    from ocirun.cli.terminal import check_terminal, run_session, window_size
    from ocirun.engine.exec import exec_container
    from ocirun.engine.options import ExecOptions
    from ocirun.engine.records import find_container
    from ocirun.errors import InvalidError, NotFoundError, StepError

    container = find_container(engine, arguments[0])
    detach, tty = flags.boolean("detach"), flags.boolean("tty")
    interactive = flags.boolean("interactive")
    options = ExecOptions(
        arguments[1:],
        tty=tty,
        interactive=interactive,
        detach=detach,
        environment=environment(flags.values("env-file"), flags.values("env")),
        working_directory=flags.text("workdir"),
        user=flags.text("user"),
        privileged=flags.boolean("privileged"),
    )
    if not detach:
        check_terminal(stdin=interactive, tty=tty)
    rows, columns = window_size() if tty and not detach else (0, 0)
    try:
        session = exec_container(engine, container, options, rows=rows, columns=columns)
    except (InvalidError, NotFoundError, StepError) as error:
        raise _failure(error, detach=detach) from error
    try:
        if detach:
            return 0
        status = run_session(session, stdin=interactive, tty=tty, detach_keys=flags.text("detach-keys"))
    finally:
        session.close()
    return 0 if status is None else status


def _failure(error: "OcirunError", *, detach: bool) -> "OcirunError":
    """The error of a command that did not start, with docker's exit status."""
    from ocirun.errors import CommandNotExecutableError, StepError

    if not isinstance(error, StepError):
        # A wrong directory or user: docker's runtime says that the command cannot be executed.
        error = CommandNotExecutableError(error.what, error.hint)
    # Nobody waits for the status of a detached command, so docker's client fails with its own, like any of its commands.
    error.exit_code = 1 if detach else max(error.exit_code, CommandNotExecutableError.exit_code)
    return error
