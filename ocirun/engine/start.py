"""`start`: from a container on disk to its running program, watched by a monitor."""

import json
import os

from ocirun.engine.records import read_state, status, wait_for_monitor
from ocirun.engine.run_lock import take_run_lock, wait_for_command
from ocirun.errors import ConflictError, InvalidError, OcirunError, StepError, StorageError
from ocirun.files import make_directory, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.attach import Session
    from ocirun.engine.context import Engine
    from ocirun.engine.options import ContainerOptions
    from ocirun.engine.records import Container
    from ocirun.oci.runtime_documents import Config
    from ocirun.runtime.steps import Plan, Step

RUN_LOCK_DESCRIPTOR = 5
_CONTROL_DESCRIPTOR = 4


class AlreadyRunningError(ConflictError):
    """The container runs; for `start` that is as good."""


def start_container(
    engine: "Engine", container: "Container", *, attach: bool = False, rows: int = 0, columns: int = 0
) -> "Session":
    """Start the container's program; success means that its exec has succeeded.

    With `attach` the session gets its output and may send input; `rows` and `columns` are the size of the terminal.
    Raises AlreadyRunningError, also when another command has just started it, CommandNotFoundError,
    CommandNotExecutableError, StepError, HostError; the container is left in the state "created" with the error, or removed
    when it removes itself.
    """
    lock = _take_lock(container)
    try:
        _settle(container)
        config = load_config(container)
        if rows and columns:
            config["process"]["consoleSize"] = {"height": rows, "width": columns}
        plan = compile_start(engine, container, config, attach=attach)
        engine.prepare_runroot()
        make_directory(engine.runtime_directory(container.id))
        return launch(plan, {RUN_LOCK_DESCRIPTOR: lock})
    except OcirunError as error:
        _note_failure(engine, container, error)
        raise
    finally:
        os.close(lock)


def _take_lock(container: "Container") -> int:
    """The run lock, waited for while another command starts or removes the container, or its last monitor ends."""
    while True:
        try:
            return take_run_lock(container.directory)
        except ConflictError:
            wait_for_command(container.directory)
        state = status(container)
        if state.running:
            raise AlreadyRunningError(f"container {container.name or container.id} is already running")
        wait_for_monitor(container, state)


def dry_run(engine: "Engine", options: "ContainerOptions") -> str:
    """The plan that `run` would execute, as text; nothing is made but what is missing of the image's layers.

    The C core's decoder has accepted what is returned. Raises what `compile_start` raises, and StepError.
    """
    from ocirun import native
    from ocirun.engine.create import draft_container

    container, config = draft_container(engine, options)
    plan = compile_start(engine, container, config, attach=not options.detach)
    native.check_plan(plan.encode())
    return plan.describe()


def load_config(container: "Container") -> "Config":
    """The container's OCI configuration. Raises InvalidError when it cannot be read."""
    path = f"{container.directory}/config.json"
    try:
        with open(path, "rb") as file:
            loaded = json.load(file)
    except (OSError, ValueError) as error:
        raise InvalidError(
            f"{path} is damaged: {error}", f"remove the container: ocirun rm {container.id[:12]}"
        ) from error
    config: Config = loaded
    if not isinstance(loaded, dict):
        raise InvalidError(f"{path} is damaged: expected an object")
    return config


def compile_start(engine: "Engine", container: "Container", config: "Config", *, attach: bool) -> "Plan":
    """The plan that starts `container`. Raises InvalidError, UnsupportedError, HostError, StorageError."""
    from ocirun.engine.base import root_filesystem
    from ocirun.engine.mounts import populated_targets
    from ocirun.runtime.plan import Monitor, compile_plan
    from ocirun.runtime.seccomp import program

    record = container.record
    first_start = (read_state(container.directory) or {}).get("status", "created") == "created"
    monitor = Monitor(
        flags=_flags(record, attach=attach),
        log=f"{container.directory}/container.log",
        state=f"{container.directory}/state.json",
        socket=f"{engine.runtime_directory(container.id)}/attach",
        log_max_bytes=record["log"]["max_bytes"],
        log_max_files=record["log"]["max_files"],
        removals=_removals(engine, container),
    )
    return compile_plan(
        config,
        engine.host,
        root_filesystem(container.directory, record, first_start=first_start),
        monitor=monitor,
        seccomp=program((config.get("linux") or {}).get("seccomp"), engine.host, engine.seccomp_directory),
        populate=populated_targets(record["mounts"]) if first_start else frozenset(),
        container_id=container.id,
    )


def _flags(record: "dict[str, Any]", *, attach: bool) -> int:
    from ocirun.runtime import plan

    flags = plan.MONITOR_REMOVE_IN_NAMESPACE
    if record["tty"]:
        flags |= plan.MONITOR_TTY
    if record["open_stdin"]:
        flags |= plan.MONITOR_STDIN_OPEN
    if record["stdin_once"] and attach:
        flags |= plan.MONITOR_STDIN_ONCE
    if attach:
        flags |= plan.MONITOR_ATTACHED
    return flags


def _removals(engine: "Engine", container: "Container") -> "list[Step]":
    """What the monitor removes after the exit, in this order: the name first, which is the container's as long as that is there.

    The volumes before the container: after a crash in between, whoever finds the container removes what is left of both.
    """
    from ocirun.image.staging import new_staging_path
    from ocirun.runtime.steps import Step

    runtime = Step("after_exit_remove", engine.runtime_directory(container.id))
    if not container.record["auto_remove"]:
        return [runtime]
    staging = new_staging_path(engine.temporary_directory)
    steps = [Step("after_exit_remove", f"{engine.names_directory}/{container.name}")]
    for name in container.record["anonymous_volumes"]:
        path = f"{engine.volumes_directory}/{name}"
        steps.append(Step("after_exit_volume", path, engine.containers_directory, staging))
    return [*steps, Step("after_exit_discard", container.directory, staging), runtime]


def _settle(container: "Container") -> None:
    """Write down how the last run ended when its monitor was killed, so that "running" is not read while this one starts."""
    document = read_state(container.directory)
    if document is not None and document.get("status") == "running":
        state = status(container, assume_free=True)
        ended = {"status": "exited", "pid": 0, "exit_code": state.exit_code, "finished_at": state.finished_at}
        write_json(f"{container.directory}/state.json", {**document, **ended})


def launch(plan: "Plan", descriptors: "dict[int, int]") -> "Session":
    """Start the monitor on `plan` and wait until the program runs. Raises what start_container raises for that."""
    import _socket

    from ocirun.engine.attach import Session
    from ocirun.engine.failures import start_failure
    from ocirun.runtime.lifecycle import start

    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    session = Session(ours)
    try:
        try:
            start(plan, {_CONTROL_DESCRIPTOR: theirs.fileno(), **descriptors})
        finally:
            theirs.close()
        session.start()
    except StepError as failed:
        session.close()
        raise start_failure(plan, failed) from failed
    except BaseException:
        session.close()
        raise
    return session


def _note_failure(engine: "Engine", container: "Container", error: OcirunError) -> None:
    """Keep the error with the container, as docker does (state "created", its exit code and message), or remove it."""
    from ocirun.engine.remove import remove_locked

    if container.record.get("auto_remove"):
        try:
            remove_locked(engine, container, volumes=True)
        except OcirunError:
            # The error that matters is the first one; the rest is out of sight and left to prune.
            pass
        return
    previous = read_state(container.directory) or {}
    document = {
        **previous,
        "status": previous.get("status", "created"),
        "pid": 0,
        "exit_code": error.exit_code if error.exit_code in (126, 127) else 128,
        "error": str(error),
    }
    try:
        write_json(f"{container.directory}/state.json", document, durable=False)
    except StorageError:
        # On a full disk: the error that matters is the first one.
        pass
