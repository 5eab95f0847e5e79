"""Filters: docker's meaning of several values and several names."""

import pytest

from ocirun.cli.filters import Filters
from ocirun.errors import UsageError

NAMES = frozenset(("name", "label", "dangling", "id"))


def test_values_of_one_name_widen() -> None:
    filters = Filters(["name=web", "NAME= db "], NAMES)
    assert filters.values("name") == ["web", "db"]
    assert filters.matches("name", "web1")
    assert filters.matches("name", "mydb")
    assert not filters.matches("name", "other")


def test_no_filter_lets_all_through() -> None:
    filters = Filters([], NAMES)
    assert filters.matches("name", "anything")
    assert filters.matches_labels({})
    assert filters.boolean("dangling") is None


def test_regular_expressions() -> None:
    assert Filters(["name=^web$"], NAMES).matches("name", "web")
    assert not Filters(["name=^web$"], NAMES).matches("name", "web1")
    # What is no regular expression can still be equal.
    assert Filters(["name=a[b"], NAMES).matches("name", "a[b")
    assert not Filters(["name=a[b"], NAMES).matches("name", "xa[b")


def test_all_labels_are_needed() -> None:
    filters = Filters(["label=a", "label=b=2"], NAMES)
    assert filters.matches_labels({"a": "", "b": "2", "c": "3"})
    assert not filters.matches_labels({"a": ""})
    assert not filters.matches_labels({"a": "", "b": "3"})


def test_booleans() -> None:
    assert Filters(["dangling=true"], NAMES).boolean("dangling") is True
    assert Filters(["dangling=0"], NAMES).boolean("dangling") is False
    with pytest.raises(UsageError, match="invalid filter 'dangling=x'"):
        Filters(["dangling=x"], NAMES).boolean("dangling")


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="invalid filter 'foo'"):
        Filters(["foo=1"], NAMES)
