"""The monitor, below the engine: plans made by hand, and its protocol spoken directly."""

import errno
import hashlib
import os
import re
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ocirun.engine.attach import INPUT_LIMIT, KILLED, Session
from ocirun.errors import NotFoundError, StepError
from tests.system.harness import MODE, SANITIZED, new_directory, remove_directory, until
from tests.system.monitors import (
    ATTACHED,
    INPUT,
    INPUT_ONCE,
    TERMINAL,
    Container,
    has_ended,
    make_root,
    receive_all,
    receive_until,
)


@pytest.fixture(scope="module")
def directory(busybox_archive: Path) -> Iterator[Path]:
    """A directory with a root file system in it, reachable for the container's users."""
    path = new_directory()
    path.chmod(0o755)
    make_root(busybox_archive, path / "rootfs")
    yield path
    remove_directory(path)


@pytest.fixture
def make(directory: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[], Container]]:
    """Make containers; whatever a test leaves of them is killed."""
    made: list[Container] = []

    def make_container() -> Container:
        name = f"{len(made):02x}{abs(hash(request.node.name)):016x}"
        made.append(Container(directory, directory / "rootfs", name))
        return made[-1]

    yield make_container
    for container in made:
        container.end()


@pytest.fixture
def container(make: Callable[[], Container]) -> Container:
    """One container."""
    return make()


def test_output_exit_status_state_and_log(container: Container) -> None:
    session = container.shell("echo to-stdout; echo to-stderr >&2; printf unfinished; exit 7")
    running = container.state()
    assert receive_all(session) == (b"to-stdout\nunfinished", b"to-stderr\n")
    assert session.exit_status == 7
    assert not container.is_locked()
    assert not container.socket_path.exists()
    state = container.state()
    assert (state["status"], state["exit_code"], state["error"]) == ("exited", 7, "")
    assert state["pid"] == container.pid
    assert state["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert running["start_time"] == state["start_time"] > 0
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
    assert moment.fullmatch(state["started_at"])
    assert moment.fullmatch(state["finished_at"])
    assert state["started_at"][:14] <= time.strftime("%Y-%m-%dT%H:", time.gmtime())
    records = container.log_records()
    assert sorted((record["stream"], record["log"]) for record in records) == [
        ("stderr", "to-stderr\n"),
        ("stdout", "to-stdout\n"),
        ("stdout", "unfinished"),
    ]
    assert all(moment.fullmatch(record["time"]) for record in records)


def test_state_says_running_before_the_start_is_told(container: Container) -> None:
    session = container.shell("read line", flags=ATTACHED | INPUT)
    state = container.state()
    assert (state["status"], state["finished_at"], state["exit_code"]) == ("running", "", 0)
    assert state["start_time"] == int(Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()[19])
    assert container.is_locked()
    session.signal(signal.SIGKILL)
    assert session.wait() == KILLED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_exit_status_of_a_signal(container: Container, number: int) -> None:
    # The first process of a pid namespace has to ask for its signals; this one dies of its own.
    session = container.shell(f"trap 'exit {128 + number}' {number}; kill -{number} $$; while :; do sleep 0.05; done")
    if number == signal.SIGKILL:
        session.signal(number)
    assert session.wait() == 128 + number


def test_missing_command(container: Container) -> None:
    session = container.spawn("/no/such/command")
    with pytest.raises(StepError) as caught:
        session.start()
    assert (caught.value.errno, caught.value.path) == (errno.ENOENT, "/no/such/command")
    assert session.receive() is None
    until(lambda: not container.is_locked(), "the monitor's end")
    assert not container.socket_path.exists()
    assert not container.state_path.exists()


def test_input_to_its_end(container: Container) -> None:
    session = container.start("sha256sum", flags=ATTACHED | INPUT | INPUT_ONCE)
    data = b"0123456789abcdef" * 2048
    for _ in range(300):
        send_when_room(session, data)
    session.end_input()
    output, _ = receive_all(session)
    assert output.split()[0].decode() == hashlib.sha256(data * 300).hexdigest()
    assert session.exit_status == 0


def send_when_room(session: Session, data: bytes) -> None:
    """Send input as the protocol asks: after the container has taken what was sent before."""
    while session.input_room() < len(data):
        assert session.receive() is not None
    session.send_input(data)


def test_end_of_input_without_once_does_not_close_it(container: Container) -> None:
    session = container.start("cat", flags=ATTACHED | INPUT)
    session.end_input()
    session.close()
    again = container.attach()
    again.send_input(b"still open\n")
    assert receive_until(again, b"still open\n")


def test_hang_up_of_the_starter_closes_input_with_once(container: Container) -> None:
    session = container.start("cat", flags=ATTACHED | INPUT | INPUT_ONCE)
    other = container.attach()
    session.send_input(b"last words\n")
    session.close()
    assert receive_all(other)[0] == b"last words\n"
    assert other.exit_status == 0


def test_signals_pass_a_full_input(container: Container) -> None:
    session = container.shell("sleep 1000", flags=ATTACHED | INPUT)
    sent = 0
    while session.input_room():
        session.send_input(b"x" * INPUT_LIMIT)
        sent += INPUT_LIMIT
        if not select.select([session], [], [], 0.3)[0]:
            break
        session.receive()
    assert sent >= 65536
    session.signal(signal.SIGKILL)
    assert session.wait() == KILLED


def test_input_that_nobody_reads_any_more(container: Container) -> None:
    session = container.shell("exec 0<&-; echo closed; exec sleep 1000 <&2", flags=ATTACHED | INPUT)
    receive_until(session, b"closed\n")
    for _ in range(20):
        send_when_room(session, b"x" * INPUT_LIMIT)
    session.signal(signal.SIGKILL)
    assert session.wait() == KILLED


def test_detached_starter_and_waiting_clients(container: Container) -> None:
    session = container.shell("read line; exit 9", flags=INPUT)
    assert session.receive() is None
    clients = [container.attach() for _ in range(5)]
    for client in clients[1:]:
        client.socket.send(b"N")
    clients[0].send_input(b"go\n")
    assert [client.wait() for client in clients] == [9] * 5
    with pytest.raises(NotFoundError):
        container.attach()


def test_all_bytes_in_the_log(container: Container) -> None:
    texts = [
        b'quote " back \\ tab \t bell \a del \x7f <a&b>\r\n',
        "é € 😀 \u2028\n".encode(),
        b"\xff\xc3( \xed\xa0\x80 \xc0\x80\n",
    ]
    session = container.start("cat", flags=ATTACHED | INPUT | INPUT_ONCE)
    session.send_input(b"".join(texts))
    session.end_input()
    assert receive_all(session)[0] == b"".join(texts)
    lines = [record["log"] for record in container.log_records()]
    assert lines[:2] == [text.decode() for text in texts[:2]]
    assert lines[2] == "\ufffd\ufffd( \ufffd\ufffd\ufffd \ufffd\ufffd\n"
    raw = container.log.read_text()
    assert r"\u003ca\u0026b\u003e\r\n" in raw
    assert r"\u0007" in raw
    assert r"\u2028" in raw


def test_long_lines_are_split_between_characters(container: Container) -> None:
    line = ("x" * 16383 + "é" * 20000 + "\n").encode()
    session = container.start("cat", flags=ATTACHED | INPUT | INPUT_ONCE)
    for start in range(0, len(line), INPUT_LIMIT):
        send_when_room(session, line[start : start + INPUT_LIMIT])
    session.end_input()
    assert receive_all(session)[0] == line
    parts = [record["log"] for record in container.log_records()]
    assert "".join(parts) == line.decode()
    assert len(parts[0]) == 16383
    assert all(len(part.encode()) <= 16384 for part in parts)


def test_log_rotation(container: Container) -> None:
    session = container.shell("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done", log_limits=(20000, 3))
    receive_all(session)
    names = sorted(path.name for path in container.directory.glob("container.log*"))
    assert names == ["container.log", "container.log.1", "container.log.2"]
    assert all((container.directory / name).stat().st_size < 20200 for name in names)
    lines = [record["log"] for record in container.log_records()]
    assert lines == [f"line {number}\n" for number in range(2000 - len(lines), 2000)]


def test_log_rotation_of_a_single_file(container: Container) -> None:
    session = container.shell("i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done", log_limits=(20000, 1))
    receive_all(session)
    assert [path.name for path in container.directory.glob("container.log*")] == ["container.log"]
    assert container.log_records()[-1]["log"] == "line 999\n"


@pytest.mark.slow
def test_a_gigabyte_without_a_reader(container: Container) -> None:
    session = container.shell(
        "yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 1073741824",
        flags=0,
        log_limits=(10_000_000, 3),
    )
    assert session.receive() is None
    waiting = container.attach()
    assert waiting.wait() == 0
    sizes = [path.stat().st_size for path in container.directory.glob("container.log*")]
    assert len(sizes) == 3
    assert max(sizes) < 10_200_000


def test_slow_client_stops_the_container_and_loses_nothing(container: Container) -> None:
    total = 8_000_000
    session = container.shell(f"yes abcdefg | head -c {total}; echo done >&2")
    until(lambda: blocked_in_write(container.pid), "the container to wait for its reader")
    assert memory(container.monitor) < 1024
    output, errors = receive_all(session)
    assert output == b"abcdefg\n" * (total // 8)
    assert errors == b"done\n"
    assert session.exit_status == 0


def blocked_in_write(pid: int) -> bool:
    """True when all processes of the container sleep."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    states = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] for child in children]
    return bool(states) and all(state == "S" for state in states)


def memory(pid: int) -> int:
    """PSS of a process in KiB; 0 for one built with sanitizers, which says nothing."""
    if b"libasan" in Path(f"/proc/{pid}/maps").read_bytes():
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


# More than a pipe and a socket hold; what writes it is killed with the first process.
FLOOD = "yes abcdefg & sleep 0.3; exit 5"


def logged(container: Container) -> bytes:
    """All output in the log."""
    return "".join(record["log"] for record in container.log_records()).encode()


def test_end_is_recorded_while_a_slow_client_still_owes(container: Container) -> None:
    session = container.shell(FLOOD)
    until(lambda: container.state()["status"] == "exited", "the exit record")
    until(lambda: not container.is_locked(), "the lock")
    assert not container.socket_path.exists()
    assert not has_ended(container.monitor)
    output = logged(container)
    assert len(output) > 200_000
    assert receive_all(session)[0] == output
    assert session.exit_status == 5
    until(lambda: has_ended(container.monitor), "the monitor's end")


def test_wait_is_not_held_up_by_a_slow_client(container: Container) -> None:
    session = container.shell(f"read line; {FLOOD}", flags=ATTACHED | INPUT)
    waiting = container.attach()
    waiting.socket.send(b"N")
    session.send_input(b"go\n")
    assert waiting.wait() == 5
    assert receive_all(session)[0] == logged(container)


def test_termination_lets_slow_clients_go(container: Container) -> None:
    session = container.shell(FLOOD)
    until(lambda: not container.is_locked(), "the end of the container")
    os.kill(container.monitor, signal.SIGTERM)
    until(lambda: has_ended(container.monitor), "the monitor's end")
    assert session.wait() == KILLED


def test_killed_client_holds_nobody_up(container: Container) -> None:
    session = container.shell("yes abcdefg")
    other = container.attach()
    session.close()
    for _ in range(100):
        assert other.receive() is not None
    other.signal(signal.SIGKILL)
    assert other.wait() == KILLED


def test_killed_monitor_takes_the_container_along(container: Container) -> None:
    session = container.shell("sleep 1000")
    os.kill(container.monitor, signal.SIGKILL)
    until(lambda: has_ended(container.pid), "the container's end")
    assert session.receive() is None
    assert session.wait() == KILLED
    assert container.state()["status"] == "running"
    assert not container.is_locked()


def test_other_signals_do_not_end_the_monitor(container: Container) -> None:
    session = container.shell("trap 'echo terminated; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    receive_until(session, b"ready\n")
    for number in (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGPIPE,
        signal.SIGTSTP,
        signal.SIGALRM,
    ):
        os.kill(container.monitor, number)
    os.kill(container.monitor, signal.SIGTERM)
    assert receive_all(session)[0] == b"terminated\n"
    assert session.exit_status == 3


def test_what_the_monitor_is_to_the_machine(container: Container) -> None:
    session = container.shell("read line", flags=ATTACHED | INPUT)
    process = Path(f"/proc/{container.monitor}")
    assert (process / "cmdline").read_bytes().rstrip(b"\0").decode() == f"ocirun-monitor {container.id[:12]}"
    assert (process / "comm").read_text() == "ocirun-monitor\n"
    assert os.readlink(process / "cwd") == "/"
    assert {os.readlink(process / "fd" / number) for number in ("01" if SANITIZED else "012")} == {"/dev/null"}
    assert os.getsid(container.monitor) == container.monitor
    assert memory(container.monitor) < 1024
    session.end_input()
    session.send_input(b"\n")
    session.wait()


def test_memory_stays_small(container: Container, record_property: Callable[[str, object], None]) -> None:
    session = container.shell("yes abcdefg | head -c 3000000; read line", flags=ATTACHED | INPUT)
    read = 0
    while read < 3_000_000:
        message = session.receive()
        assert message
        read += len(message[1])
    record_property("pss_kib", memory(container.monitor))
    assert memory(container.monitor) < 1024
    session.send_input(b"\n")
    assert session.wait() == 0


def test_terminal_window_and_control_characters(container: Container) -> None:
    session = container.shell("stty size; read line; stty size; read line; exit 4", flags=ATTACHED | INPUT | TERMINAL)
    assert b"24 80\r\n" in receive_until(session, b"80\r\n")
    session.resize(33, 101)
    session.send_input(b"\n")
    receive_until(session, b"33 101\r\n")
    session.send_input(b"\x04")
    assert session.wait() == 4


def test_terminal_that_is_closed_for_a_moment(container: Container) -> None:
    script = "echo one; exec 0<&- 1>&- 2>&-; sleep 0.2; exec 1>/dev/console; echo two"
    session = container.shell(script, flags=ATTACHED | TERMINAL)
    assert receive_all(session)[0] == b"one\r\ntwo\r\n"
    assert session.exit_status == 0


def test_terminal_output_is_complete(container: Container) -> None:
    session = container.shell(
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", flags=ATTACHED | TERMINAL
    )
    assert receive_all(session)[0] == b"".join(b"line %d\r\n" % number for number in range(20000))


def test_detach_and_attach_again(container: Container) -> None:
    session = container.start("sh", flags=ATTACHED | INPUT | INPUT_ONCE | TERMINAL)
    session.detach()
    until(lambda: session.receive() is None, "the monitor to let go")
    again = container.attach()
    again.send_input(b"echo he''re; exit 6\n")
    receive_until(again, b"here\r\n")
    assert again.wait() == 6


def test_many_clients_get_the_same(container: Container) -> None:
    session = container.shell("read line; yes abcdefg | head -c 1000000", flags=ATTACHED | INPUT)
    others = [container.attach() for _ in range(10)]
    time_to_connect = container.attach()
    time_to_connect.send_input(b"go\n")
    results: list[bytes] = []
    threads = [
        threading.Thread(target=lambda one=one: results.append(receive_all(one)[0])) for one in [session, *others]
    ]
    time_to_connect.socket.send(b"N")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"abcdefg\n" * 125000] * 11


def test_follower_of_the_log(container: Container) -> None:
    session = container.shell("read a; echo one; read a; echo two", flags=ATTACHED | INPUT)
    follower = container.attach()
    follower.follow_log()
    assert follower.receive() == (b"G", b"")
    session.send_input(b"\n")
    assert follower.receive() == (b"G", b"")
    assert [record["log"] for record in container.log_records()] == ["one\n"]
    session.send_input(b"\n")
    assert follower.wait() == 0
    assert [record["log"] for record in container.log_records()] == ["one\n", "two\n"]


def test_nonsense_from_clients(container: Container) -> None:
    session = container.shell("read line; exit 2", flags=ATTACHED | INPUT)
    for message in (
        b"?",
        b"K",
        b"Kxxxxxxxx",
        b"W",
        b"I" + b"x" * 40000,
        b"\0" * 100,
        b"K\xff\xff\xff\xff",
        b"W\xff\xff\xff\xff",
    ):
        client = container.attach()
        try:
            client.socket.send(message)
        except OSError:
            pass
        client.close()
    empty = container.attach()
    empty.socket.send(b"")
    assert session.exit_status is None
    session.send_input(b"\n")
    assert session.wait() == 2


def test_more_clients_than_places(container: Container) -> None:
    session = container.shell("read line; exit 2", flags=ATTACHED | INPUT)
    clients = [container.attach() for _ in range(300)]
    session.send_input(b"\n")
    assert [client.wait() for client in [session, *clients]] == [2] * 301


def test_stale_socket_is_replaced(container: Container) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(container.socket_path))
    session = container.shell("read line; exit 2", flags=ATTACHED | INPUT)
    container.attach().send_input(b"\n")
    assert session.wait() == 2
    assert not container.socket_path.exists()


def test_full_disk_does_not_stop_the_container(container: Container) -> None:
    session = container.shell("read line; yes abcdefg | head -c 2000000; exit 2", flags=ATTACHED | INPUT)
    # A limit on the size of files stands for the full disk: both are errors of write(2).
    resource.prlimit(container.monitor, resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    session.send_input(b"\n")
    assert len(receive_all(session)[0]) == 2_000_000
    assert session.exit_status == 2
    state = container.state()
    assert state["error"] == "output is missing from the log: File too large"
    assert (state["status"], state["exit_code"]) == ("exited", 2)
    records = container.log_records()
    assert len(records) > 100
    assert all(record["log"] == "abcdefg\n" for record in records)


def test_removal_after_exit(container: Container, directory: Path) -> None:
    tree = directory / "rootfs" / "tmp" / container.id
    link = directory / f"link-{container.id}"
    link.symlink_to("nowhere")
    owner = "" if MODE == "single" else "chown -R 1000:1000 $d;"
    script = f"d=/tmp/{container.id}; mkdir -p $d/a/b; echo x >$d/a/b/c; {owner} chmod 0 $d/a/b $d/a"
    session = container.shell(script, removals=[str(link), str(tree), str(container.directory)])
    assert session.wait() == 0
    assert not link.is_symlink()
    assert not tree.exists()
    assert not container.directory.exists()
    until(lambda: has_ended(container.monitor), "the monitor's end")


def test_exec_session(container: Container) -> None:
    main = container.shell("sleep 1000")
    session = container.execute("sh", "-c", "cat; echo error >&2; exit 8", flags=ATTACHED | INPUT | INPUT_ONCE)
    session.send_input(b"through\n")
    session.end_input()
    assert receive_all(session) == (b"through\n", b"error\n")
    assert session.exit_status == 8
    assert container.is_locked()
    main.signal(signal.SIGKILL)
    assert main.wait() == KILLED


def test_exec_does_not_wait_for_what_it_left_behind(container: Container) -> None:
    container.shell("sleep 1000")
    began = time.monotonic()
    session = container.execute("sh", "-c", "sleep 1000 & yes abcdefg | head -c 300000; exit 1")
    assert receive_all(session)[0] == b"abcdefg\n" * 37500
    assert session.exit_status == 1
    assert time.monotonic() - began < 3


def test_exec_on_a_terminal(container: Container) -> None:
    container.shell("sleep 1000", flags=ATTACHED | TERMINAL)
    session = container.execute("sh", "-c", "test -t 0 && echo terminal; read line", flags=ATTACHED | TERMINAL | INPUT)
    receive_until(session, b"terminal\r\n")
    session.resize(20, 99)
    session.send_input(b"\n")
    assert session.wait() == 0


def test_nothing_is_left(make: Callable[[], Container]) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(20):
        container = make()
        session = container.shell("exit 0")
        session.wait()
        session.close()
        until(partial(has_ended, container.monitor), "the monitor's end")
    assert set(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
