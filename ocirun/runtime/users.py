"""Who a container's process is: `user[:group]` looked up in the container's own passwd(5) and group(5).

The files come from an image that nobody vouches for, so they are read as text and never through libnss
(CVE-2019-14271). A line that does not parse is skipped.
"""

from ocirun.errors import NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAXIMUM_ID = 0x7FFFFFFF


class User:
    """The ids of a process inside the container, and the home directory of that user ("/" when passwd has none)."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int = 0, gid: int = 0, groups: "list[int] | None" = None, home: str = "/") -> None:
        self.uid = uid
        self.gid = gid
        self.groups = [gid] if groups is None else groups
        self.home = home

    def __repr__(self) -> str:
        return f"User({self.uid}, {self.gid}, {self.groups}, {self.home!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def resolve_user(
    text: str,
    passwd: "str | None",
    group: "str | None",
    additional_groups: "Iterable[str]" = (),
) -> User:
    """The user that `text` ("", "name", "uid", either with ":group" or ":gid") means in a container.

    `passwd` and `group` are the contents of the container's files, None when it has none. `groups` of the result begins
    with the primary gid, as docker's does since CVE-2022-36109. Raises NotFoundError for a name that is not there,
    UsageError for an id out of range.
    """
    user_part, _, group_part = text.partition(":")
    uid, gid, home, name = _find_user(user_part, passwd or "")
    member_groups: list[int] = []
    if group_part:
        gid = _find_group(group_part, group or "")
    elif name:
        member_groups = [number for _, number, members in _groups(group or "") if name in members]
    groups = [gid, *member_groups]
    groups += [_find_group(wanted, group or "") for wanted in additional_groups]
    return User(uid, gid, list(dict.fromkeys(groups)), home or "/")


def _find_user(wanted: str, passwd: str) -> "tuple[int, int, str, str]":
    """uid, gid, home and name; the name is "" when passwd knows nothing of a numeric id."""
    number = _number(wanted) if wanted else 0
    for name, uid, gid, home in _users(passwd):
        # A name of digits is an id, as docker reads it: "1000" never means a user who is called so.
        if uid == number if number is not None else name == wanted:
            return uid, gid, home, name
    if number is None:
        raise NotFoundError(f"unable to find user {wanted}: no matching entries in passwd file")
    return number, 0, "", ""


def _find_group(wanted: str, group: str) -> int:
    number = _number(wanted)
    if number is not None:
        return number
    for name, gid, _ in _groups(group):
        if name == wanted:
            return gid
    raise NotFoundError(f"unable to find group {wanted}: no matching entries in group file")


def _number(text: str) -> "int | None":
    """The id that `text` is, None when it is a name. Raises UsageError when it is no possible id."""
    if not text.lstrip("+-").isdecimal() or not text.isascii():
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    if not 0 <= number <= MAXIMUM_ID:
        raise UsageError(f"uids and gids must be in range 0-{MAXIMUM_ID}")
    return number


def _is_id(text: str) -> bool:
    # Ten digits, because int() refuses thousands of them, and a larger id than the kernel's would mean "leave it as it is".
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= MAXIMUM_ID


def _users(text: str) -> "Iterator[tuple[str, int, int, str]]":
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= 4 and _is_id(fields[2]) and _is_id(fields[3]):
            yield fields[0], int(fields[2]), int(fields[3]), fields[5] if len(fields) > 5 else ""


def _groups(text: str) -> "Iterator[tuple[str, int, list[str]]]":
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= 3 and _is_id(fields[2]):
            yield fields[0], int(fields[2]), fields[3].split(",") if len(fields) > 3 else []
