"""Skeletons: layers of directories that make the machine's own directories writable to a container's root.

Without privileges the machine's files belong to ids that no container has, so its root could make files nowhere. A skeleton
repeats the directories of one tree, owned by the user; laid over the tree it changes nothing but who owns the directories.
Overlay then makes and removes files in all of them, while files that exist can be replaced but not written in place. For
/etc, which is small and full of files that programs edit, it holds copies of the readable files as well.

A skeleton is made once and kept until a cheap look (`_fingerprint`) finds the tree changed. One that is a little behind does
no harm: new directories show through it, they only cannot be written to.
"""

import os
import stat

from ocirun.engine.host_trees import EMPTY_PATHS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Watched = tuple[str, int, int, int]

# Only trees that belong to the system: elsewhere the user owns what he may write, and there may be millions of directories.
SYSTEM_TREES = ("/usr", "/etc", "/opt", "/var", "/srv")
_MAXIMUM_DIRECTORIES = 200_000
# How deep below the tree directories are repeated (in /usr, "lib/node_modules/npm/lib/x" is 5 deep): most of a large /usr lies
# deeper, in trees that are installed and replaced as a whole. Python's packages are the exception: pip works on their files.
_DEPTH = 5
_DEEP = "-packages/"
_MAXIMUM_FILE = 1 << 20
_MAXIMUM_DATABASE = 64 << 20
# To be raised with every change of what a skeleton holds.
_FORMAT = 2
# A change of one of these is the sign of a package that came or went.
_PACKAGE_DATABASES = (
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/usr/lib/sysimage/rpm",
    "/var/lib/pacman/local",
    "/lib/apk/db",
    "/var/lib/apk",
    "/etc/portage",
    "/var/db/pkg",
    "/nix/var/nix/profiles",
)


def wants_skeleton(tree: str, *, owned: bool) -> bool:
    """Whether `tree` gets one; `owned` tells that the container's root owns the machine's files as it is (rootful)."""
    if owned:
        return any(path.startswith(f"{tree}/") for path in EMPTY_PATHS)
    return any(tree == top or tree.startswith(f"{top}/") for top in SYSTEM_TREES)


def skeleton_name(tree: str, *, owned: bool) -> str:
    """The name of the skeleton that fits `tree` as it is now: made from its path and its fingerprint."""
    text = repr((_FORMAT, tree, owned, os.getuid(), [] if owned else sorted(_fingerprint(tree))))
    return name_of(text)


def name_of(text: str) -> str:
    """A file name for what `text` describes."""
    try:
        # Of hashlib, which is 2 ms of every start, because it loads OpenSSL.
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def _fingerprint(tree: str) -> "Iterator[Watched]":
    """(path, inode, what changes when entries come or go, size) of what is looked at to tell whether the tree changed."""
    if tree == "/etc" or tree.startswith("/etc/"):
        yield from _watch_files(tree)
        return
    for path in _PACKAGE_DATABASES:
        yield from _watch(path, links_only=False)
    # Files come and go in /var all the time; there only the number of directories counts, where the file system tells it.
    links_only = tree == "/var" or tree.startswith("/var/")
    yield from _watch(tree, links_only=links_only)
    try:
        with os.scandir(tree) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _watch(entry.path, links_only=links_only)
    except OSError:
        return


def _watch(path: str, *, links_only: bool) -> "Iterator[Watched]":
    try:
        found = os.lstat(path)
    except OSError:
        return
    if links_only:
        yield path, found.st_ino, found.st_nlink, 0
    else:
        yield path, found.st_ino, found.st_mtime_ns, found.st_nlink


def _watch_files(directory: str) -> "Iterator[Watched]":
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.path, entry.inode(), 0, 0
                    yield from _watch_files(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    yield entry.path, entry.inode(), found.st_mtime_ns, found.st_size
    except OSError:
        return


def build_skeleton(tree: str, target: str, *, owned: bool) -> None:
    """Make the skeleton of `tree` in the new directory `target`. Raises OSError when `target` cannot be written."""
    os.mkdir(target, 0o755)
    _Builder(tree, target, owned=owned).build()


class _Builder:
    def __init__(self, tree: str, target: str, *, owned: bool) -> None:
        self._tree = tree
        self._target = target
        self._owned = owned
        self._left = _MAXIMUM_DIRECTORIES
        self._copies = tree == "/etc" or tree.startswith("/etc/")
        self._empties = self._copies or tree == "/var" or tree.startswith("/var/")

    def build(self) -> None:
        if self._owned:
            _copy_attributes(os.stat(self._tree), self._target)
            for path in EMPTY_PATHS:
                if path.startswith(f"{self._tree}/"):
                    self._make_empty(path, 0o1777)
            return
        self._fill(self._tree, self._target)
        if self._tree == "/etc":
            _write_shadow(self._target)

    def _fill(self, source: str, target: str) -> None:
        """Repeat the directories below `source`, then give `target` its attributes."""
        # A stack of our own: trees are deeper than Python's.
        finished: list[tuple[os.stat_result, str]] = []
        pending = [(source, target)]
        while pending:
            here, copy = pending.pop()
            finished.append((os.stat(here, follow_symlinks=False), copy))
            if here[len(self._tree) :].count("/") >= _DEPTH and _DEEP not in f"{here}/":
                continue
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if self._make(entry, f"{copy}/{entry.name}"):
                            pending.append((entry.path, f"{copy}/{entry.name}"))
                    elif self._empties and entry.is_file(follow_symlinks=False):
                        self._copy(entry, f"{copy}/{entry.name}")
        # Children first: making an entry changes the time of its directory.
        for found, copy in reversed(finished):
            _copy_attributes(found, copy)

    def _make(self, entry: "os.DirEntry[str]", copy: str) -> bool:
        """Make one directory; True when its attributes and what is below it are to be repeated too."""
        if self._left <= 0:
            return False
        self._left -= 1
        if entry.path in EMPTY_PATHS:
            self._make_empty(entry.path, 0o1777)
            return False
        if os.access(entry.path, os.R_OK | os.X_OK):
            os.mkdir(copy)
            return True
        if not os.access(entry.path, os.X_OK):
            # Nothing of it can be seen, so an empty directory of its own gives more than one that only refuses.
            self._make_empty(entry.path, entry.stat(follow_symlinks=False).st_mode & 0o7777)
        return False

    def _make_empty(self, path: str, mode: int) -> None:
        copy = self._target + path[len(self._tree) :]
        os.makedirs(copy, exist_ok=True)
        os.setxattr(copy, "user.overlay.opaque", b"y")
        os.chmod(copy, mode | 0o700)

    def _copy(self, entry: "os.DirEntry[str]", copy: str) -> None:
        """Copy a file that programs write in place: of /etc, of a package database, or an empty one (locks).

        Logs and backups of accounts that may not be read become empty: nothing of them is to be seen, but they can be written.
        """
        found = entry.stat(follow_symlinks=False)
        readable = os.access(entry.path, os.R_OK)
        limit = _MAXIMUM_FILE if self._copies else 0
        if os.path.dirname(entry.path) in _PACKAGE_DATABASES:
            limit = _MAXIMUM_DATABASE
        written_anew = entry.path.startswith("/var/log/") or (self._copies and entry.name.endswith("-"))
        if found.st_size > limit or not readable:
            if found.st_size > 0 and (readable or not written_anew):
                return
            limit = 0
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            if limit:
                _copy_content(entry.path, file.fileno())
        os.chmod(copy, found.st_mode & 0o777)
        os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _copy_content(path: str, output: int) -> None:
    with open(path, "rb", buffering=0) as file:
        # The kernel copies, or shares the blocks where the file system can.
        while os.sendfile(output, file.fileno(), None, 1 << 24):
            pass


def _copy_attributes(found: os.stat_result, copy: str) -> None:
    mode = found.st_mode & 0o7777
    if mode != stat.S_IMODE(os.lstat(copy).st_mode):
        os.chmod(copy, mode)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def _write_shadow(target: str) -> None:
    """Shadow files without passwords for those that may not be read, so that useradd and su work."""
    for plain, shadow, fields in (("passwd", "shadow", "*:::::::"), ("group", "gshadow", "*::")):
        if os.path.exists(f"{target}/{shadow}") or not os.path.exists(f"/etc/{shadow}"):
            continue
        try:
            with open(f"{target}/{plain}", encoding="utf-8", errors="surrogateescape") as file:
                names = [line.partition(":")[0] for line in file if ":" in line]
        except OSError:
            continue
        text = "".join(f"{name}:{fields}\n" for name in names)
        with open(f"{target}/{shadow}", "w", encoding="utf-8", errors="surrogateescape", opener=_private) as file:
            file.write(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
