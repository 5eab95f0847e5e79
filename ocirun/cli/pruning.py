"""What the prune verbs share: the question, the filters, and the report."""

import sys

from ocirun.cli.formats import human_size
from ocirun.cli.options import Option
from ocirun.cli.output import flush, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.cli.filters import Filters
    from ocirun.engine.records import Container

FORCE = Option("force", "bool", "Do not ask", short="f")


def confirm(warning: str) -> bool:
    """Whether the user answers yes to `warning`; the end of input is a no."""
    write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    flush()
    answer = sys.stdin.readline() if sys.stdin is not None else ""
    return answer.strip().lower() in ("y", "yes")


def report(sections: "list[tuple[str, list[str]]]", freed: int) -> None:
    """Print the lines of each section that has some below its heading, and the bytes that were freed."""
    for heading, lines in sections:
        if lines:
            write(f"{heading}:\n" + "".join(f"{line}\n" for line in lines) + "\n")
    write(f"Total reclaimed space: {human_size(freed, 4)}\n")


def label_choice(filters: "Filters") -> "Callable[[dict[str, str]], bool]":
    """A function that tells whether labels have all that the filter `label` names and nothing that `label!` names."""

    def fits(labels: "dict[str, str]") -> bool:
        unwanted = filters.values("label!")
        return filters.matches_labels(labels) and not (unwanted and filters.matches_labels(labels, "label!"))

    return fits


def container_choice(filters: "Filters") -> "Callable[[Container], bool]":
    """A function that tells whether a container fits the filters label, label! and until. Raises UsageError."""
    from ocirun.engine.times import parse_moment

    fits_labels = label_choice(filters)
    until = parse_moment(filters.single("until")) if "until" in filters else None

    def fits(container: "Container") -> bool:
        created = container.record.get("created", "")
        if until is not None and (not created or parse_moment(created) > until):
            return False
        return fits_labels((container.record.get("config") or {}).get("Labels") or {})

    return fits
