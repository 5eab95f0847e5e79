"""Sentences for steps that failed: docker's words where the program is to blame, the setting's name where the machine is."""

import errno
import os

from ocirun.errors import (
    CommandNotExecutableError,
    CommandNotFoundError,
    HostError,
    OcirunError,
    StepError,
    StorageError,
)
from ocirun.files import OPEN_FILES_HINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.runtime.steps import Plan

_LONGEST_PATH = 240
_NAMESPACE_STEPS = ("clone", "id_map_write", "id_map_helper", "deny_setgroups", "become")


def start_failure(plan: "Plan", failed: StepError) -> OcirunError:
    """The error of a program that could not be started, made from the step of `plan` that failed."""
    return step_failure(plan, failed.step, failed.errno or 0, failed.path)


def step_failure(plan: "Plan", step: int, number: int, path: str) -> OcirunError:
    """The error of step `step` of `plan` that failed with errno `number` on `path`."""
    if not 0 <= step < len(plan.steps):
        return StepError(f"start the container: {path}: {os.strerror(number)}", errno=number, step=step, path=path)
    kind = plan.steps[step].kind
    if kind == "command":
        return _command_failure(str(_text(plan.steps[step].strings[0])), step, number)
    reason = os.strerror(number) if number else "failed"
    if kind == "working_directory":
        directory = _text(plan.steps[step].strings[0])
        return StepError(
            f'chdir to cwd ("{directory}") set in config.json failed: {reason.lower()}',
            errno=number,
            step=step,
            path=path,
        )
    if kind in _NAMESPACE_STEPS:
        return _namespace_failure(plan, step, number, path)
    if kind == "overlay":
        return _overlay_failure(plan, step, number, path)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"{plan.steps[step].describe()}: {reason}", "free space, or move the store with --root")
    hint = OPEN_FILES_HINT if number == errno.EMFILE else ""
    where = f" ({_shortened(path)})" if path and path not in plan.steps[step].describe() else ""
    return StepError(f"{plan.steps[step].describe()}{where}: {reason}", hint, errno=number, step=step, path=path)


def _command_failure(word: str, step: int, number: int) -> StepError:
    if number == errno.ENOENT:
        if "/" in word:
            what = f'exec: "{word}": stat {word}: no such file or directory'
        else:
            what = f'exec: "{word}": executable file not found in $PATH'
        return CommandNotFoundError(what, errno=number, step=step, path=word)
    reason = os.strerror(number).lower()
    return CommandNotExecutableError(f'exec: "{word}": {reason}', errno=number, step=step, path=word)


def _namespace_failure(plan: "Plan", step: int, number: int, path: str) -> OcirunError:
    from ocirun.host import user_namespace_obstacle

    obstacle = user_namespace_obstacle()
    if obstacle is not None:
        return HostError(*obstacle)
    what = plan.steps[step].describe()
    if plan.steps[step].kind == "id_map_helper":
        said = path.strip() or os.strerror(number)
        return HostError(
            f"map user ids: {said}", "check /etc/subuid and /etc/subgid, or leave newuidmap out of PATH to use one id"
        )
    if number == errno.ENOSPC:
        return HostError(f"{what}: too many namespaces", "as root: raise the sysctl user.max_user_namespaces")
    if number in (errno.EPERM, errno.EACCES):
        return HostError(
            f"{what}: {os.strerror(number)}", "this machine or the sandbox around ocirun forbids user namespaces"
        )
    return StepError(f"{what}: {os.strerror(number)}", errno=number, step=step, path=path)


def _overlay_failure(plan: "Plan", step: int, number: int, path: str) -> OcirunError:
    what = f"{plan.steps[step].describe()}: {os.strerror(number)}"
    hints = {
        errno.ENODEV: "load the kernel module: modprobe overlay",
        errno.EINVAL: "overlayfs may not take this file system; put the store on a local one with --root",
        errno.EPERM: "the kernel forbids overlayfs in user namespaces (Linux 5.11 allows it)",
        errno.EOPNOTSUPP: "the file system lacks extended attributes; put the store on another one with --root",
    }
    return StepError(what, hints.get(number, ""), errno=number, step=step, path=path)


def _shortened(path: str) -> str:
    """A path that fits a message: a container may make them thousands of bytes long."""
    return path if len(path) <= _LONGEST_PATH else f"{path[: _LONGEST_PATH // 2]}...{path[-_LONGEST_PATH // 2 :]}"


def _text(value: "str | bytes | int") -> "str | int":
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
