"""Bad luck: kill -9 of the CLI or the monitor at many points, a full disk, a read-only home. Afterwards all works."""

import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import (
    BUSYBOX,
    COMMAND,
    MODE,
    Ocirun,
    entries,
    leftovers,
    make_tar,
    processes_of,
    remove_directory,
    until,
)
from tests.system.test_images import check_layout

POINTS = 20
# What is empty when there are no containers.
DIRECTORIES = ("containers", "names", "volumes", "tmp")


def kill_after(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Kill a process `seconds` after its start, unless it ended before; whether it was killed."""
    descriptor = os.pidfd_open(process.pid)
    ended = select.select([descriptor], [], [], seconds)[0]
    os.close(descriptor)
    if not ended:
        process.kill()
    process.communicate(timeout=30)
    return not ended


def duration(ocirun: Ocirun, *words: str) -> float:
    """How long a command takes here, in seconds."""
    start = time.monotonic()
    ocirun(*words)
    return time.monotonic() - start


class Moments:
    """Moments spread over a command, to kill it at; they follow when it turns out to be faster than at first."""

    def __init__(self, seconds: float) -> None:
        self.longest = seconds
        self.killed = 0

    def __iter__(self) -> Iterator[float]:
        for number in range(1, POINTS + 1):
            yield self.longest * number / POINTS

    def kill(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Kill the command `seconds` after its start, unless it ended before."""
        start = time.monotonic()
        if kill_after(process, seconds):
            self.killed += 1
        else:
            self.longest = min(self.longest, time.monotonic() - start)


def works(ocirun: Ocirun) -> None:
    """The store answers, and runs a container, without waiting for a lock of the dead."""
    ocirun("ps", "-a", timeout=20)
    ocirun("images", timeout=20)
    assert ocirun("run", "--rm", BUSYBOX, "echo", "works", timeout=20).stdout == "works\n"


def all_gone(ocirun: Ocirun) -> None:
    """After removal of the containers and a prune, nothing is left."""
    ocirun.remove_all()
    ocirun("system", "prune", "-f")
    assert leftovers(ocirun) == {}


@pytest.mark.parametrize("verb", ["run", "run-detached", "run-rm", "create"])
def test_kill_of_the_cli_while_it_starts_a_container(fresh: Ocirun, verb: str) -> None:
    words = {
        "run": ["run", BUSYBOX, "true"],
        "run-detached": ["run", "-d", BUSYBOX, "sleep", "600"],
        "run-rm": ["run", "--rm", BUSYBOX, "true"],
        "create": ["create", BUSYBOX, "true"],
    }[verb]
    moments = Moments(duration(fresh, *words))
    for seconds in moments:
        moments.kill(fresh.start(*words), seconds)
        works(fresh)
    assert moments.killed > POINTS // 4
    all_gone(fresh)


@pytest.mark.parametrize("verb", ["commit", "load", "import", "rmi", "save"])
def test_kill_of_the_cli_while_it_changes_the_store(fresh: Ocirun, tmp_path: Path, verb: str) -> None:
    fresh("run", "--name", "changed", BUSYBOX, "sh", "-c", "head -c 3000000 /dev/urandom >/random")
    fresh("commit", "changed", "other:v1")
    archive, written = str(tmp_path / "saved.tar"), str(tmp_path / "written.tar")
    plain = str(tmp_path / "plain.tar")
    make_tar([("file", os.urandom(3_000_000))], tmp_path / "plain.tar")
    fresh("save", "-o", archive, "other:v1")
    words = {
        "commit": ["commit", "changed", "new:v1"],
        "load": ["load", "-i", archive],
        "import": ["import", plain, "new:v1"],
        "rmi": ["rmi", "-f", "other:v1"],
        "save": ["save", "-o", written, "other:v1"],
    }[verb]
    moments = Moments(duration(fresh, *words))
    for seconds in moments:
        if verb in {"load", "rmi"}:
            fresh("load", "-i", archive) if verb == "rmi" else fresh("rmi", "-f", "other:v1", status=None)
        moments.kill(fresh.start(*words), seconds)
        works(fresh)
        check_layout(fresh.root / "images")
        assert (
            not os.path.exists(written)
            or subprocess.run(["tar", "-tf", written], capture_output=True, check=False).returncode == 0
        )
        Path(written).unlink(missing_ok=True)
    assert moments.killed > POINTS // 4
    fresh("load", "-i", archive)
    assert fresh("validate", "other:v1").status == 0
    all_gone(fresh)


def monitor_of(ocirun: Ocirun, name: str) -> int:
    """The pid of the monitor: the parent of the container's first process."""
    pid = ocirun.inspect(name)["State"]["Pid"]
    return int(re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def test_kill_of_the_monitor(fresh: Ocirun) -> None:
    """The container goes with it, and its state says so."""
    fresh("run", "-d", "--name", "one", BUSYBOX, "sleep", "600")
    pid = fresh.inspect("one")["State"]["Pid"]
    os.kill(monitor_of(fresh, "one"), signal.SIGKILL)
    until(lambda: fresh.status("one") == "exited", "the state")
    assert fresh.inspect("one")["State"]["ExitCode"] == 137
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the container to end")
    assert fresh("start", "one").word == "one"
    assert fresh.status("one") == "running"
    all_gone(fresh)


def test_kill_of_the_monitor_at_many_points(fresh: Ocirun) -> None:
    words = ["run", "--rm", BUSYBOX, "true"]
    known = processes_of(fresh.directory)
    assert known == []
    killed = 0
    for seconds in Moments(duration(fresh, *words)):
        process = fresh.start(*words)
        select.select([], [], [], seconds)
        for line in processes_of(fresh.directory, newer_than=process.pid):
            try:
                os.kill(int(line.split(":")[0]), signal.SIGKILL)
                killed += 1
            except (ProcessLookupError, PermissionError):
                pass
        _, errors = process.communicate(timeout=30)
        assert b"Traceback" not in (errors or b"")
        works(fresh)
    assert killed > 0
    all_gone(fresh)


def test_kill_of_many_clients_at_once(fresh: Ocirun) -> None:
    clients = [fresh.start("run", "-i", BUSYBOX, "cat", stdin=subprocess.PIPE) for _ in range(8)]
    until(lambda: len(fresh("ps", "-q").lines) == len(clients), "all to run")
    for client in clients:
        client.kill()
    for client in clients:
        client.communicate()
    works(fresh)
    all_gone(fresh)


def test_parallel_runs_do_not_disturb_each_other(fresh: Ocirun) -> None:
    clients = [fresh.start("run", "--rm", BUSYBOX, "echo", str(number)) for number in range(16)]
    outputs = [client.communicate(timeout=60) for client in clients]
    assert [output for output, _ in outputs] == [f"{number}\n".encode() for number in range(16)], outputs
    all_gone(fresh)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """An empty disk of 8 MiB."""
    path = os.environ.get("OCIRUN_TEST_SMALL_DISK")
    if not path:
        pytest.skip("no small disk: only root can make one (tests/system/machine.py)")
    yield Path(path)
    for name in os.listdir(path):
        remove_directory(Path(path) / name)


@pytest.fixture
def on_small_disk(small_disk: Path) -> Ocirun:
    """The CLI with its store on the small disk."""
    directory = small_disk / "store"
    directory.mkdir()
    return Ocirun(directory)


def test_full_disk_during_load_and_import(on_small_disk: Ocirun, fresh: Ocirun, tmp_path: Path) -> None:
    make_tar([("random", os.urandom(10_000_000))], tmp_path / "big.tar")
    fresh("import", str(tmp_path / "big.tar"), "big")
    fresh("save", "-o", str(tmp_path / "big-image.tar"), "big")
    for words in (["load", "-i", str(tmp_path / "big-image.tar")], ["import", str(tmp_path / "big.tar"), "big"]):
        line = on_small_disk(*words, status=1).error_line()
        assert "No space left on device" in line
        assert "--root" in line
        assert on_small_disk("images", "-q").stdout == ""
        assert entries(on_small_disk.root / "images/blobs/sha256") == []
        assert entries(on_small_disk.root / "tmp") == []
    on_small_disk("import", "-", "small", input=make_tar([("x", b"1")]))


def test_full_disk_during_unpack(on_small_disk: Ocirun) -> None:
    """The blob fits, its layer does not: zeros compress well."""
    import gzip

    packed = gzip.compress(make_tar([("zeros", bytes(20_000_000))]))
    result = on_small_disk("import", "-", "zeros", input=packed, status=None)
    if result.status == 0:
        result = on_small_disk("run", "--rm", "zeros", "/x", status=125)
    assert "No space left on device" in result.error_line()
    layers = on_small_disk.root / "layers"
    assert [name for key in entries(layers) if key != "host" for name in entries(layers / key)] == []
    assert entries(on_small_disk.root / "containers") == []


def test_full_disk_during_commit(on_small_disk: Ocirun, busybox_archive: Path) -> None:
    on_small_disk("import", "-c", "ENV PATH=/bin", str(busybox_archive), BUSYBOX)
    on_small_disk("run", "--name", "one", BUSYBOX, "sh", "-c", "head -c 2500000 /dev/urandom >/random")
    free = shutil.disk_usage(on_small_disk.root).free
    if free > 2_000_000:
        (on_small_disk.directory / "ballast").write_bytes(os.urandom(free - 1_000_000))
    before = entries(on_small_disk.root / "images/blobs/sha256")
    assert "No space left on device" in on_small_disk("commit", "one", "new", status=1).error_line()
    assert entries(on_small_disk.root / "images/blobs/sha256") == before
    check_layout(on_small_disk.root / "images")
    (on_small_disk.directory / "ballast").unlink(missing_ok=True)
    assert on_small_disk("rm", "one").word == "one"
    assert on_small_disk("images", "-q").lines != []


def test_full_disk_still_lets_things_be_removed(on_small_disk: Ocirun, busybox_archive: Path) -> None:
    on_small_disk("import", "-c", "ENV PATH=/bin", str(busybox_archive), BUSYBOX)
    on_small_disk("run", "--name", "one", BUSYBOX, "sh", "-c", "cat /dev/zero >/zeros", status=1)
    assert shutil.disk_usage(on_small_disk.root).free == 0
    assert on_small_disk("rm", "one").word == "one"
    assert on_small_disk("rmi", BUSYBOX).stdout


def test_full_disk_still_lets_a_container_remove_itself(on_small_disk: Ocirun, busybox_archive: Path) -> None:
    on_small_disk("import", "-c", "ENV PATH=/bin", str(busybox_archive), BUSYBOX)
    on_small_disk("run", "--rm", "-v", "/v", BUSYBOX, "sh", "-c", "cat /dev/zero >/v/zeros", status=1)
    assert shutil.disk_usage(on_small_disk.root).free > 1_000_000
    assert {name: entries(on_small_disk.root / name) for name in DIRECTORIES} == {name: [] for name in DIRECTORIES}


def test_read_only_home(empty: Ocirun) -> None:
    path = os.environ.get("OCIRUN_TEST_READ_ONLY_DISK")
    if not path:
        if MODE == "root":
            pytest.skip("no read-only disk: run by tests/system/machine.py")
        path = str(empty.directory / "closed")
        os.mkdir(path, 0o500)
    home = {"HOME": path, "XDG_DATA_HOME": ""}
    variables = {name: value for name, value in empty.environment.items() if name != "OCIRUN_ROOT"}
    closed = Ocirun(empty.directory)
    closed.environment = {**variables, "OCIRUN_ROOT": f"{path}/root"} if MODE == "root" else {**variables, **home}
    line = closed("run", "--rm", "host", "true", status=125).error_line()
    assert path in line
    assert "--root" in line
    assert closed("--root", str(empty.root), "run", "--rm", "host", "echo", "works").stdout == "works\n"


def test_user_namespaces_switched_off(fresh: Ocirun) -> None:
    """The message names the setting. Shown inside a user namespace of our own, whose limit we may set to none."""
    if MODE == "root":
        pytest.skip("root needs no user namespace")
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    nested = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", script, "sh"]
    command = [*nested, *COMMAND, "run", "--rm", "host", "true"]
    done = subprocess.run(command, env=fresh.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 125, done
    assert "user.max_user_namespaces" in done.stderr


@pytest.mark.single
def test_single_id_is_said_with_its_remedy(ocirun: Ocirun) -> None:
    text = ocirun("info").stdout
    assert "single" in text
    assert "uidmap" in text or "newuidmap" in text
