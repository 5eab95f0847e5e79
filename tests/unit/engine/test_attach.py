"""The messages of the attach protocol, with a socket pair in the place of a monitor."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocirun.engine.attach import INPUT_LIMIT, KILLED, Session, connect, open_session
from ocirun.errors import NotFoundError, OcirunError, StepError

Pair = tuple[Session, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A session, and the monitor's end of it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield Session(ours), theirs


def test_start(pair: Pair) -> None:
    session, monitor = pair
    monitor.send(b"S" + struct.pack("<i", 4711))
    assert session.start() == 4711
    assert session.pid == 4711


def test_failed_start(pair: Pair) -> None:
    session, monitor = pair
    monitor.send(b"F" + struct.pack("<ii", 17, errno.ENOENT) + b"/bin/\xe9")
    with pytest.raises(StepError) as caught:
        session.start()
    assert (caught.value.step, caught.value.errno) == (17, errno.ENOENT)
    assert os.fsencode(caught.value.path) == b"/bin/\xe9"


def test_monitor_that_dies_before_the_start(pair: Pair) -> None:
    session, monitor = pair
    monitor.close()
    with pytest.raises(OcirunError, match="before the container had started"):
        session.start()


def test_something_else_than_the_start(pair: Pair) -> None:
    session, monitor = pair
    monitor.send(b"O")
    with pytest.raises(OcirunError, match="instead of the start"):
        session.start()


def test_what_is_sent(pair: Pair) -> None:
    session, monitor = pair
    session.send_input(b"data")
    session.end_input()
    session.resize(24, 80)
    session.resize(100_000, 70_000)
    session.signal(15)
    session.detach()
    session.follow_log()
    expected = [
        b"Idata",
        b"E",
        b"W\x18\x00\x50\x00",
        b"W\xff\xff\xff\xff",
        b"K\x0f\x00\x00\x00",
        b"D",
        b"G",
    ]
    assert [monitor.recv(100) for _ in expected] == expected


def test_input_waits_for_its_acknowledgement(pair: Pair) -> None:
    session, monitor = pair
    assert session.input_room() == INPUT_LIMIT
    session.send_input(b"12345")
    assert session.input_room() == 0
    monitor.send(b"A" + struct.pack("<I", 5))
    assert session.receive() == (b"A", b"\x05\x00\x00\x00")
    assert session.input_room() == INPUT_LIMIT


def test_wait_skips_output(pair: Pair) -> None:
    session, monitor = pair
    monitor.send(b"Osome")
    monitor.send(b"X" + struct.pack("<i", 143))
    assert session.wait() == 143
    assert session.wait() == 143
    assert monitor.recv(100) == b"N"


def test_wait_for_a_monitor_that_was_killed(pair: Pair) -> None:
    session, monitor = pair
    monitor.close()
    assert session.wait() == KILLED
    session.send_input(b"nobody is there")


def test_last_words_of_a_monitor_that_did_not_read_ours(pair: Pair) -> None:
    session, monitor = pair
    session.resize(1, 1)
    monitor.send(b"X" + struct.pack("<i", 3))
    monitor.close()
    assert session.wait() == 3


def test_connect_by_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120) / "identifier"
    directory.mkdir(parents=True)
    above = os.open(directory, os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"/proc/self/fd/{above}/attach")
        listener.listen()
        session = open_session(str(directory.parent), "identifier")
        other, _ = listener.accept()
        with other:
            session.detach()
            assert other.recv(10) == b"D"
        session.close()
    os.close(above)
    with pytest.raises(NotFoundError, match="identifier is not running"):
        connect(str(directory.parent), "identifier")


def test_connect_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        connect(str(tmp_path), "identifier")


def test_connect_where_something_else_is(tmp_path: Path) -> None:
    (tmp_path / "identifier").mkdir()
    (tmp_path / "identifier" / "attach").touch()
    with pytest.raises(NotFoundError):
        connect(str(tmp_path), "identifier")
    os.chmod(tmp_path / "identifier", 0)
    if os.geteuid() != 0:
        with pytest.raises(OcirunError, match="Permission denied"):
            connect(str(tmp_path), "identifier")
    os.chmod(tmp_path / "identifier", 0o700)
