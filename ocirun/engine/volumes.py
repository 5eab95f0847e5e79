"""Volumes: directories below <root>/volumes that outlive containers, named or anonymous.

A volume appears by rename with its volume.json complete. Whoever puts a volume to use holds containers.lock shared until the
container's record is on disk; removing one takes it exclusively, so a volume cannot vanish in between. A monitor, which may
not wait for an image that is unpacked under that lock, removes the anonymous volumes of its container under a lock on each
of them (cext/monitor_cleanup.c): see `hold_volume`.
"""

import fcntl
import json
import os

from ocirun.engine.names import is_name
from ocirun.engine.records import container_ids, load_container
from ocirun.errors import ConflictError, NotFoundError, UsageError
from ocirun.files import Lock, fsync_directory, storage_error, write_json
from ocirun.image.staging import Staging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
_DATA_MODE = 0o755
_ANONYMOUS_DIGITS = 64
# A name is a directory's.
_LONGEST_NAME = 255


def check_volume_name(name: str) -> None:
    """Raise UsageError with docker's text when `name` breaks the grammar of volume names."""
    if len(name) == 1:
        raise UsageError(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not is_name(name) or len(name) > _LONGEST_NAME:
        raise UsageError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )


def volume_data(engine: "Engine", name: str) -> str:
    """The directory that containers see of volume `name`."""
    return f"{engine.volumes_directory}/{name}/_data"


def create_volume(engine: "Engine", name: str = "", labels: "dict[str, str] | None" = None) -> "dict[str, Any]":
    """Make volume `name` ("" = a random name, anonymous) and return its document; an existing one is returned as it is.

    Raises UsageError, StorageError.
    """
    from ocirun.engine.times import now_text

    labels = dict(labels or {})
    if not name:
        name = os.urandom(_ANONYMOUS_DIGITS // 2).hex()
        labels[ANONYMOUS_LABEL] = ""
    check_volume_name(name)
    try:
        return inspect_volume(engine, name)
    except NotFoundError:
        pass
    engine.prepare()
    with Staging(engine.temporary_directory) as staging:
        path = f"{staging.path}/volume"
        try:
            os.mkdir(path, 0o700)
            os.mkdir(f"{path}/_data")
            os.chmod(f"{path}/_data", _DATA_MODE)
            write_json(f"{path}/volume.json", {"name": name, "created": now_text(), "labels": labels, "options": {}})
            os.rename(path, f"{engine.volumes_directory}/{name}")
            fsync_directory(engine.volumes_directory)
        except OSError as error:
            # Somebody else made it in the meantime: rename refuses to replace a directory that is not empty.
            if not os.path.isdir(f"{engine.volumes_directory}/{name}"):
                raise storage_error(error, f"create volume {name}") from error
    return inspect_volume(engine, name)


def may_be_anonymous(name: str) -> bool:
    """Whether the volume can be one that a monitor removes with its container."""
    return len(name) == _ANONYMOUS_DIGITS


def hold_volume(engine: "Engine", name: str) -> int:
    """Make volume `name` if it is missing, and keep it from being removed by a monitor as long as the descriptor returned is open.

    To be closed when a record that names the volume is in place. Raises StorageError.
    """
    path = f"{engine.volumes_directory}/{name}"
    while True:
        create_volume(engine, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise storage_error(error, f"open volume {name}") from error
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_at(descriptor, path):
            return descriptor
        # It was removed while we waited for it.
        os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def inspect_volume(engine: "Engine", name: str) -> "dict[str, Any]":
    """Volume `name` in the words of docker's API. Raises NotFoundError."""
    try:
        with open(f"{engine.volumes_directory}/{name}/volume.json", "rb") as file:
            document = json.load(file)
    except (OSError, ValueError):
        raise NotFoundError(f"get {name}: no such volume") from None
    return {
        "CreatedAt": document.get("created", ""),
        "Driver": "local",
        "Labels": document.get("labels") or None,
        "Mountpoint": volume_data(engine, name),
        "Name": name,
        "Options": document.get("options") or None,
        "Scope": "local",
    }


def list_volumes(engine: "Engine") -> "list[dict[str, Any]]":
    """The documents of all volumes, by name."""
    try:
        names = sorted(os.listdir(engine.volumes_directory))
    except OSError:
        return []
    found = []
    for name in names:
        try:
            found.append(inspect_volume(engine, name))
        except NotFoundError:
            continue
    return found


def volume_users(engine: "Engine", name: str) -> "list[str]":
    """The ids of the containers that mount volume `name`."""
    users = []
    for container_id in container_ids(engine):
        try:
            record = load_container(engine, container_id).record
        except NotFoundError:
            continue
        if any(mount.get("Type") == "volume" and mount.get("Name") == name for mount in record.get("mounts", ())):
            users.append(container_id)
    return users


def remove_volume(engine: "Engine", name: str, *, force: bool = False) -> None:
    """Remove volume `name`; with `force` it is no error when there is none.

    Raises NotFoundError, ConflictError when a container uses it, StorageError.
    """
    from ocirun.engine.remove_trees import discard

    check_volume_name(name)
    engine.prepare()
    with Lock(engine.containers_lock_path):
        path = f"{engine.volumes_directory}/{name}"
        if not os.path.isdir(path):
            if force:
                return
            raise NotFoundError(f"get {name}: no such volume")
        users = volume_users(engine, name)
        if users:
            raise ConflictError(f"remove {name}: volume is in use - [{', '.join(users)}]")
        discarded = discard(engine, [path])
    discarded.finish()


def remove_anonymous_volumes(engine: "Engine", names: "list[str]") -> None:
    """Remove those of `names` that no container uses any more; others stay, without an error. Raises StorageError."""
    for name in names:
        try:
            remove_volume(engine, name, force=True)
        except ConflictError:
            continue
