"""The C core as Python sees it: starting the static helper, running its tasks, opening paths below a root.

The only module that imports `_ocirun_native`. Every call into C releases the GIL. What the helper is told and what it
answers is written down in cext/plan.h and cext/launch.h.
"""

import _socket
import errno
import os

from _ocirun_native import ffi, lib

from ocirun.errors import HostError, StepError
from ocirun.files import OPEN_FILES_HINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Numbers of descriptors in the helper (enum in cext/launch.h).
PLAN = 3
CONTROL = 4

_HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libexec", "ocirun-init")
# One packet of the control socket: a type byte and at most this much.
_PACKET_BYTES = 65536


def _error(action: str, path: str = "") -> OSError:
    number = ffi.errno
    return OSError(number, f"{action}: {os.strerror(number)}", path or None)


def seal_memfd(name: str, data: bytes) -> int:
    """An anonymous file with `data` that nobody can change any more; `name` is for people. A descriptor. Raises OSError."""
    descriptor = lib.seal_memory(name.encode(), ffi.from_buffer(data), len(data))
    if descriptor < 0:
        raise _error("make a sealed memory file", name)
    return int(descriptor)


def open_in_root(root: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` as a process sees it whose root is the directory descriptor `root`: no link and no ".." leads out of it.

    Magic links such as /proc/self/fd/1 are refused (ELOOP). The descriptor is closed on exec. Raises OSError.
    """
    descriptor = lib.open_in_root(root, os.fsencode(path), flags, mode)
    if descriptor < 0:
        raise _error(f"open {path}", path)
    return int(descriptor)


def flush_file_system(path: str) -> None:
    """Wait until all that was written to the file system of directory `path` is on its disk (syncfs(2)). Raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if lib.syncfs(directory) < 0:
            raise _error(f"flush the file system of {path}", path)
    finally:
        os.close(directory)


def check_plan(plan: bytes) -> int:
    """Decode `plan` as the helper will and return the number of its steps. Raises StepError, with the reason as its path."""
    decoded = ffi.new("struct plan *")
    failure = ffi.new("struct failure *")
    # Bytes from outside may lie anywhere; the decoder wants them aligned, as a mapped file is.
    aligned = ffi.new("uint64_t[]", len(plan) // 8 + 1)
    ffi.memmove(aligned, plan, len(plan))
    if lib.plan_decode(aligned, len(plan), decoded, failure) < 0:
        raise _malformed(failure.step, failure.error, os.fsdecode(ffi.string(failure.path)))
    count = int(decoded.step_count)
    lib.plan_free(decoded)
    return count


def _malformed(step: int, number: int, reason: str) -> StepError:
    where = f"step {step} of the plan" if step >= 0 else "the plan"
    return StepError(f"{where} is malformed: {reason}", errno=number, step=step, path=reason)


def spawn(plan: bytes, mode: str, descriptors: "dict[int, int]") -> int:
    """Start the helper in `mode` ("task", "launch" or "monitor") with `plan`; returns its pid at once.

    `descriptors` are number in the helper -> ours: the control socket as 4, and what the plan's steps name. 0, 1 and 2
    are /dev/null unless named; everything else is closed. The monitor is no child of this process; a task or a launch has
    to be waited for. Raises HostError when the helper is missing or cannot be started.
    """
    try:
        program = lib.seal_program(os.fsencode(_HELPER))
        if program < 0:
            raise _error("copy the helper into memory", _HELPER)
        try:
            return _spawn(program, plan, mode, descriptors)
        finally:
            os.close(program)
    except OSError as error:
        hint = "build it with `make build`, or install ocirun again" if isinstance(error, FileNotFoundError) else ""
        if error.errno == errno.EMFILE:
            hint = OPEN_FILES_HINT
        raise HostError(f"start {_HELPER}: {os.strerror(error.errno or 0)}", hint) from error


def _spawn(program: int, plan: bytes, mode: str, descriptors: "dict[int, int]") -> int:
    sealed = seal_memfd("ocirun-plan", plan)
    try:
        pairs = sorted({**descriptors, PLAN: sealed}.items())
        numbers = ffi.new("int[]", [number for number, _ in pairs])
        sources = ffi.new("int[]", [source for _, source in pairs])
        pid = lib.spawn_helper(program, mode.encode(), numbers, sources, len(pairs), mode == "monitor")
        if pid < 0:
            raise _error("start the helper")
        return int(pid)
    finally:
        os.close(sealed)


def run_task(plan: bytes, descriptors: "dict[int, int]", describe: "Callable[[int], str]") -> bytes:
    """Execute a plan of file work and wait for its end. Returns what its steps reported ('R' messages, joined).

    `describe` makes a phrase of a step's number, for the sentence of the StepError that a failed step raises. Raises HostError too.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        try:
            pid = spawn(plan, "task", {**descriptors, CONTROL: theirs.fileno()})
        finally:
            theirs.close()
        results: list[bytes] = []
        failure = b""
        while packet := ours.recv(_PACKET_BYTES):
            if packet[:1] == b"R":
                results.append(packet[1:])
            elif packet[:1] == b"F":
                failure = failure or packet[1:]
    finally:
        ours.close()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if failure:
        raise _failed_step(failure, describe)
    if status != 0:
        raise StepError(f"the helper ended unexpectedly ({'signal' if status < 0 else 'status'} {abs(status)})")
    return b"".join(results)


def _failed_step(payload: bytes, describe: "Callable[[int], str]") -> StepError:
    """The error of a failed step, out of the payload of an 'F' message: i32 step, i32 errno, path."""
    step = int.from_bytes(payload[:4], "little", signed=True)
    number = int.from_bytes(payload[4:8], "little", signed=True)
    path = os.fsdecode(payload[8:])
    phrase = describe(step) if step >= 0 else "start the helper"
    reason = f" ({path})" if path and path not in phrase else ""
    return StepError(f"{phrase}: {os.strerror(number)}{reason}", errno=number, step=step, path=path)
