"""Relays between this process's streams and a session: raw mode, window size, detach keys, signals, exit status."""

import errno
import fcntl
import os
import select
import stat
import struct
import termios

from ocirun.cli.options import WordsError
from ocirun.engine.attach import KILLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType

    from ocirun.engine.attach import Session
else:
    import _signal as signal  # the module without its enums, which cost 3 ms to make

_READ_SIZE = 32768

# These keep what they do: the kernel's own faults and stops, the end of children, broken pipes, urgent data.
_NOT_PROXIED = frozenset(
    (
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGURG,
        signal.SIGTTIN,
        signal.SIGTTOU,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGABRT,
        signal.SIGSYS,
    )
)
_PROXIED = tuple(number for number in range(1, 32) if number not in _NOT_PROXIED)
# In raw mode these come from outside only; they end this process, but not before the terminal is as it was.
_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)

_PATIENCE = 3


def open_standard_streams() -> None:
    """Put /dev/null in place of standard streams that are closed, so that no socket or file of ours gets the number of one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/dev/null", os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(descriptor, True)


def check_terminal(*, stdin: bool, tty: bool) -> None:
    """Raise UsageError, in docker's words, when a terminal is asked for and standard input, which is attached, is none."""
    if stdin and tty and not os.isatty(0):
        raise WordsError("the input device is not a TTY")


def window_size() -> "tuple[int, int]":
    """Rows and columns of the terminal on standard output or input; (0, 0) when there is none."""
    for descriptor in (1, 0):
        try:
            rows, columns = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8))[:2]
        except OSError:
            continue
        return rows, columns
    return 0, 0


def run_session(
    session: "Session",
    *,
    stdin: bool,
    tty: bool,
    detach_keys: str = "",
    signal_proxy: bool = True,
    outputs: "tuple[str, ...]" = ("stdout", "stderr"),
    redraw: bool = False,
) -> "int | None":
    """Relay until the program ends, and return its exit status (0 to 255); None when the user detached.

    `stdin` forwards standard input; `tty` says that the container has a terminal. Signals are proxied only without one, as docker
    does. `outputs` are the streams to show. `redraw` makes a program that fills the screen draw it again, for us who come late.
    Raises UsageError for bad detach keys; the terminal is as before on any way out.
    """
    detach = None
    if tty and stdin:
        from ocirun.engine.detach_keys import DetachFilter, parse_detach_keys

        detach = DetachFilter(parse_detach_keys(detach_keys))
    relay = _Relay(session, stdin=stdin, detach=detach.feed if detach else None, outputs=outputs)
    terminal = _Terminal(session, 0 if stdin and tty and os.isatty(0) else -1)
    with _Handlers() as handlers:
        if tty:
            handlers.set(signal.SIGWINCH, terminal.resize)
            for ending in _ENDING:
                handlers.set(ending, terminal.end)
            handlers.set(signal.SIGTSTP, terminal.stop)
            handlers.set(signal.SIGCONT, terminal.resume)
        elif signal_proxy:
            proxy = _SignalProxy(session)
            for number in _PROXIED:
                handlers.set(number, proxy.pass_on)
        else:
            handlers.set(signal.SIGINT, signal.SIG_DFL)  # ends this process at once, not by an exception
        try:
            if tty:
                terminal.enter(redraw=redraw)
            status = relay.run()
        finally:
            terminal.leave()
            relay.close()
    if relay.has_broken_output:
        _die(signal.SIGPIPE)
    return status


def _die(number: int) -> None:
    """End this process by signal `number`, so that the caller sees why it ended."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class _SignalProxy:
    """Passes signals on to the container; who asks three times to end and is not heard gets out himself, as with docker."""

    __slots__ = ("_asked", "_session")

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._asked = 0

    def pass_on(self, number: int, _frame: object) -> None:
        """Send signal `number` to the container. Raises WordsError at the third SIGINT or SIGTERM."""
        self._session.signal(number)
        self._asked += number in (signal.SIGINT, signal.SIGTERM)
        if self._asked == _PATIENCE:
            raise WordsError("got 3 SIGTERM/SIGINTs, forcefully exiting", "the container runs on: see 'ocirun ps'")


class _Handlers:
    """Signal handlers for the time of a `with` block."""

    __slots__ = ("_previous",)

    def __init__(self) -> None:
        self._previous: list[tuple[int, object]] = []

    def set(self, number: int, handler: "Callable[[int, FrameType | None], object] | int") -> None:
        """Handle signal `number`, unless our caller has it ignored (nohup)."""
        previous = signal.getsignal(number)
        if previous == signal.SIG_IGN:
            return
        signal.signal(number, handler)
        self._previous.append((number, previous))

    def __enter__(self) -> "_Handlers":
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous:
            signal.signal(number, previous)  # type: ignore[arg-type] # as getsignal returned it


class _Terminal:
    """Our terminal in raw mode, where there is one (`descriptor` -1: none), and its size."""

    __slots__ = ("_descriptor", "_saved", "_session")

    def __init__(self, session: "Session", descriptor: int) -> None:
        self._session = session
        self._descriptor = descriptor
        self._saved: list[object] | None = None

    def enter(self, *, redraw: bool = False) -> None:
        """Set raw mode, as cfmakeraw(3) does, and tell the container the window's size: with `redraw` first another one."""
        while self._descriptor >= 0 and not self._set_raw():
            pass
        rows, columns = window_size()
        if redraw and rows and columns:
            self._session.resize(rows + 1, columns + 1)  # the same size again would be no change, and no SIGWINCH
        self.resize()

    def _set_raw(self) -> bool:
        """Whether it is done. A job in the background is stopped here; once it is called back the modes are those of then."""
        saved = termios.tcgetattr(self._descriptor)
        flags_in, flags_out, flags_control, flags_local, speed_in, speed_out, characters = saved
        flags_in &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
        flags_in &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
        flags_local &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        flags_control = flags_control & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        characters = list(characters)
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        raw = [flags_in, flags_out & ~termios.OPOST, flags_control, flags_local, speed_in, speed_out, characters]
        self._saved = saved
        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, raw)
        except termios.error as error:
            if error.args[0] != errno.EINTR:
                raise OSError(*error.args, "the terminal") from error
            return False
        return True

    def leave(self) -> None:
        """Set the terminal as it was; does nothing when it is, or has gone."""
        if self._saved is None:
            return
        saved, self._saved = self._saved, None
        # A process in the background may restore its terminal too, and is not stopped for it.
        previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, saved)  # type: ignore[arg-type] # as tcgetattr returned it
        except termios.error:
            pass
        finally:
            signal.signal(signal.SIGTTOU, previous)

    def resize(self, *_: object) -> None:
        """Tell the container how large our window is."""
        rows, columns = window_size()
        if rows and columns:
            self._session.resize(rows, columns)

    def end(self, number: int, _frame: object) -> None:
        """Restore the terminal, then let signal `number` end this process."""
        self.leave()
        _die(number)

    def stop(self, *_: object) -> None:
        """Restore the terminal for the shell, and stop; `resume` follows."""
        self.leave()
        os.kill(os.getpid(), signal.SIGSTOP)

    def resume(self, *_: object) -> None:
        """Take the terminal back after a stop."""
        if self._saved is None:
            self.enter()


class _Output:
    """One of our output streams, written without blocking where that can be had."""

    __slots__ = ("_is_own", "_name", "descriptor", "rest")

    def __init__(self, descriptor: int) -> None:
        """Pipes and terminals are opened a second time: O_NONBLOCK on `descriptor` itself would change it for our caller too."""
        self.rest = b""
        self.descriptor = descriptor
        self._name = "standard output" if descriptor == 1 else "standard error"
        self._is_own = False
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(mode) or os.isatty(descriptor)):
            return
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self.descriptor = os.open(f"/proc/self/fd/{descriptor}", flags)
            self._is_own = True
        except OSError:
            pass  # another user's terminal: then a write blocks, and only signals get through meanwhile

    def write(self, data: bytes) -> None:
        """Write what goes; `rest` is what did not. Raises BrokenPipeError, StorageError."""
        try:
            self.rest = data[os.write(self.descriptor, data) :]
        except BlockingIOError:
            self.rest = data
        except BrokenPipeError:
            raise
        except OSError as error:
            from ocirun.files import output_error

            raise output_error(error, self._name) from error

    def close(self) -> None:
        """Close what was opened here."""
        if self._is_own:
            os.close(self.descriptor)


class _Relay:
    """The loop: session to outputs, standard input to session."""

    __slots__ = ("_detach", "_outputs", "_poll", "_session", "_stdin", "has_broken_output")

    def __init__(
        self,
        session: "Session",
        *,
        stdin: bool,
        detach: "Callable[[bytes], tuple[bytes, bool]] | None",
        outputs: "tuple[str, ...]",
    ) -> None:
        self._session = session
        self._stdin = stdin
        self._detach = detach
        self._poll = select.poll()
        self._outputs: dict[bytes, _Output] = {}
        self.has_broken_output = False
        if "stdout" in outputs:
            self._outputs[b"O"] = _Output(1)
        if "stderr" in outputs:
            self._outputs[b"e"] = _Output(2)

    def close(self) -> None:
        """Close what was opened for the relay; the session stays open."""
        for output in self._outputs.values():
            output.close()

    def run(self) -> "int | None":
        """Relay until the end: the exit status, None when detached. With `has_broken_output` the status means nothing."""
        session = self._session
        while session.exit_status is None:
            self._set_interest()
            try:
                for descriptor, _ in self._poll.poll():
                    if descriptor == session.fileno():
                        if not self._take_message():
                            return KILLED
                    elif descriptor == 0:
                        if self._take_input():
                            session.detach()
                            return None
                    else:
                        self._resume_output(descriptor)
            except BrokenPipeError:
                self.has_broken_output = True
                return None
        return session.exit_status

    def _set_interest(self) -> None:
        """Poll the session only while all output is written: it then stops the container, not our memory."""
        is_clear = True
        for output in self._outputs.values():
            if output.rest:
                is_clear = False
                self._poll.register(output.descriptor, select.POLLOUT)
        if is_clear:
            self._poll.register(self._session.fileno(), select.POLLIN)
        else:
            self._unregister(self._session.fileno())
        if self._stdin and self._session.input_room():
            self._poll.register(0, select.POLLIN)
        else:
            self._unregister(0)

    def _unregister(self, descriptor: int) -> None:
        try:
            self._poll.unregister(descriptor)
        except KeyError:
            pass

    def _resume_output(self, descriptor: int) -> None:
        for output in self._outputs.values():
            if output.descriptor == descriptor and output.rest:
                output.write(output.rest)
                if not output.rest:
                    self._unregister(descriptor)

    def _take_message(self) -> bool:
        """Deal with one message of the monitor. False when the monitor has gone."""
        message = self._session.receive()
        if message is None:
            return False
        output = self._outputs.get(message[0])
        if output is not None:
            output.write(message[1])
        return True

    def _take_input(self) -> bool:
        """Send on what was typed or piped. True when the detach keys came."""
        try:
            data = os.read(0, _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""  # closed, or a terminal that has gone
        if not data:
            self._stdin = False
            self._session.end_input()
            return False
        is_detached = False
        if self._detach is not None:
            data, is_detached = self._detach(data)
        if data:
            self._session.send_input(data)
        return is_detached
