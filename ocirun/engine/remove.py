"""`rm`: containers go, and what belongs to them only: name, sockets, log, changes, on request anonymous volumes."""

import os

from ocirun.engine.records import status, wait_for_monitor
from ocirun.engine.run_lock import take_run_lock, wait_for_command
from ocirun.errors import ConflictError, NotFoundError, OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container


def remove_container(engine: "Engine", container: "Container", *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container; success means that it is gone. With `force` a running one is killed first.

    With `volumes` its anonymous volumes go too, as far as no other container uses them. Broken and half-made containers are
    removed like others. Raises ConflictError with docker's words when it runs.
    """
    from ocirun.runtime.states import check

    while True:
        state = status(container)
        if not force:
            check("remove", state.status, container.name or container.id)
        elif state.running:
            _kill(container)
        # A monitor that is ending, or one that removes the container itself, is waited for.
        wait_for_monitor(container, state)
        if not os.path.isdir(container.directory):
            return
        try:
            lock = take_run_lock(container.directory)
        except ConflictError:
            # It is being started or removed: the next look finds it running, or gone.
            wait_for_command(container.directory)
            continue
        except NotFoundError:
            # Somebody else has removed it.
            return
        try:
            remove_locked(engine, container, volumes=volumes)
        finally:
            os.close(lock)
        return


def _kill(container: "Container") -> None:
    from ocirun.engine.kill import kill_container

    try:
        kill_container(container, "SIGKILL")
    except ConflictError:
        # It ended by itself, which is as good.
        pass


def remove_leftover(engine: "Engine", container: "Container") -> bool:
    """Remove a container of --rm whose monitor was killed; False when it is busy or cannot be removed now."""
    try:
        lock = take_run_lock(container.directory)
    except OcirunError:
        return not os.path.isdir(container.directory)
    try:
        remove_locked(engine, container, volumes=True)
    except OcirunError:
        return False
    finally:
        os.close(lock)
    return True


def remove_locked(engine: "Engine", container: "Container", *, volumes: bool) -> None:
    """Remove a container whose run lock the caller holds. Raises StorageError, StepError."""
    from ocirun.engine.remove_trees import discard, remove_tree

    _remove_name(engine, container)
    discarded = discard(engine, [container.directory])
    remove_tree(engine, engine.runtime_directory(container.id))
    anonymous = container.record.get("anonymous_volumes") or []
    try:
        if volumes and anonymous:
            from ocirun.engine.volumes import remove_anonymous_volumes

            remove_anonymous_volumes(engine, anonymous)
    finally:
        discarded.finish()


def _remove_name(engine: "Engine", container: "Container") -> None:
    from ocirun.engine.records import id_of_name

    names = [container.name] if container.name else _names_of(engine, container.id)
    for name in names:
        if id_of_name(engine, name) == container.id:
            try:
                os.unlink(f"{engine.names_directory}/{name}")
            except FileNotFoundError:
                continue


def _names_of(engine: "Engine", container_id: str) -> "list[str]":
    """The names that lead to a container whose record is lost."""
    from ocirun.engine.records import id_of_name

    try:
        return [name for name in os.listdir(engine.names_directory) if id_of_name(engine, name) == container_id]
    except OSError:
        return []
