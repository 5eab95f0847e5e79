"""Columns aligned as docker's: cells at least ten wide, three blanks between them, the last one as it is."""

LEAST_WIDTH = 10
PADDING = 3


def align(text: str) -> str:
    """`text` with its tabs replaced by blanks, so that cells of neighbouring lines stand below each other.

    A cell ends with a tab; a column is a run of lines that have that cell, as Go's tabwriter has it.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    widths = [[0] * (len(line) - 1) for line in lines]
    _measure(lines, widths, 0, len(lines), 0)
    result = []
    for line, sizes in zip(lines, widths, strict=True):
        cells = [cell.ljust(size) for cell, size in zip(line, sizes, strict=False)]
        result.append("".join(cells) + line[-1])
    return "\n".join(result)


def _measure(lines: "list[list[str]]", widths: "list[list[int]]", first: int, last: int, column: int) -> None:
    """Set the width of `column` in each run of lines between `first` and `last` that has it, then of those right of it."""
    index = first
    while index < last:
        if len(lines[index]) - 1 <= column:
            index += 1
            continue
        end = index
        width = LEAST_WIDTH
        while end < last and len(lines[end]) - 1 > column:
            width = max(width, len(lines[end][column]) + PADDING)
            end += 1
        for row in range(index, end):
            widths[row][column] = width
        _measure(lines, widths, index, end, column + 1)
        index = end
