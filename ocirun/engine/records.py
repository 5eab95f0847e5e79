"""Containers as the disk keeps them: their records, how they are found by name or id, and what state they are in.

A record (container.json) is written once, when the container is made, and read by everybody. Its keys:

    version 1 | id | name | created (RFC 3339) | image (as typed) | image_id, image_digest ("" for `host`) | platform
    layers (chain ids) | lowers (directories, top first) | foreign_root (keep-id)
    trees ((path, lowers) of the further overlays of image `host`) | skeletons (of `host`, by name)
    path, args (what is executed) | config, host_config, network_mode (docker's words) | mounts (docker's MountPoints)
    auto_remove | tty | open_stdin | stdin_once | anonymous_volumes (names) | log (max_bytes, 0 for no limit; max_files)

The state is asked of the kernel: whether the monitor holds run.lock, and only then what state.json says.
"""

import json
import os

from ocirun.engine.run_lock import is_run_lock_held, wait_for_run_lock
from ocirun.errors import InvalidError, NotFoundError
from ocirun.files import write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine

NEVER = "0001-01-01T00:00:00Z"
# As much as the monitor writes at most (cext/state_file.c).
_STATE_BYTES = 1024
_HEX = frozenset("0123456789abcdef")


class Container:
    """One container: its record and its directory. Nothing is changed through it."""

    __slots__ = ("directory", "id", "name", "record")

    def __init__(self, directory: str, container_id: str, record: "dict[str, Any]") -> None:
        self.directory = directory
        self.id = container_id
        self.name: str = record.get("name", "")
        self.record = record


class State:
    """What a container is doing: `status` is "created", "running", "exited" or "dead" (its record cannot be read).

    `alive` tells that a monitor or a command holds its lock, also while it starts or is cleaned up. Times are RFC 3339, or NEVER.
    """

    __slots__ = (
        "alive",
        "error",
        "exit_code",
        "finished_at",
        "monitor_pid",
        "pid",
        "start_time",
        "started_at",
        "status",
    )

    def __init__(self, status: str, *, alive: bool = False, document: "dict[str, Any] | None" = None) -> None:
        document = document or {}
        self.status = status
        self.alive = alive
        self.exit_code: int = document.get("exit_code") or 0
        self.pid: int = document.get("pid", 0) if status == "running" else 0
        self.start_time: int = document.get("start_time", 0)
        self.monitor_pid: int = document.get("monitor_pid", 0) if alive else 0
        self.started_at: str = document.get("started_at") or NEVER
        self.finished_at: str = NEVER if status == "running" else document.get("finished_at") or NEVER
        self.error: str = document.get("error") or ""

    @property
    def running(self) -> bool:
        """Whether the container's program runs."""
        return self.status == "running"


def status(container: Container, *, assume_free: bool = False) -> State:
    """The state of `container` at this moment, as the kernel and the monitor's last word have it.

    `assume_free` leaves out the question whether its lock is held, for the one that holds it.
    """
    if not container.record:
        return State("dead", alive=is_run_lock_held(container.directory))
    # The lock first: a monitor that ends in between has written "exited" before it lets go.
    alive = not assume_free and is_run_lock_held(container.directory)
    document = read_state(container.directory)
    if document is None:
        return State("created", alive=alive)
    recorded = document.get("status", "exited")
    if recorded == "running" and not alive and not assume_free:
        # Asked again: it may have started between the two looks.
        alive = is_run_lock_held(container.directory)
    if recorded == "running" and not alive:
        return State("exited", document=_killed(container, document, locked=assume_free))
    return State(recorded, alive=alive, document=document)


def wait_for_monitor(container: Container, state: State) -> None:
    """Block until the monitor that `state` names has done its work; at once when there is none.

    A lock that is held without it belongs to a command that starts or removes the container, and is not waited for.
    """
    try:
        with open(f"/proc/{state.monitor_pid}/cmdline", "rb") as file:
            title = file.read()
    except OSError:
        return
    # The monitor shows twelve digits of the id, and nothing once it is on its way out, when it may still hold the lock.
    if not title or container.id[:12].encode() in title:
        wait_for_run_lock(container.directory)


def read_state(directory: str) -> "dict[str, Any] | None":
    """The monitor's state.json, or None when the container was never started.

    The monitor does not sync "running" to the disk, so after a power cut the file may be empty: that reads as running then.
    """
    try:
        with open(f"{directory}/state.json", "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        document = None
    return document if isinstance(document, dict) else {"status": "running", "boot_id": ""}


def reserve_state(directory: str) -> None:
    """Write the state of a container that was never started, with room on the disk for what its monitor will write.

    A program can fill the disk before its monitor has written "running"; then the monitor writes over this in place.
    """
    text = json.dumps({"status": "created", "pid": 0, "exit_code": 0, "error": ""})
    write_file(f"{directory}/state.json", text.ljust(_STATE_BYTES - 1).encode() + b"\n", durable=False)


def _killed(container: Container, document: "dict[str, Any]", *, locked: bool) -> "dict[str, Any]":
    """The state of a container whose monitor ended without a word: killed with it, or the machine went down."""
    same_boot = document.get("boot_id") == boot_id()
    if same_boot:
        from ocirun.engine.orphans import end_orphan

        end_orphan(container.directory, document, locked=locked)
    return {
        **document,
        "status": "exited",
        "exit_code": 137 if same_boot else 255,
        "finished_at": _last_sign(container),
    }


def _last_sign(container: Container) -> str:
    for name in ("container.log", "state.json"):
        try:
            return format_time(os.stat(f"{container.directory}/{name}").st_mtime_ns)
        except OSError:
            continue
    return NEVER


def boot_id() -> str:
    """The kernel's random id of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def format_time(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 in UTC with nine digits, the form that docker prints."""
    import time

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def load_container(engine: "Engine", container_id: str) -> Container:
    """The container with this full id; its record is {} when it cannot be read. Raises NotFoundError."""
    directory = engine.container_directory(container_id)
    try:
        with open(f"{directory}/container.json", "rb") as file:
            record = json.load(file)
        if not isinstance(record, dict):
            record = {}
    except (OSError, ValueError):
        record = {}
        if not os.path.isdir(directory):
            raise NotFoundError(f"No such container: {container_id}") from None
    return Container(directory, container_id, record)


def find_container(engine: "Engine", reference: str) -> Container:
    """The container with this full id, name, or unique beginning of an id, tried in docker's order.

    Raises NotFoundError, and InvalidError when several ids begin so.
    """
    name = reference.removeprefix("/")
    hexadecimal = _HEX.issuperset(name) and name != ""
    if hexadecimal and len(name) == 64 and os.path.isdir(engine.container_directory(name)):
        return load_container(engine, name)
    container_id = id_of_name(engine, name)
    if container_id:
        try:
            return load_container(engine, container_id)
        except NotFoundError:
            pass
    if hexadecimal:
        found = [entry for entry in container_ids(engine) if entry.startswith(name)]
        if len(found) > 1:
            raise InvalidError(f"Multiple IDs found with provided prefix: {name}", "give more digits of the id")
        if found:
            return load_container(engine, found[0])
    raise NotFoundError(f"No such container: {reference}")


def id_of_name(engine: "Engine", name: str) -> str:
    """The id that `name` leads to, or ""; the container may be gone after a crash."""
    if not name or "/" in name or name in (".", ".."):
        return ""
    try:
        return os.readlink(f"{engine.names_directory}/{name}").rpartition("/")[2]
    except OSError:
        return ""


def container_ids(engine: "Engine") -> "list[str]":
    """The full ids of all containers, in no order."""
    try:
        return [name for name in os.listdir(engine.containers_directory) if len(name) == 64]
    except OSError:
        return []


def list_containers(engine: "Engine") -> "list[Container]":
    """All containers, newest first, damaged ones last.

    Containers that were to remove themselves (--rm) but whose monitor was killed are removed on the way.
    """
    found = []
    for container_id in container_ids(engine):
        try:
            container = load_container(engine, container_id)
        except NotFoundError:
            continue
        if container.record.get("auto_remove") and _is_leftover(container):
            from ocirun.engine.remove import remove_leftover

            if remove_leftover(engine, container):
                continue
        found.append(container)
    found.sort(key=lambda container: container.record.get("created", ""), reverse=True)
    return found


def _is_leftover(container: Container) -> bool:
    state = status(container)
    return state.status == "exited" and not state.alive
