"""Reading docker's json-file logs: rotated files, the last lines, bounds in time, damaged lines."""

import json
from pathlib import Path

import pytest

from ocirun.engine.context import Engine
from ocirun.engine.logs import _Reader, read_logs
from ocirun.engine.records import Container
from ocirun.engine.settings import Settings


def line(number: int, stream: str = "stdout") -> str:
    """One line as the monitor writes it."""
    moment = f"2026-01-01T00:00:{number % 60:02}.000000000Z"
    return json.dumps({"log": f"line {number} \u00e9\n", "stream": stream, "time": moment}) + "\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A container's directory with a log of 30 lines in three files."""
    for index, first in ((2, 0), (1, 10), (0, 20)):
        name = f"container.log.{index}" if index else "container.log"
        (tmp_path / name).write_text("".join(line(number) for number in range(first, first + 10)), encoding="utf-8")
    return tmp_path


def read(directory: Path, *, tail: int | None = None, since: int | None = None, until: int | None = None) -> list[int]:
    """The numbers of the lines that come."""
    engine = Engine(Settings(str(directory), str(directory / "run")))
    container = Container(str(directory), "ab" * 32, {"name": "x"})
    return [int(text.split()[1]) for _, _, text in read_logs(engine, container, tail=tail, since=since, until=until)]


def test_all(directory: Path) -> None:
    assert read(directory) == list(range(30))


@pytest.mark.parametrize("tail", [0, 1, 9, 10, 11, 25, 30, 99])
def test_tail(directory: Path, tail: int) -> None:
    assert read(directory, tail=tail) == list(range(30))[max(0, 30 - tail) :]


def test_bounds(directory: Path) -> None:
    start = 1_767_225_600 * 10**9
    assert read(directory, since=start + 12 * 10**9) == list(range(12, 30))
    assert read(directory, until=start + 12 * 10**9) == list(range(13))
    assert read(directory, since=start + 5 * 10**9, until=start + 6 * 10**9, tail=28) == [5, 6]


def test_no_log(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_damaged_and_unfinished_lines(directory: Path) -> None:
    with open(directory / "container.log", "a", encoding="utf-8") as file:
        file.write('{"log":"cut\n[]\n\n' + line(30) + '{"log":"half')
    assert read(directory) == list(range(31))
    assert read(directory, tail=1) == [30]


def test_tail_across_blocks(tmp_path: Path) -> None:
    (tmp_path / "container.log").write_text("".join(line(number) for number in range(5000)), encoding="utf-8")
    assert read(tmp_path, tail=3000) == list(range(2000, 5000))


def test_following_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "container.log"
    path.write_text(line(0), encoding="utf-8")
    reader = _Reader(str(path))
    numbers = [int(text.split()[1]) for _, _, text in reader.existing(None)]
    with open(path, "a", encoding="utf-8") as file:
        file.write(line(1) + line(2)[:10])
    numbers += [int(text.split()[1]) for _, _, text in reader.new()]
    with open(path, "a", encoding="utf-8") as file:
        file.write(line(2)[10:])
    path.rename(tmp_path / "container.log.2")
    (tmp_path / "container.log.1").write_text(line(3), encoding="utf-8")
    path.write_text(line(4), encoding="utf-8")
    numbers += [int(text.split()[1]) for _, _, text in reader.new()]
    reader.close()
    reader.close()
    assert numbers == [0, 1, 2, 3, 4]


def test_output_that_is_not_text(tmp_path: Path) -> None:
    text = json.dumps({"log": "\ufffd\u0000\n", "stream": "stderr", "time": "2026-01-01T00:00:00Z"}) + "\n"
    (tmp_path / "container.log").write_text(text, encoding="utf-8")
    engine = Engine(Settings(str(tmp_path), str(tmp_path / "run")))
    lines = list(read_logs(engine, Container(str(tmp_path), "ab" * 32, {"name": "x"})))
    assert lines == [("2026-01-01T00:00:00Z", "stderr", "\ufffd\0\n".encode())]
