"""`ocirun logs`: show the output of a container."""

import sys

from ocirun.cli.options import Option, Verb
from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS] CONTAINER",
    minimum=1,
    maximum=1,
    aliases=("container logs", "logs"),
    options=(
        Option("details", "bool", "Put the log's extra attributes before each line"),
        Option("follow", "bool", "Go on until the container ends", short="f"),
        Option("since", "string", "Show what came after this moment (2026-01-02T13:23:37Z) or in this time (42m)"),
        Option("tail", "string", "Show so many of the last lines", short="n", default="all"),
        Option("timestamps", "bool", "Put the time before each line", short="t"),
        Option("until", "string", "Show what came before this moment, or up to so long ago"),
    ),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the container's output: what it wrote to standard error goes to ours."""
    from ocirun.engine.logs import read_logs
    from ocirun.engine.records import find_container

    container = find_container(engine, arguments[0])
    follow, timestamps = flags.boolean("follow"), flags.boolean("timestamps")
    # docker's json-file log has no attributes without --log-opt labels or env: they are an empty word.
    details = b" " if flags.boolean("details") else b""
    lines = read_logs(
        engine,
        container,
        follow=follow,
        tail=_tail(flags.text("tail")),
        since=_moment("since", flags.text("since")),
        until=_moment("until", flags.text("until")),
    )
    streams = {"stdout": _binary(1), "stderr": _binary(2)}
    try:
        for time, name, text in lines:
            stream = streams.get(name)
            if stream is None:
                continue
            stamp = f"{time} ".encode() if timestamps else b""
            stream.write(stamp + details + text)
            if follow or name == "stderr":
                stream.flush()
    finally:
        for stream in streams.values():
            if stream is not None:
                stream.flush()
    return 0


def _binary(descriptor: int) -> "BinaryIO | None":
    stream = sys.stdout if descriptor == 1 else sys.stderr
    return None if stream is None else stream.buffer


def _tail(text: str) -> "int | None":
    if text in ("", "all"):
        return None
    try:
        count = int(text)
    except ValueError:
        raise UsageError(f"invalid value for --tail: '{text}'", "give a number of lines, or all") from None
    return None if count < 0 else count


def _moment(name: str, text: str) -> "int | None":
    if not text:
        return None
    from ocirun.engine.times import parse_moment

    try:
        return parse_moment(text)
    except UsageError:
        raise UsageError(
            f'invalid value for "{name}": failed to parse value as time or duration: "{text}"',
            "such as 2026-01-02T13:23:37Z, 1766800000 or 42m",
        ) from None
