"""Verbs that take several names: each is tried, a failure is one line, and the others go on."""

from ocirun.cli.output import flush, write, write_error
from ocirun.errors import NotFoundError, OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocirun.engine.context import Engine


def for_each(
    engine: "Engine", names: "Iterable[str]", action: "Callable[[str], str | None]", *, forgive_missing: bool = False
) -> int:
    """Call `action` with each name and print the line that it returns (None: nothing).

    Returns 0, or 1 when one failed; with `forgive_missing` a name that does not exist is only mentioned (docker's `rm -f`).
    """
    status = 0
    for name in names:
        try:
            line = action(name)
        except OcirunError as error:
            complain(engine, error)
            if not (forgive_missing and isinstance(error, NotFoundError)):
                status = 1
            continue
        if line is not None:
            write(f"{line}\n")
            # The names are a script's progress: they come as things happen.
            flush()
    return status


def complain(engine: "Engine", error: OcirunError) -> None:
    """Print the one line of an error that does not end the command."""
    from ocirun.cli.failures import sentence

    flush()
    if engine.settings.debug:
        import traceback

        write_error("".join(traceback.format_exception(error)))
    write_error(f"ocirun: {sentence(error, 'ocirun')}\n")


def for_each_at_once(engine: "Engine", names: "list[str]", action: "Callable[[str], str]") -> int:
    """As for_each, with all actions under way at the same time; the lines come in the order of the names."""
    if len(names) < 2:
        return for_each(engine, names, action)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(names), 50)) as pool:
        results = [pool.submit(action, name) for name in names]
        pending = iter(results)
        return for_each(engine, names, lambda _: next(pending).result())
