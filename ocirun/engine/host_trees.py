"""Which parts of this machine the image `host` shows, and with how many overlays.

overlayfs refuses a lower directory that holds the upper one, and, in a user namespace, one with mounts below it. So each
top-level directory is a tree of its own, and a directory that holds such an obstacle is split: it becomes an empty
directory of the root with its children as trees, as often as needed.
"""

import os

from ocirun.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# What a container gets of its own, or what is not for programs.
_LEFT_OUT = frozenset(("proc", "sys", "dev", "run", "tmp", "home", "root", "mnt", "media", "lost+found"))
_EMPTY_MODES = {"/tmp": 0o1777, "/root": 0o700}
# Empty too, inside a tree or on its own.
EMPTY_PATHS = frozenset(("/var/tmp",))
# File systems that overlayfs takes as a lower layer. The others (vfat, autofs, FUSE, the kernel's own) show as empty directories.
_FILE_SYSTEMS = frozenset(
    "bcachefs btrfs ceph erofs ext2 ext3 ext4 f2fs gpfs jfs lustre nfs nfs4 overlay squashfs tmpfs xfs zfs".split()
)
_MAXIMUM_COPIED_FILE = 1 << 20


class HostLayout:
    """What the root of the image `host` is made of.

    `trees` are the directories to overlay, parents before children. `directories` (path -> mode), `links` (path -> content)
    and `files` (paths to copy) are what the root itself holds.
    """

    __slots__ = ("directories", "files", "links", "trees")

    def __init__(self) -> None:
        self.trees: list[str] = []
        self.directories: dict[str, int] = {}
        self.links: dict[str, str] = {}
        self.files: list[str] = []


def host_layout(home: str, private: "Iterable[str]", mount_table: str) -> HostLayout:
    """Look at the machine's root. `home` shows as an empty directory, `private` paths (the store) not at all.

    `mount_table` is the text of /proc/self/mountinfo. Raises HostError when there is no /usr to be seen.
    """
    mounts = parse_mount_table(mount_table)
    hidden = {os.path.realpath(path) for path in (home, *private) if path}
    blocked = {path for path in mounts if path != "/"} | hidden
    layout = HostLayout()
    with os.scandir("/") as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name in _LEFT_OUT and not entry.is_symlink():
                layout.directories[f"/{entry.name}"] = _EMPTY_MODES.get(f"/{entry.name}", 0o755)
            else:
                _add(layout, entry, mounts, blocked, hidden)
    if home:
        _add_parents(layout, os.path.realpath(home))
    if not any(tree in ("/usr", "/bin") or tree.startswith("/usr/") for tree in layout.trees):
        raise HostError("the image `host` needs a readable /usr", "use an image from a file instead")
    return layout


def _add(
    layout: HostLayout, entry: "os.DirEntry[str]", mounts: "dict[str, str]", blocked: "set[str]", hidden: "set[str]"
) -> None:
    path = entry.path
    if entry.is_symlink():
        layout.links[path] = os.readlink(path)
        return
    if not entry.is_dir(follow_symlinks=False):
        if entry.is_file() and os.access(path, os.R_OK) and entry.stat().st_size <= _MAXIMUM_COPIED_FILE:
            layout.files.append(path)
        return
    mode = entry.stat(follow_symlinks=False).st_mode & 0o7777
    shown = os.access(path, os.R_OK | os.X_OK) and mounts.get(path, "ext4") in _FILE_SYSTEMS
    shown = shown and path not in hidden and path not in EMPTY_PATHS
    if not shown:
        layout.directories[path] = mode
    elif any(other.startswith(f"{path}/") for other in blocked):
        layout.directories[path] = mode
        with os.scandir(path) as entries:
            for child in sorted(entries, key=lambda child: child.name):
                _add(layout, child, mounts, blocked, hidden)
    else:
        layout.trees.append(path)


def _add_parents(layout: HostLayout, path: str) -> None:
    if any(path == tree or path.startswith(f"{tree}/") for tree in layout.trees):
        return
    parts = [part for part in path.split("/") if part]
    for index in range(1, len(parts) + 1):
        layout.directories.setdefault("/" + "/".join(parts[:index]), 0o755)


def parse_mount_table(text: str) -> "dict[str, str]":
    """Mount points and the types of their file systems (proc_pid_mountinfo(5)); of several on one place the last counts."""
    found = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and kind:
            found[_unescape(fields[4])] = kind[0]
    return found


def _unescape(text: str) -> str:
    # The kernel writes space, tab, newline and backslash as three octal digits.
    if "\\" not in text:
        return text
    parts = text.split("\\")
    return parts[0] + "".join(chr(int(part[:3], 8)) + part[3:] for part in parts[1:])
