"""`logs`: what a container wrote, from docker's json-file form, rotated files included; following waits for the monitor's word.

A line is {"log": text, "stream": "stdout"|"stderr", "time": RFC 3339}. Following does not poll: the monitor sends 'G' when the
log has grown and 'X' when the container has ended (the protocol of the attach socket).
"""

import json
import os

from ocirun.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocirun.engine.attach import Session
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container

    Line = tuple[str, str, bytes]

_BLOCK = 1 << 16


def read_logs(
    engine: "Engine",
    container: "Container",
    *,
    follow: bool = False,
    tail: "int | None" = None,
    since: "int | None" = None,
    until: "int | None" = None,
) -> "Iterator[Line]":
    """Yield (time, stream, bytes) of each piece of output, oldest first.

    `tail` is the number of last lines wanted (None: all), `since` and `until` nanoseconds since 1970. With `follow` it goes on
    until the container ends.
    """
    watcher = _watch(engine, container) if follow else None
    reader = _Reader(f"{container.directory}/container.log")
    try:
        yield from _bounded(_lines(reader, watcher, tail), since, until)
    finally:
        reader.close()
        if watcher is not None:
            watcher.close()


def _lines(reader: "_Reader", watcher: "Session | None", tail: "int | None") -> "Iterator[Line]":
    yield from reader.existing(tail)
    more = watcher is not None
    while watcher is not None and more:
        more = _wait(watcher)
        yield from reader.new()


def _bounded(lines: "Iterator[Line]", since: "int | None", until: "int | None") -> "Iterator[Line]":
    """Those of `lines` from `since` on; ends at the first one after `until`."""
    from ocirun.engine.times import parse_moment

    for line in lines:
        if until is not None and parse_moment(line[0]) > until:
            return
        if since is None or parse_moment(line[0]) >= since:
            yield line


def _watch(engine: "Engine", container: "Container") -> "Session | None":
    """A connection to the monitor that asks for news of the log; None when the container does not run."""
    from ocirun.engine.attach import Session, connect

    try:
        session = Session(connect(engine.settings.runroot, container.id))
    except NotFoundError:
        return None
    session.follow_log()
    return session


def _wait(watcher: "Session") -> bool:
    """Block until the log has grown; False when the container has ended (or its monitor was killed)."""
    message = watcher.receive()
    return message is not None and message[0] != b"X"


class _Reader:
    """Reads complete lines, and follows a rotation (container.log -> container.log.1) to the new file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self._rest = b""

    def close(self) -> None:
        """Close the file that is being read; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def existing(self, tail: "int | None") -> "Iterator[Line]":
        """The lines that are there now: all, or the last `tail`; then stands at the end of the newest file."""
        descriptors = self._open_all()
        wanted = tail
        for descriptor in descriptors:
            if wanted is not None:
                start, count = _tail_offset(descriptor, wanted)
                os.lseek(descriptor, start, os.SEEK_SET)
                wanted -= count
        for descriptor in reversed(descriptors):
            self.close()
            self._descriptor = descriptor
            yield from self._complete_lines()

    def new(self) -> "Iterator[Line]":
        """The complete lines written since the last look."""
        if self._descriptor < 0:
            self._descriptor = _open(self._path)
        while self._descriptor >= 0:
            yield from self._complete_lines()
            following = self._successor()
            if following < 0:
                return
            self.close()
            self._descriptor = following

    def _complete_lines(self) -> "Iterator[Line]":
        while block := os.read(self._descriptor, _BLOCK):
            lines = (self._rest + block).split(b"\n")
            self._rest = lines.pop()
            for raw in lines:
                yield from _decode(raw)

    def _open_all(self) -> "list[int]":
        """Descriptors of all files, newest first; a file that is renamed meanwhile is met twice and taken once."""
        found = []
        seen = set()
        index = 0
        while (descriptor := _open(self._path if index == 0 else f"{self._path}.{index}")) >= 0:
            index += 1
            inode = os.fstat(descriptor).st_ino
            if inode in seen:
                os.close(descriptor)
                continue
            seen.add(inode)
            found.append(descriptor)
        return found

    def _successor(self) -> int:
        """A descriptor of the file that came after the one we read, or -1 when ours is still the newest."""
        ours = os.fstat(self._descriptor).st_ino
        newer = -1
        index = 0
        while True:
            descriptor = _open(self._path if index == 0 else f"{self._path}.{index}")
            if descriptor < 0 or os.fstat(descriptor).st_ino == ours:
                if descriptor >= 0:
                    os.close(descriptor)
                return newer
            if newer >= 0:
                os.close(newer)
            newer = descriptor
            index += 1


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return -1


def _tail_offset(descriptor: int, wanted: int) -> "tuple[int, int]":
    """Where the last `wanted` complete lines begin, and how many there are (fewer when the file is short)."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    if wanted <= 0:
        return end, 0
    position = end
    count = 0
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        block = os.pread(descriptor, size, position)
        # The newline that ends a line counts for it; the line that is cut off at the end of the file does not.
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            count += 1
            if count > wanted:
                return position + at + 1, wanted
    return 0, count


def _decode(raw: bytes) -> "Iterator[Line]":
    if not raw.strip():
        return
    try:
        line = json.loads(raw)
        yield line["time"], line["stream"], line["log"].encode("utf-8", "surrogatepass")
    except (ValueError, KeyError, TypeError, AttributeError):
        # A line that a power cut damaged: the rest of the log is worth more than an error.
        return
