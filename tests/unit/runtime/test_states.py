"""The whole table of verbs and statuses."""

import pytest

from ocirun.errors import ConflictError
from ocirun.runtime.states import ALLOWED, HINTS, NOTHING, STATUSES, TABLE, check

EXPECTED = {  # + do it, . nothing to do, - refused; in the order of STATUSES
    "start": "+.-+-+-",
    "stop": ".+++...",
    "kill": "-+++---",
    "remove": "+----++",
    "exec": "-+-----",
    "attach": "-+-----",
    "commit": "++++-+-",
}


@pytest.mark.parametrize("verb", sorted(EXPECTED))
@pytest.mark.parametrize("status", STATUSES)
def test_every_cell(verb: str, status: str) -> None:
    wanted = EXPECTED[verb][STATUSES.index(status)]
    if wanted == "-":
        with pytest.raises(ConflictError) as caught:
            check(verb, status, "box")
        assert "{" not in str(caught.value)
        assert caught.value.hint == HINTS.get((verb, status), "")
    else:
        assert check(verb, status, "box") is (wanted == "+")


def test_table_is_complete() -> None:
    assert set(TABLE) == set(EXPECTED)
    for row in TABLE.values():
        assert set(row) == set(STATUSES)
        assert {ALLOWED} & set(row.values())
    assert NOTHING in TABLE["stop"].values()
