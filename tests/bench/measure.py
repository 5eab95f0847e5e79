"""Interleaved rounds, medians, and ratios."""

import os
import statistics
import time
from collections.abc import Callable, Sequence


def interleaved(
    candidates: dict[str, Callable[[], None]], rounds: int, after: Sequence[Callable[[], None]] = ()
) -> dict[str, list[float]]:
    """Seconds of every candidate in every round, one warm-up round not counted; `after` runs between rounds, untimed."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, candidate in candidates.items():
            # What the candidate before has left for the disk to do is not charged to this one.
            os.sync()
            start = time.perf_counter()
            candidate()
            if number:
                times[name].append(time.perf_counter() - start)
        for clean in after:
            clean()
    return times


def median_of(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


class Table:
    """Measured values by candidate; the first one, ocirun, is what the others are compared with."""

    def __init__(self, title: str, unit: str, budget: str) -> None:
        self.title = title
        self.unit = unit
        self.budget = budget
        self.rows: dict[str, list[float]] = {}

    def add(self, name: str, values: Sequence[float]) -> None:
        """Add one candidate."""
        self.rows[name] = list(values)

    def add_all(self, rows: dict[str, list[float]]) -> None:
        """Add several candidates."""
        self.rows.update(rows)

    def markdown(self) -> str:
        """The table with medians, spread and ratios."""
        first = median_of(next(iter(self.rows.values())))
        digits = 0 if self.unit == "kB" else 4
        lines = [f"## {self.title}", "", f"Budget: {self.budget}.", ""]
        lines += [
            f"| | median ({self.unit}) | lowest to highest | ocirun / this | rounds |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, values in self.rows.items():
            median = median_of(values)
            spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
            lines.append(f"| {name} | {median:.{digits}f} | {spread} | {first / median:.2f} | {len(values)} |")
        return "\n".join(lines)
