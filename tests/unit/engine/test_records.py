"""Containers as the disk keeps them: finding them, and the state that the kernel and state.json give."""

import fcntl
import json
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ocirun.engine.commit import check_not_removed
from ocirun.engine.context import Engine
from ocirun.engine.prune import prune_garbage
from ocirun.engine.records import NEVER, boot_id, find_container, format_time, list_containers, load_container, status
from ocirun.engine.remove import remove_container
from ocirun.engine.run_lock import is_run_lock_held, take_run_lock, wait_for_command, wait_for_run_lock
from ocirun.engine.settings import Settings, default_settings
from ocirun.engine.start import AlreadyRunningError, start_container
from ocirun.engine.wait import wait_container
from ocirun.errors import ConflictError, InvalidError, NotFoundError, StorageError

FIRST = "ab" * 32
SECOND = "ac" * 32


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An empty store."""
    made = Engine(Settings(str(tmp_path / "root"), str(tmp_path / "run")))
    made.prepare()
    return made


def put(engine: Engine, container_id: str, name: str, **record: object) -> str:
    """A container with only a record."""
    directory = engine.container_directory(container_id)
    os.mkdir(directory)
    document = {"id": container_id, "name": name, "created": "2026-01-01T00:00:00Z", **record}
    Path(directory, "container.json").write_text(json.dumps(document), encoding="utf-8")
    os.symlink(f"../containers/{container_id}", f"{engine.names_directory}/{name}")
    return directory


def put_state(directory: str, **state: object) -> None:
    """The state.json that a monitor would write."""
    Path(directory, "state.json").write_text(json.dumps(state), encoding="utf-8")


@pytest.mark.parametrize("reference", ["web", "/web", FIRST, FIRST[:12], "ab"])
def test_find(engine: Engine, reference: str) -> None:
    put(engine, FIRST, "web")
    put(engine, SECOND, "data")
    assert find_container(engine, reference).id == FIRST


def test_a_name_wins_over_the_beginning_of_an_id(engine: Engine) -> None:
    put(engine, FIRST, "web")
    put(engine, SECOND, "ab")
    assert find_container(engine, "ab").id == SECOND


@pytest.mark.parametrize("reference", ["nosuch", "", "..", "../containers", "a/b", "ff", FIRST[:-1] + "0"])
def test_find_nothing(engine: Engine, reference: str) -> None:
    put(engine, FIRST, "web")
    with pytest.raises(NotFoundError, match=r"^No such container: "):
        find_container(engine, reference)


def test_ambiguous_prefix(engine: Engine) -> None:
    put(engine, FIRST, "web")
    put(engine, SECOND, "data")
    with pytest.raises(InvalidError, match="Multiple IDs found with provided prefix: a"):
        find_container(engine, "a")


def test_name_without_a_container(engine: Engine) -> None:
    os.symlink(f"../containers/{FIRST}", f"{engine.names_directory}/gone")
    with pytest.raises(NotFoundError):
        find_container(engine, "gone")


def test_damaged_record(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    Path(directory, "container.json").write_bytes(b'{"id": ')
    container = find_container(engine, "web")
    assert container.record == {}
    assert status(container).status == "dead"
    assert [found.id for found in list_containers(engine)] == [FIRST]


def test_newest_first(engine: Engine) -> None:
    put(engine, FIRST, "old", created="2026-01-01T00:00:00.1Z")
    put(engine, SECOND, "new", created="2026-01-01T00:00:00.2Z")
    assert [container.name for container in list_containers(engine)] == ["new", "old"]


def test_states(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    container = load_container(engine, FIRST)
    state = status(container)
    assert (state.status, state.alive, state.pid, state.started_at) == ("created", False, 0, NEVER)
    lock = take_run_lock(directory)
    assert (status(container).status, status(container).alive) == ("created", True)
    put_state(directory, status="running", pid=77, boot_id=boot_id(), started_at="2026-01-01T00:00:01Z", monitor_pid=76)
    state = status(container)
    assert (state.status, state.running, state.pid, state.monitor_pid) == ("running", True, 77, 76)
    assert state.finished_at == NEVER
    put_state(directory, status="exited", pid=77, exit_code=3, finished_at="2026-01-01T00:00:02Z")
    assert (status(container).status, status(container).alive) == ("exited", True)
    os.close(lock)
    state = status(container)
    assert (state.status, state.exit_code, state.pid, state.alive) == ("exited", 3, 0, False)


def test_monitor_was_killed(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    put_state(directory, status="running", pid=77, boot_id=boot_id())
    state = status(load_container(engine, FIRST))
    assert (state.status, state.exit_code) == ("exited", 137)
    assert state.finished_at != NEVER


def test_machine_went_down(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    put_state(directory, status="running", pid=1, boot_id="another boot")
    assert status(load_container(engine, FIRST)).exit_code == 255
    Path(directory, "state.json").write_bytes(b"")
    state = status(load_container(engine, FIRST))
    assert (state.status, state.exit_code) == ("exited", 255)


def test_run_lock(tmp_path: Path) -> None:
    directory = str(tmp_path)
    assert not is_run_lock_held(directory)
    lock = take_run_lock(directory)
    copy = os.dup(lock)
    assert is_run_lock_held(directory)
    with pytest.raises(ConflictError):
        take_run_lock(directory)
    os.close(lock)
    assert is_run_lock_held(directory), "a copy of the descriptor holds it too, as the monitor's does"
    os.close(copy)
    assert not is_run_lock_held(directory)
    wait_for_run_lock(directory)
    wait_for_run_lock(f"{directory}/gone")


def give_up_the_second_byte(lock: int) -> None:
    """What the monitor does once the program runs (cext/monitor.c)."""
    fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, 1, 1, 0))


def test_the_end_of_a_start_is_waited_for(tmp_path: Path) -> None:
    directory = str(tmp_path)
    lock = take_run_lock(directory)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait_for_command, directory)
        assert not waiting.done()
        give_up_the_second_byte(lock)
        waiting.result(timeout=60)
    assert is_run_lock_held(directory), "the container runs"
    with pytest.raises(ConflictError):
        take_run_lock(directory)
    wait_for_command(f"{directory}/gone")
    os.close(lock)


def test_rm_waits_for_a_start_that_fails(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    lock = take_run_lock(directory)
    with ThreadPoolExecutor() as pool:
        removal = pool.submit(remove_container, engine, load_container(engine, FIRST), force=True)
        os.close(lock)
        removal.result(timeout=60)
    assert not os.path.exists(directory)


def test_start_of_what_another_command_has_started(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    lock = take_run_lock(directory)
    with ThreadPoolExecutor() as pool:
        second = pool.submit(start_container, engine, load_container(engine, FIRST))
        put_state(directory, status="running", pid=77, boot_id=boot_id())
        give_up_the_second_byte(lock)
        with pytest.raises(AlreadyRunningError, match="container web is already running"):
            second.result(timeout=60)
    os.close(lock)


def test_a_container_that_is_gone_has_no_lock(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No such container: gone"):
        take_run_lock(f"{tmp_path}/gone")


def test_removed_by_two_at_once(engine: Engine) -> None:
    directory = put(engine, FIRST, "web")
    container = load_container(engine, FIRST)
    check_not_removed(engine, container)
    remove_container(engine, container)
    assert not os.path.exists(directory)
    remove_container(engine, container)
    with pytest.raises(ConflictError, match="web was removed while it was committed"):
        check_not_removed(engine, container)
    with pytest.raises(NotFoundError, match="No such container"):
        wait_container(engine, container)
    assert os.listdir(engine.temporary_directory) == []


def test_prune_takes_an_index_that_was_not_renamed(engine: Engine) -> None:
    Path(engine.images_directory, "index.json.7.0a0b.tmp").write_text("{", encoding="utf-8")
    assert prune_garbage(engine) == ["index index.json.7.0a0b.tmp"]
    assert sorted(os.listdir(engine.images_directory)) == ["blobs", "index.json", "oci-layout"]


def test_prune_leaves_the_sockets_of_a_container_that_starts(engine: Engine) -> None:
    runtime = Path(engine.runtime_directory(FIRST))
    runtime.mkdir(parents=True)
    lock = take_run_lock(put(engine, FIRST, "web"))
    prune_garbage(engine)
    assert runtime.is_dir()
    os.close(lock)
    prune_garbage(engine)
    assert not runtime.exists()


def test_asking_does_not_take_the_lock(tmp_path: Path) -> None:
    os.close(take_run_lock(str(tmp_path)))
    assert not is_run_lock_held(str(tmp_path))
    os.close(take_run_lock(str(tmp_path)))


def test_format_time() -> None:
    assert format_time(1_700_000_000_000_000_042) == "2023-11-14T22:13:20.000000042Z"


def test_default_settings() -> None:
    settings = default_settings({"HOME": "/nowhere/u", "XDG_RUNTIME_DIR": "/run/user/7", "PATH": "/bin"}, 7)
    assert (settings.root, settings.runroot) == ("/nowhere/u/.local/share/ocirun", "/run/user/7/ocirun")
    assert (settings.search_path, settings.home) == ("/bin", "/nowhere/u")
    settings = default_settings({"HOME": "/nowhere/u", "XDG_DATA_HOME": "relative"}, 7)
    assert (settings.root, settings.runroot) == ("/nowhere/u/.local/share/ocirun", "/tmp/ocirun-7")
    settings = default_settings({"HOME": "/root"}, 0)
    assert (settings.root, settings.runroot) == ("/var/lib/ocirun", "/run/ocirun")
    settings = default_settings({"HOME": "/root", "OCIRUN_ROOT": "/a", "OCIRUN_RUNROOT": "/b"}, 0)
    assert (settings.root, settings.runroot) == ("/a", "/b")


def test_store_is_closed_to_others(engine: Engine) -> None:
    os.chmod(engine.root, 0o777)
    Engine(engine.settings).prepare()
    assert os.stat(engine.root).st_mode & 0o777 == 0o700


def test_run_directory_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(StorageError, match="File exists"):
        Engine(Settings(str(tmp_path / "root"), str(tmp_path / "link"))).prepare_runroot()


def test_run_directory_may_be_moved_behind_a_link_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    Engine(Settings(str(tmp_path / "root"), str(tmp_path / "link"))).prepare_runroot()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o700
