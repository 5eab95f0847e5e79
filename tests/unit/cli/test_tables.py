"""Alignment of columns, as Go's tabwriter does it for docker."""

from ocirun.cli.tables import align


def test_cells_are_at_least_ten_wide() -> None:
    assert align("A\tB\tC\nlonger cell\tx\ty\n") == "A             B         C\nlonger cell   x         y\n"


def test_last_cell_is_not_padded() -> None:
    assert align("A\tB\nc\tdddddddddddddddd\n") == "A         B\nc         dddddddddddddddd\n"


def test_single_column_is_left_alone() -> None:
    assert align("NAMES\nx\n") == "NAMES\nx\n"


def test_characters_are_counted_not_bytes() -> None:
    assert align("A\tB\nééééééééé…\ty\n") == "A            B\nééééééééé…   y\n"


def test_a_line_without_the_cell_ends_its_column() -> None:
    assert align("wide wide wide\tx\nplain\na\tb") == "wide wide wide   x\nplain\na         b"


def test_empty_cells_keep_their_place() -> None:
    assert align("A\tB\tC\n\t\tz\n") == "A         B         C\n                    z\n"
