"""`exec`: a further process in a running container, with a small monitor of its own for its terminal and output."""

import os

from ocirun.engine.records import status
from ocirun.errors import ConflictError, InvalidError, NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.attach import Session
    from ocirun.engine.context import Engine
    from ocirun.engine.options import ExecOptions
    from ocirun.engine.records import Container
    from ocirun.oci.runtime_documents import Config
    from ocirun.runtime.steps import Plan
    from ocirun.runtime.users import User

_PROCESS_DESCRIPTOR = 6


def exec_container(
    engine: "Engine", container: "Container", options: "ExecOptions", *, rows: int = 0, columns: int = 0
) -> "Session":
    """Start a process in the container; success means that its exec has succeeded.

    `rows` and `columns` are the size of the terminal. Raises ConflictError when the container does not run,
    CommandNotFoundError, CommandNotExecutableError, StepError, NotFoundError for an unknown user, InvalidError for a
    directory that is no absolute path.
    """
    from ocirun.engine.start import launch, load_config
    from ocirun.runtime.lifecycle import open_process
    from ocirun.runtime.states import check

    if options.working_directory and not options.working_directory.startswith("/"):
        raise InvalidError(f"Cwd must be an absolute path: {options.working_directory}")
    state = status(container)
    check("exec", state.status, container.name or container.id, container.id)
    plan = _compile(engine, container, options, load_config(container), rows, columns)
    try:
        process = open_process(state.pid, state.start_time)
    except NotFoundError:
        raise ConflictError(f"container {container.id} is not running") from None
    try:
        return launch(plan, {_PROCESS_DESCRIPTOR: process})
    finally:
        os.close(process)


def _compile(
    engine: "Engine", container: "Container", options: "ExecOptions", config: "Config", rows: int, columns: int
) -> "Plan":
    from ocirun.runtime import plan
    from ocirun.runtime.exec_plan import compile_exec, exec_process
    from ocirun.runtime.seccomp import program

    process = exec_process(
        config,
        engine.host,
        arguments=options.command,
        environment=options.environment,
        user=_look_up_user(container, options.user) if options.user else None,
        working_directory=options.working_directory,
        terminal=options.tty,
        privileged=options.privileged,
    )
    flags = 0
    if options.tty:
        flags |= plan.MONITOR_TTY
    if options.interactive:
        flags |= plan.MONITOR_STDIN_OPEN | plan.MONITOR_STDIN_ONCE
    if not options.detach:
        flags |= plan.MONITOR_ATTACHED
    seccomp = b""
    if not options.privileged:
        seccomp = program((config.get("linux") or {}).get("seccomp"), engine.host, engine.seccomp_directory)
    return compile_exec(config, process, seccomp=seccomp, flags=flags, rows=rows, columns=columns)


def _look_up_user(container: "Container", words: str) -> "User":
    """The user as the container's own files, with its changes, have it."""
    from ocirun.engine.base import root_filesystem
    from ocirun.runtime.root_files import read_file
    from ocirun.runtime.users import resolve_user

    root = root_filesystem(container.directory, container.record, first_start=False)
    return resolve_user(words, read_file(root, "/etc/passwd"), read_file(root, "/etc/group"))
