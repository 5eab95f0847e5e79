"""Names in a container's passwd and group, and docker's words when they are not there."""

import pytest

from ocirun.errors import NotFoundError, UsageError
from ocirun.runtime.users import User, resolve_user

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment
broken
ann:x:1000:1000:Ann:/home/ann:/bin/sh
1000:x:7:7::/seven:/bin/sh
ann:x:2000:2000::/second:/bin/sh
bare:x:12:34
"""
GROUP = "root:x:0:\nstaff:x:50:ann,bob\nann:x:1000:\nwheel:x:10:root,ann\n:\nbad:x:y:ann\n"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", User(0, 0, [0, 10], "/root")),
        ("root", User(0, 0, [0, 10], "/root")),
        ("ann", User(1000, 1000, [1000, 50, 10], "/home/ann")),
        ("1000", User(1000, 1000, [1000, 50, 10], "/home/ann")),
        ("ann:wheel", User(1000, 10, [10], "/home/ann")),
        ("ann:77", User(1000, 77, [77], "/home/ann")),
        ("4321", User(4321, 0, [0], "/")),
        ("4321:staff", User(4321, 50, [50], "/")),
        ("bare", User(12, 34, [34], "/")),
        ("12:", User(12, 34, [34], "/")),
    ],
)
def test_users(text: str, expected: User) -> None:
    assert resolve_user(text, PASSWD, GROUP) == expected


def test_without_any_files() -> None:
    assert resolve_user("", None, None) == User(0, 0, [0], "/")
    assert resolve_user("5:6", None, None) == User(5, 6, [6], "/")


def test_additional_groups() -> None:
    assert resolve_user("ann:ann", PASSWD, GROUP, ["staff", "99", "ann"]).groups == [1000, 50, 99]


@pytest.mark.parametrize(
    "text, message",
    [
        ("nobody", "unable to find user nobody: no matching entries in passwd file"),
        ("ann:nothing", "unable to find group nothing: no matching entries in group file"),
    ],
)
def test_unknown_names(text: str, message: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        resolve_user(text, PASSWD, GROUP)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["-1", "2147483648", "0:4294967295"])
def test_ids_out_of_range(text: str) -> None:
    with pytest.raises(UsageError, match="uids and gids must be in range 0-2147483647"):
        resolve_user(text, PASSWD, GROUP)


def test_equal_users_hash_alike() -> None:
    assert len({User(1, 2), User(1, 2), User(1, 3)}) == 2
