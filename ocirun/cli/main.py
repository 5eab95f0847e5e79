"""The command line's entry: global options, the one verb that is named, and what becomes of errors.

Only the module of the named verb is imported; everything here is on the way of every start.
"""

import os
import sys

from ocirun.cli.commands import find
from ocirun.cli.options import NOT_YET, HelpRequest, Option, Verb, absolute_path, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine

_NO_DAEMON = "not supported: there is no daemon to connect to"

GLOBAL = Verb(
    "[OPTIONS] COMMAND [ARG...]",
    interspersed=False,
    options=(
        Option("root", "string", "Directory of images, containers and volumes (also: $OCIRUN_ROOT)"),
        Option("runroot", "string", "Directory of what a reboot may lose (also: $OCIRUN_RUNROOT)"),
        Option("debug", "bool", "Show the Python traceback of an error", short="D"),
        Option("version", "bool", "Print the version and leave", short="v"),
        Option("host", "list", "Socket of the daemon", short="H", refused=_NO_DAEMON),
        Option("context", "string", "Name of the daemon to connect to", short="c", refused=_NO_DAEMON),
        Option("config", "string", "Directory of docker's client configuration", refused=NOT_YET),
        Option("log-level", "string", "Verbosity of the log", short="l", refused=NOT_YET, accepted=("info",)),
        Option("tls", "bool", "Use TLS to the daemon", refused=_NO_DAEMON),
        Option("tlscacert", "string", "Authority that signs the daemon's certificate", refused=_NO_DAEMON),
        Option("tlscert", "string", "Certificate to show to the daemon", refused=_NO_DAEMON),
        Option("tlskey", "string", "Key of that certificate", refused=_NO_DAEMON),
        Option("tlsverify", "bool", "Use TLS and verify the daemon", refused=_NO_DAEMON),
    ),
)


class _Way:
    """How far a command has come: what the report of an error needs to know."""

    __slots__ = ("debug", "path", "statuses")

    def __init__(self) -> None:
        self.debug = False
        self.path = "ocirun"
        # Until the verb runs, errors are about words and keep the codes that docker gives them.
        self.statuses: tuple[int, ...] | None = None


def main(words: "list[str] | None" = None) -> int:
    """Run one command line (by default the process's own) and return its exit status; errors are printed, not raised."""
    way = _Way()
    try:
        _open_standard_streams()
        _leave_us_our_files()
        status = _command(sys.argv[1:] if words is None else words, way)
        _flush_output()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last line of defence: no user sees a traceback unasked
        from ocirun.cli.failures import report

        return report(error, way.debug, way.path, way.statuses)
    return status


def _command(words: "list[str]", way: _Way) -> int:
    try:
        flags, rest = parse(GLOBAL, words, "ocirun")
    except HelpRequest:
        return _help([])
    way.debug = flags.boolean("debug")
    if flags.boolean("version"):
        return _version()
    if not rest:
        return _help([])
    if rest[0] == "help":
        return _help(rest[1:])
    path, module_name, rest = find(rest)
    way.path = path
    if not module_name:
        return _help(path.split()[1:])
    module = __import__(f"ocirun.cli.{module_name}", fromlist=("VERB",))
    try:
        verb_flags, arguments = parse(module.VERB, rest, path)
    except HelpRequest:
        return _help(path.split()[1:])
    engine = _engine(flags.text("root"), flags.text("runroot"), debug=way.debug)
    way.statuses = module.VERB.statuses
    status = module.execute(engine, verb_flags, arguments)
    return int(status)


def _open_standard_streams() -> None:
    """Put /dev/null in place of standard streams that are closed, so that no socket of ours becomes one."""
    try:
        for descriptor in (0, 1, 2):
            os.fstat(descriptor)
    except OSError:
        from ocirun.cli.terminal import open_standard_streams

        open_standard_streams()


def _leave_us_our_files() -> None:
    """Take those bits out of the umask that would keep us from what we make ourselves (umask 777); the others are the user's."""
    mask = os.umask(0o077)
    os.umask(mask & 0o077)


def _flush_output() -> None:
    """Hand what was printed to the kernel. Raises BrokenPipeError, StorageError."""
    # Who has not loaded the module has printed nothing.
    output = sys.modules.get("ocirun.cli.output")
    if output is not None:
        output.flush()


def _engine(root: str, runroot: str, *, debug: bool) -> "Engine":
    from ocirun.engine.context import Engine
    from ocirun.engine.settings import Settings, default_settings

    # The user's environment is read here and nowhere below.
    settings = default_settings(os.environ, os.getuid())
    return Engine(
        Settings(
            absolute_path(root or settings.root),
            absolute_path(runroot or settings.runroot),
            search_path=settings.search_path,
            home=settings.home,
            layer_limits=settings.layer_limits,
            debug=debug,
        )
    )


def _help(names: "list[str]") -> int:
    from ocirun.cli.help import help_text
    from ocirun.cli.output import write

    write(help_text(names, GLOBAL))
    return 0


def _version() -> int:
    from ocirun import __version__
    from ocirun.cli.output import write

    write(f"ocirun version {__version__}\n")
    return 0
