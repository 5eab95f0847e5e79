"""The relay between a process's streams and a session: a child process, with a socket pair in the place of its monitor."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator

import pytest

from ocirun.cli import terminal

PROGRAM = """
import sys, _socket
from ocirun.engine.attach import Session
from ocirun.cli import terminal
terminal.open_standard_streams()
session = Session(_socket.socket(fileno=int(sys.argv[1])))
status = terminal.run_session(session, **eval(sys.argv[2]))
sys.exit(100 if status is None else status)
"""
DETACHED = 100
SECONDS = 20


class Client:
    """A process that relays, and the monitor's end of its session."""

    def __init__(self) -> None:
        self.monitor, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.monitor.settimeout(SECONDS)
        self.master = -1
        self.process: subprocess.Popen[bytes] | None = None

    def _command(self, options: dict[str, object]) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(self._theirs.fileno()), repr(options)]

    def on_pipes(self, stdin: int = subprocess.PIPE, stdout: int = subprocess.PIPE, **options: object) -> "Client":
        """Start it on pipes."""
        self.process = subprocess.Popen(
            self._command({"stdin": True, "tty": False, **options}),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=[self._theirs.fileno()],
        )
        self._theirs.close()
        return self

    def on_terminal(self, rows: int = 24, columns: int = 80, **options: object) -> "Client":
        """Start it on a terminal of its own."""
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *self._command({"stdin": True, "tty": True, **options})],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=[self._theirs.fileno()],
        )
        os.close(slave)
        self._theirs.close()
        return self

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send a message of the monitor's."""
        self.monitor.send(kind + payload)

    def exit(self, status: int) -> None:
        """Say that the program has ended."""
        self.send(b"X", struct.pack("<i", status))

    def receive(self) -> bytes:
        """The next message of the client's; input is acknowledged."""
        message = self.monitor.recv(65536)
        if message[:1] == b"I":
            self.send(b"A", struct.pack("<I", len(message) - 1))
        return message

    def wait(self) -> int:
        """Its exit status."""
        assert self.process
        return self.process.wait(SECONDS)

    def modes(self) -> int:
        """Local modes of its terminal."""
        return int(termios.tcgetattr(self.master)[3])

    def screen(self, wanted: bytes) -> bytes:
        """What it has shown, up to `wanted`."""
        seen = b""
        while wanted not in seen:
            assert select.select([self.master], [], [], SECONDS)[0], seen
            seen += os.read(self.master, 65536)
        return seen

    def close(self) -> None:
        """End it all."""
        self.monitor.close()
        if self.process:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream:
                    stream.close()
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that is ended with the test."""
    made = Client()
    yield made
    made.close()


def stdin_of(client: Client) -> "Callable[[bytes], object]":
    """Write to its standard input."""
    assert client.process
    assert client.process.stdin
    stream = client.process.stdin
    return lambda data: (stream.write(data), stream.flush())


def test_input_to_its_end_and_output(client: Client) -> None:
    client.on_pipes()
    write = stdin_of(client)
    write(b"first")
    assert client.receive() == b"Ifirst"
    assert client.process
    assert client.process.stdin
    client.process.stdin.close()
    assert client.receive() == b"E"
    client.send(b"O", b"output")
    client.send(b"e", b"errors")
    client.exit(7)
    assert client.wait() == 7
    assert client.process.stdout
    assert client.process.stderr
    assert client.process.stdout.read() == b"output"
    assert client.process.stderr.read() == b"errors"


def test_closed_standard_streams(client: Client) -> None:
    shell = ["sh", "-c", 'exec "$@" <&- >&-', "sh"]
    command = client._command({"stdin": True, "tty": False})
    client.process = subprocess.Popen([*shell, *command], pass_fds=[client._theirs.fileno()])
    client._theirs.close()
    assert client.receive() == b"E"
    client.send(b"O", b"to nobody")
    client.exit(3)
    assert client.wait() == 3


def test_input_is_not_read_before_the_last_was_taken(client: Client) -> None:
    client.on_pipes()
    write = stdin_of(client)
    write(b"x" * 40000)
    assert client.monitor.recv(65536) == b"I" + b"x" * 32768
    assert not select.select([client.monitor], [], [], 0.2)[0]
    client.send(b"A", struct.pack("<I", 32768))
    assert client.receive() == b"I" + b"x" * 7232
    client.exit(0)
    assert client.wait() == 0


def test_signals_are_passed_on(client: Client) -> None:
    client.on_pipes()
    assert client.process
    stdin_of(client)(b"ready")
    assert client.receive() == b"Iready"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
        client.process.send_signal(number)
        assert client.receive() == b"K" + struct.pack("<I", number)
    client.exit(130)
    assert client.wait() == 130


def test_the_third_request_to_end_ends_the_client(client: Client) -> None:
    client.on_pipes()
    assert client.process
    assert client.process.stdout
    assert client.process.stderr
    client.send(b"O", b"ready\n")
    assert client.process.stdout.readline() == b"ready\n"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        client.process.send_signal(number)
        assert client.receive() == b"K" + struct.pack("<I", number)
    assert client.wait() == 1
    assert b"got 3 SIGTERM/SIGINTs, forcefully exiting" in client.process.stderr.read()


def test_signals_are_passed_on_while_the_output_is_blocked(client: Client) -> None:
    client.on_pipes(stdin=subprocess.DEVNULL)
    assert client.process
    assert client.receive() == b"E"
    client.monitor.setblocking(False)
    while select.select([], [client.monitor], [], 0.3)[1]:
        client.send(b"O", b"x" * 30000)
    client.monitor.settimeout(SECONDS)
    client.process.send_signal(signal.SIGTERM)
    assert client.receive() == b"K" + struct.pack("<I", signal.SIGTERM)


def test_without_signal_proxy_a_signal_ends_the_client(client: Client) -> None:
    client.on_pipes(signal_proxy=False)
    assert client.process
    stdin_of(client)(b"ready")
    assert client.receive() == b"Iready"
    client.process.send_signal(signal.SIGINT)
    assert client.wait() == -signal.SIGINT


def test_ignored_signals_stay_ignored(client: Client) -> None:
    command = client._command({"stdin": True, "tty": False})
    client.process = subprocess.Popen(
        ["nohup", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[client._theirs.fileno()],
    )
    client._theirs.close()
    stdin_of(client)(b"ready")
    assert client.receive() == b"Iready"
    client.process.send_signal(signal.SIGHUP)
    client.process.send_signal(signal.SIGTERM)
    assert client.receive() == b"K" + struct.pack("<I", signal.SIGTERM)


def test_broken_output_ends_quietly(client: Client) -> None:
    client.on_pipes(stdin=subprocess.DEVNULL)
    assert client.process
    assert client.process.stdout
    assert client.process.stderr
    client.process.stdout.close()
    client.process.stdout = None
    client.send(b"O", b"to nobody")
    assert client.wait() == -signal.SIGPIPE
    assert client.process.stderr.read() == b""


def test_full_disk_is_an_error_of_one_line(client: Client) -> None:
    with open("/dev/full", "wb") as full:
        client.on_pipes(stdin=subprocess.DEVNULL, stdout=full.fileno())
        client.send(b"O", b"too much")
        assert client.wait() == 1
    assert client.process
    assert client.process.stderr
    assert b"StorageError: write standard output: No space left on device" in client.process.stderr.read()


def test_all_output_comes_through_a_slow_pipe(client: Client) -> None:
    client.on_pipes(stdin=subprocess.DEVNULL)
    assert client.process
    assert client.process.stdout
    pieces = [bytes([65 + number]) * 30000 for number in range(20)]
    read = b""
    for piece in pieces:
        while not select.select([], [client.monitor], [], 0.05)[1]:
            read += os.read(client.process.stdout.fileno(), 10000)
        client.send(b"O", piece)
    while not select.select([], [client.monitor], [], 0.05)[1]:
        read += os.read(client.process.stdout.fileno(), 10000)
    client.exit(0)
    read += client.process.stdout.read()
    assert read == b"".join(pieces)
    assert client.wait() == 0


def test_standard_output_is_not_made_nonblocking_for_others(client: Client) -> None:
    reader, writer = os.pipe()
    client.on_pipes(stdin=subprocess.DEVNULL, stdout=writer)
    client.send(b"O", b"here")
    assert os.read(reader, 10) == b"here"
    assert os.get_blocking(writer)
    client.exit(0)
    assert client.wait() == 0
    os.close(reader)
    os.close(writer)


def test_only_wanted_streams(client: Client) -> None:
    client.on_pipes(stdin=subprocess.DEVNULL, outputs=("stderr",))
    client.send(b"O", b"output")
    client.send(b"e", b"errors")
    client.exit(0)
    assert client.process
    assert client.process.communicate() == (b"", b"errors")


def test_monitor_that_was_killed(client: Client) -> None:
    client.on_pipes(stdin=subprocess.DEVNULL)
    client.monitor.close()
    assert client.wait() == 137


def test_terminal_is_raw_and_then_as_before(client: Client) -> None:
    client.on_terminal(rows=33, columns=101)
    assert client.receive() == b"W" + struct.pack("<HH", 33, 101)
    assert not client.modes() & (termios.ECHO | termios.ICANON | termios.ISIG)
    os.write(client.master, b"\x03\x04\r")
    assert client.receive() == b"I\x03\x04\r"
    client.send(b"O", b"shown\r\n")
    assert client.screen(b"\n") == b"shown\r\n"
    client.exit(5)
    assert client.wait() == 5
    assert client.modes() & termios.ICANON
    assert client.modes() & termios.ECHO


def test_redraw_changes_the_size_to_and_fro(client: Client) -> None:
    client.on_terminal(redraw=True)
    assert client.receive() == b"W" + struct.pack("<HH", 25, 81)
    assert client.receive() == b"W" + struct.pack("<HH", 24, 80)
    client.exit(0)
    assert client.wait() == 0


def test_window_changes(client: Client) -> None:
    client.on_terminal()
    assert client.receive() == b"W" + struct.pack("<HH", 24, 80)
    fcntl.ioctl(client.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
    assert client.receive() == b"W" + struct.pack("<HH", 50, 132)
    client.exit(0)
    assert client.wait() == 0


def test_detach_keys(client: Client) -> None:
    client.on_terminal(detach_keys="ctrl-x,d")
    client.receive()
    os.write(client.master, b"ls\r")
    assert client.receive() == b"Ils\r"
    os.write(client.master, b"\x18")
    os.write(client.master, b"d")
    assert client.receive() == b"D"
    assert client.wait() == DETACHED
    assert client.modes() & termios.ICANON


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_terminal_is_restored_when_a_signal_ends_the_client(client: Client, number: int) -> None:
    client.on_terminal()
    client.receive()
    assert client.process
    assert not client.modes() & termios.ICANON
    client.process.send_signal(number)
    assert client.wait() == -number
    assert client.modes() & termios.ICANON


def test_terminal_is_restored_when_the_monitor_dies(client: Client) -> None:
    client.on_terminal()
    client.receive()
    client.monitor.close()
    assert client.wait() == 137
    assert client.modes() & termios.ICANON


def test_stop_and_continue(client: Client) -> None:
    client.on_terminal()
    client.receive()
    assert client.process
    client.process.send_signal(signal.SIGTSTP)
    assert os.WIFSTOPPED(os.waitpid(client.process.pid, os.WUNTRACED)[1])
    assert client.modes() & termios.ICANON
    client.process.send_signal(signal.SIGCONT)
    assert client.receive()[:1] == b"W"
    assert not client.modes() & termios.ICANON
    client.exit(0)
    assert client.wait() == 0


def test_t_without_i_leaves_the_terminal_as_it_is(client: Client) -> None:
    client.on_terminal(stdin=False)
    assert client.receive()[:1] == b"W"
    assert client.modes() & termios.ICANON
    client.exit(0)
    assert client.wait() == 0


def test_input_that_is_no_terminal() -> None:
    terminal.check_terminal(stdin=False, tty=True)
    terminal.check_terminal(stdin=True, tty=False)
    program = "from ocirun.cli import terminal; terminal.check_terminal(stdin=True, tty=True)"
    result = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    assert b"Error: the input device is not a TTY" in result.stderr
