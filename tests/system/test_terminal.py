"""-t: raw mode, window size, detach keys, attach and exec on a terminal."""

import os
import shlex
import signal
import termios

from tests.system.harness import BUSYBOX, COMMAND, Ocirun, Terminal, until


def test_terminal_inside_and_raw_mode_outside(ocirun: Ocirun) -> None:
    terminal = ocirun.terminal("run", "--rm", "-it", BUSYBOX, "sh")
    terminal.expect(r"# ")
    flags = termios.tcgetattr(terminal.master)
    assert not flags[3] & (termios.ICANON | termios.ECHO)
    terminal.write("test -t 0 && test -t 1 && test -t 2 && tty\r")
    terminal.expect(r"\n/dev/(console|pts/0)\r\n")
    terminal.write("exit 3\r")
    assert terminal.wait() == 3


def test_window_size_and_its_changes(ocirun: Ocirun) -> None:
    terminal = ocirun.terminal("run", "--rm", "-it", BUSYBOX, "sh", rows=33, columns=101)
    terminal.expect(r"# ")
    terminal.write("stty size\r")
    terminal.expect(r"\n33 101\r\n")
    terminal.resize(44, 122)
    until_size(terminal, "44 122")
    terminal.write("exit\r")
    assert terminal.wait() == 0


def until_size(terminal: "object", size: str) -> None:
    """Ask the shell for its size until it is the new one; SIGWINCH tells nobody when it has arrived."""
    from tests.system.harness import Terminal

    assert isinstance(terminal, Terminal)
    terminal.write(f"until [ \"$(stty size)\" = '{size}' ]; do :; done; echo arr''ived\r")
    terminal.expect("arrived\r\n")


def test_control_c_reaches_the_program_not_the_client(ocirun: Ocirun) -> None:
    terminal = ocirun.terminal(
        "run",
        "--rm",
        "-it",
        BUSYBOX,
        "sh",
        "-c",
        "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.05; done",
    )
    terminal.expect("ready\r\n")
    terminal.write("\x03")
    terminal.expect("caught\r\n")
    assert terminal.wait() == 4


def test_terminal_is_restored_at_the_end(ocirun: Ocirun) -> None:
    terminal = ocirun.terminal("run", "--rm", "-it", BUSYBOX, "cat")
    until(lambda: not termios.tcgetattr(terminal.master)[3] & termios.ICANON, "raw mode")
    terminal.write("\x04")
    until(lambda: termios.tcgetattr(terminal.master)[3] & termios.ICANON, "the mode before")
    assert terminal.wait() == 0


def test_detach_keys_and_attach_again(ocirun: Ocirun, name: str) -> None:
    terminal = ocirun.terminal("run", "-it", "--name", name, BUSYBOX, "sh")
    terminal.expect(r"# ")
    terminal.write("\x10\x11")
    assert terminal.wait() == 0
    assert ocirun.status(name) == "running"
    again = ocirun.terminal("attach", "--detach-keys", "ctrl-x,x", name)
    again.write("echo he''re\r")
    again.expect("here\r\n")
    again.write("\x18x")
    again.wait()
    assert ocirun.status(name) == "running"
    last = ocirun.terminal("attach", name)
    last.write("exit 6\r")
    assert last.wait() == 6


def test_detach_keys_that_are_no_detach_reach_the_program(ocirun: Ocirun) -> None:
    terminal = ocirun.terminal(
        "run", "--rm", "-it", BUSYBOX, "sh", "-c", "stty raw -echo; echo go; head -c 2 | od -An -tx1"
    )
    terminal.expect("go")
    terminal.write("\x10a")
    terminal.expect("10 61")
    assert terminal.wait() == 0


def test_tty_without_a_terminal_on_stdin(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", "-it", BUSYBOX, "true", status=1, input="")
    assert "the input device is not a TTY" in result.error_line()
    assert ocirun("ps", "-aq").stdout == ""


def test_t_alone_needs_no_terminal(ocirun: Ocirun) -> None:
    assert ocirun("run", "--rm", "-t", BUSYBOX, "sh", "-c", "test -t 1 && echo terminal").stdout == "terminal\r\n"


def test_exec_on_a_terminal(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    terminal = ocirun.terminal("exec", "-it", name, "sh", rows=20, columns=99)
    terminal.expect(r"# ")
    terminal.write("stty size; tty\r")
    terminal.expect(r"\n20 99\r\n/dev/pts/0\r\n")
    terminal.write("exit 12\r")
    assert terminal.wait() == 12


def test_started_in_the_background_and_called_back(ocirun: Ocirun) -> None:
    shell = Terminal(["bash", "--norc", "-i"], {**ocirun.environment, "PS1": "> "}, 24, 200)
    shell.expect("> ")
    shell.write(shlex.join([*COMMAND, "run", "--rm", "-it", BUSYBOX, "sh"]) + " &\r")
    until(lambda: ocirun("ps", "-q").word, "a container")
    shell.write("until jobs | grep -q Stopped; do :; done; fg\r")
    shell.write("echo in''side; exit 5\r")
    shell.expect("inside\r\n")
    shell.expect("> ")
    shell.write("echo status $?; stty -a\r")
    shell.expect("status 5\r\n")
    shell.expect(" icrnl")
    shell.write("exit\r")
    assert shell.wait() == 0


def test_client_that_dies_leaves_the_program_running(ocirun: Ocirun, name: str) -> None:
    terminal = ocirun.terminal("run", "-it", "--name", name, BUSYBOX, "sh")
    terminal.expect(r"# ")
    os.kill(terminal.pid, signal.SIGKILL)
    os.waitpid(terminal.pid, 0)
    os.close(terminal.master)
    assert ocirun.status(name) == "running"
    again = ocirun.terminal("attach", name)
    again.write("echo still he''re; exit 0\r")
    again.expect("still here\r\n")
    assert again.wait() == 0


def test_two_clients_see_the_same(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-dit", "--name", name, BUSYBOX, "sh")
    first, second = ocirun.terminal("attach", name), ocirun.terminal("attach", name)
    first.write("echo bo''th\r")
    first.expect("both\r\n")
    second.write("\r")
    second.expect("# ")
    first.write("echo bo''th; exit\r")
    second.expect("both\r\n")
    assert first.wait() == 0
    assert second.wait() == 0
