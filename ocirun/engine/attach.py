"""The client side of a monitor: the messages of the attach protocol, without any terminal.

Messages are SOCK_SEQPACKET packets, a type byte and a payload; cext/clients.c is the other side. To the monitor: `I` input,
`E` end of input, `W` window size, `K` signal, `D` detach, `N` only the exit status, `L` no output, `G` tell me when the log
grows, `Z` freeze or thaw. From it: `O` output, `e` error output, `S` started, `F` failed to start, `A` input taken, `G` the
log has grown, `Z` frozen or thawed, `X` exit status, the last.
"""

import _socket
import errno
import os
import struct

from ocirun.errors import NotFoundError, OcirunError, StepError

INPUT_LIMIT = 32768  # bytes of input that may be on the way: more would keep signals waiting behind a full pipe
MESSAGE_LIMIT = 65536
KILLED = 137  # 128 + SIGKILL: a monitor that was killed takes its container along

SOCKET_NAME = "attach"


class Session:
    """A connection to the monitor of a running container or exec session.

    Methods that send wait while the socket is full, and do nothing once the monitor has gone: its end is learnt from `receive`.
    """

    __slots__ = ("exit_status", "pid", "socket", "unacknowledged")

    def __init__(self, socket: "_socket.socket", pid: int = 0) -> None:
        self.socket = socket
        self.pid = pid
        self.exit_status: int | None = None
        self.unacknowledged = 0

    def fileno(self) -> int:
        """The descriptor to poll for messages."""
        return self.socket.fileno()

    def start(self) -> int:
        """Wait until the program runs, and return its pid.

        Raises StepError with `step`, `errno` and `path`, of which the engine, which knows the plan, makes the user's sentence;
        OcirunError when the monitor died.
        """
        message = self.receive()
        if message is None:
            raise OcirunError("the monitor ended before the container had started")
        kind, payload = message
        if kind == b"F":
            step, number = struct.unpack_from("<ii", payload)
            path = os.fsdecode(payload[8:])
            raise StepError(f"step {step}: {path}: {os.strerror(number)}", errno=number, step=step, path=path)
        if kind != b"S":
            raise OcirunError(f"the monitor sent {kind!r} instead of the start")
        (self.pid,) = struct.unpack("<i", payload)
        return self.pid

    def receive(self) -> "tuple[bytes, bytes] | None":
        """The next message as (type, payload), None when the monitor has gone.

        Waits when the socket is blocking, else raises BlockingIOError. `A` and `X` are noted in `unacknowledged` and `exit_status`.
        """
        try:
            message = self.socket.recv(MESSAGE_LIMIT)
        except ConnectionResetError:
            # It ended with a message of ours unread. The kernel says so once, before it gives what had been sent to us.
            message = self.socket.recv(MESSAGE_LIMIT)
        if not message:
            return None
        kind, payload = message[:1], message[1:]
        if kind == b"A":
            self.unacknowledged = max(0, self.unacknowledged - struct.unpack("<I", payload)[0])
        elif kind == b"X":
            (self.exit_status,) = struct.unpack("<i", payload)
        return kind, payload

    def input_room(self) -> int:
        """How many bytes of input may be sent now; 0 while the container has not taken what was sent before."""
        return 0 if self.unacknowledged else INPUT_LIMIT

    def send_input(self, data: bytes) -> None:
        """Send at most `input_room()` bytes to the program's standard input."""
        self.unacknowledged += len(data)
        self._send(b"I" + data)

    def end_input(self) -> None:
        """Close the program's standard input, where the container was started with stdin-once; not possible with a terminal."""
        self._send(b"E")

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the container's terminal."""
        self._send(struct.pack("<cHH", b"W", min(rows, 65535), min(columns, 65535)))

    def signal(self, number: int) -> None:
        """Send signal `number` to the program, from the monitor, which may signal any user of the container."""
        self._send(struct.pack("<cI", b"K", number))

    def detach(self) -> None:
        """Leave; the container runs on."""
        self._send(b"D")

    def follow_log(self) -> None:
        """Ask for `G` messages after each write to the log, and for no output."""
        self._send(b"G")

    def freeze(self, *, wanted: bool) -> int:
        """Let the container's processes stand still, until this is asked with False or the connection ends, however it ends.

        Returns 0 when it is so, also when the container has ended; else the errno of what was in the way.
        """
        self._send(b"Z" + bytes([wanted]))
        while (message := self.receive()) is not None:
            if message[0] == b"Z":
                return int(struct.unpack("<I", message[1])[0])
        return 0

    def wait(self) -> int:
        """Wait for the program's end and return its exit status, 0 to 255; KILLED when the monitor ended without telling it."""
        if self.exit_status is None:
            self._send(b"N")
            while self.receive() is not None and self.exit_status is None:
                pass
        return KILLED if self.exit_status is None else self.exit_status

    def close(self) -> None:
        """Close the connection, which the monitor takes as a hang-up."""
        self.socket.close()

    def _send(self, message: bytes) -> None:
        try:
            self.socket.send(message, _socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            pass


def connect(runroot: str, container_id: str) -> "_socket.socket":
    """Connect to the monitor of container `container_id`. Raises NotFoundError when none listens: the container does not run."""
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        # Through a descriptor of the directory, because the path of a socket has only 108 bytes.
        directory = os.open(os.path.join(runroot, container_id), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            socket.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
        finally:
            os.close(directory)
    except OSError as error:
        socket.close()
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
            raise NotFoundError(f"container {container_id[:12]} is not running") from error
        raise OcirunError(f"connect to the monitor of {container_id[:12]}: {os.strerror(error.errno or 0)}") from error
    return socket


def open_session(runroot: str, container_id: str) -> Session:
    """A session with the running container `container_id`, which gets its output from now on. Raises NotFoundError as `connect`."""
    return Session(connect(runroot, container_id))
