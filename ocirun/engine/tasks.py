"""Work on files of containers, done by the C core inside the user namespace where their owners are ours."""

from ocirun.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.engine.context import Engine
    from ocirun.runtime.id_maps import IdMaps
    from ocirun.runtime.steps import Step

# The first number for descriptors that a task's steps name; 3 is the plan and 4 the control socket.
FIRST_DESCRIPTOR = 5
_SQUASH_OWNERS = 1
_SKIP_DEVICES = 2
# The files are on disk before the layer is shown by its rename (docs/decisions/0008).
_DURABLE = 4


def run_task(
    engine: "Engine", maps: "IdMaps", steps: "list[Step]", descriptors: "dict[int, int] | None" = None
) -> bytes:
    """Execute `steps` with the ids of `maps` and return what they report; blocks until done.

    `descriptors` are number in the task -> ours. Raises StepError, HostError.
    """
    from ocirun import native
    from ocirun.runtime.task_plan import compile_task

    plan = compile_task(engine.host, maps, steps)
    try:
        return native.run_task(plan.encode(), descriptors or {}, lambda step: plan.steps[step].describe())
    except StepError as failed:
        if not 0 <= failed.step < len(plan.steps):
            raise
        from ocirun.engine.failures import step_failure

        raise step_failure(plan, failed.step, failed.errno or 0, failed.path) from failed


def extractor(engine: "Engine", maps: "IdMaps", entries: int = 0) -> "Callable[[int, str, list[str]], tuple[int, int]]":
    """A function (tar descriptor, target directory, lower directories top first) -> (files, bytes) that unpacks a layer.

    It may have at most `entries` entries (0: the C core's own limit).
    """

    def extract(descriptor: int, target: str, lowers: "list[str]") -> "tuple[int, int]":
        from ocirun.runtime.steps import Step

        flags = _DURABLE
        if maps.mode == "single":
            flags |= _SQUASH_OWNERS
        if maps.user_namespace:
            flags |= _SKIP_DEVICES
        step = Step("untar", FIRST_DESCRIPTOR, flags, entries, target, *lowers)
        return _counts(run_task(engine, maps, [step], {FIRST_DESCRIPTOR: descriptor}))

    return extract


def tree_remover(engine: "Engine", maps: "IdMaps") -> "Callable[[str], None]":
    """A function that removes a directory and all below it."""

    def remove(path: str) -> None:
        from ocirun.runtime.steps import Step

        run_task(engine, maps, [Step("remove_tree", path)])

    return remove


def _counts(report: bytes) -> "tuple[int, int]":
    words = report.split()
    numbers = {
        words[index]: int(words[index + 1]) for index in range(0, len(words) - 1, 2) if words[index + 1].isdigit()
    }
    return numbers.get(b"files", 0), numbers.get(b"bytes", 0)
