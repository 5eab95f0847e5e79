"""What crashes leave, and that it disturbs nobody; freezing; users looked up in a changed container."""

import os
import signal
from pathlib import Path

import pytest

from ocirun.engine.context import Engine
from ocirun.engine.freeze import Frozen
from ocirun.engine.prune import prune_garbage
from ocirun.engine.records import find_container, status
from ocirun.engine.settings import Settings
from tests.system.harness import BUSYBOX, Ocirun, until


def engine_of(ocirun: Ocirun) -> Engine:
    """The engine on the store of a CLI."""
    return Engine(Settings(str(ocirun.root), str(ocirun.runroot), search_path=os.environ["PATH"]))


def letters(pid: int) -> dict[int, str]:
    """Processes in the pid namespace of `pid` and the letters of their states."""
    namespace = os.readlink(f"/proc/{pid}/ns/pid")
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/ns/pid") == namespace:
                found[int(name)] = Path(f"/proc/{name}/stat").read_text().rpartition(") ")[2][0]
        except OSError:
            continue
    return found


@pytest.mark.parametrize("flags", [[], ["--rm"]])
def test_the_monitor_is_killed(fresh: Ocirun, name: str, flags: list[str]) -> None:
    fresh("run", "-d", *flags, "--name", name, "-v", "/data", BUSYBOX, "sleep", "1000")
    container = find_container(engine_of(fresh), name)
    state = status(container)
    os.kill(state.monitor_pid, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{state.pid}"), "the container to end with its monitor")
    lines = fresh("ps", "-a", "--format", "{{.Names}} {{.Status}}").lines
    if flags:
        assert lines == []
        assert os.listdir(fresh.root / "names") == []
        assert os.listdir(fresh.root / "volumes") == []
        return
    assert lines[0].startswith(f"{name} Exited (137)")
    fresh("start", name)
    assert fresh.status(name) == "running"
    fresh("rm", "-f", "-v", name)


def test_garbage_is_found_and_hurts_nobody(fresh: Ocirun) -> None:
    engine = engine_of(fresh)
    fresh("create", "--name", "kept", BUSYBOX, "true")
    (fresh.root / "tmp" / "x-dead").mkdir()
    (fresh.root / "tmp" / "x-dead" / "half").write_bytes(b"")
    os.symlink(f"../containers/{'ab' * 32}", fresh.root / "names" / "stale")
    broken = fresh.root / "containers" / ("cd" * 32)
    broken.mkdir()
    (broken / "container.json").write_bytes(b'{"cut')
    os.symlink(f"../containers/{broken.name}", fresh.root / "names" / "broken")
    (fresh.runroot / ("ab" * 32)).mkdir(parents=True)
    layers = fresh.root / "layers" / engine.maps.key
    (layers / ("ef" * 32)).mkdir()
    assert fresh("ps", "-aq").status == 0
    assert fresh("run", "--rm", "--name", "stale", BUSYBOX, "echo", "reused").stdout == "reused\n"
    os.symlink(f"../containers/{'ab' * 32}", fresh.root / "names" / "stale")
    done = prune_garbage(engine)
    assert {line.split()[0] for line in done} == {"damaged", "name", "staged", "run", "layer"}
    assert fresh("ps", "-a", "--format", "{{.Names}}").lines == ["kept"]
    assert os.listdir(fresh.root / "names") == ["kept"]
    assert not (layers / ("ef" * 32)).exists()
    assert prune_garbage(engine) == []
    assert fresh("start", "-a", "kept").status == 0


def test_rm_of_a_broken_container(fresh: Ocirun, name: str) -> None:
    fresh("create", "--name", name, BUSYBOX, "true")
    container = find_container(engine_of(fresh), name)
    (Path(container.directory) / "container.json").unlink()
    assert fresh("ps", "-a", "--format", "{{.Status}}").word
    fresh("rm", name)
    assert os.listdir(fresh.root / "names") == []
    assert os.listdir(fresh.root / "containers") == []


def test_a_frozen_container_stands_still(fresh: Ocirun, name: str) -> None:
    script = "sh -c 'kill -STOP $$' & while :; do sh -c 'echo . >>/dots'; done"
    fresh("run", "-d", "--name", name, BUSYBOX, "sh", "-c", script)
    container = find_container(engine_of(fresh), name)
    pid = status(container).pid
    dots = Path(container.directory) / "upper" / "dots"
    until(dots.exists, "the first dot")
    until(lambda: "T" in letters(pid).values(), "the process that stops itself")
    stopped = [number for number, letter in letters(pid).items() if letter == "T"]
    with Frozen(engine_of(fresh), container):
        assert set(letters(pid).values()) <= set("TtZXD")
        size = dots.stat().st_size
        assert len(letters(pid)) >= 2
        assert dots.stat().st_size == size
    until(lambda: dots.stat().st_size > size, "the container to go on")
    assert letters(pid)[stopped[0]] == "T", "what stood still before is left so"


def test_exec_knows_the_accounts_of_the_container(ocirun: Ocirun, name: str) -> None:
    ocirun(
        "run", "-d", "--name", name, BUSYBOX, "sh", "-c", "echo new:x:0:0::/newhome:/bin/sh >>/etc/passwd; sleep 1000"
    )
    until(lambda: "C /etc/passwd" in ocirun("diff", name).lines, "the account")
    assert ocirun("exec", "-u", "new", name, "sh", "-c", "echo $HOME").stdout == "/newhome\n"
    error = ocirun("exec", "-u", "nosuch", name, "true", status=None).stderr
    assert "unable to find user nosuch: no matching entries in passwd file" in error


def test_failed_start_is_recorded_and_can_be_repeated(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "/no/such", status=127)
    state = ocirun.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("created", 127, 0)
    assert state["Error"] == 'exec: "/no/such": stat /no/such: no such file or directory'
    ocirun("start", "-a", name, status=None)
    assert ocirun.status(name) == "created"


def test_root_directory_keeps_the_image_s_mode(fresh: Ocirun, tmp_path: Path) -> None:
    fresh("run", "--name", "changes-mode", BUSYBOX, "chmod", "1750", "/")
    assert fresh("diff", "changes-mode").stdout == ""
    fresh("commit", "changes-mode", "mode:1")
    assert fresh("run", "--rm", "mode:1", "stat", "-c", "%a", "/").stdout == "1750\n"
    fresh("rmi", "-f", "mode:1")
