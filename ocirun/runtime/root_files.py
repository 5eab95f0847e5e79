"""Read a file of a container without mounting its root: overlayfs's rules applied to the directories below.

Needed for /etc/passwd and /etc/group, which decide who the process is before any namespace exists. Every component is
opened by descriptor without following links; links are resolved here, inside the container's tree.
"""

import os
import stat

from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.runtime.root import RootFilesystem

MAXIMUM_LINKS = 40
DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_file(root: "RootFilesystem", path: str, limit: int = 1 << 20) -> "str | None":
    """The text of the regular file `path` (absolute, inside the container), None when there is none or it is unreadable.

    Raises InvalidError when it is larger than `limit` bytes.
    """
    descriptor = _open(root, path, MAXIMUM_LINKS)
    if descriptor is None:
        return None
    try:
        data = b""
        while len(data) <= limit and (part := os.read(descriptor, limit + 1 - len(data))):
            data += part
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise InvalidError(f"{path} in the container is larger than {limit} bytes")
    return data.decode("utf-8", "surrogateescape")


def _layers_of(root: "RootFilesystem", components: "list[str]") -> "tuple[list[str], list[str]]":
    """The directories that make up the tree that `components` lies in, uppermost first, and the rest of the path."""
    if not root.overlays:
        return [root.path], components
    best = root.overlays[0]
    depth = 0
    for overlay in root.overlays[1:]:
        target = [part for part in overlay.target.split("/") if part]
        if components[: len(target)] == target and len(target) > depth:
            best, depth = overlay, len(target)
    return [best.upper, *best.lowers], components[depth:]


def _open(root: "RootFilesystem", path: str, links: int) -> "int | None":
    components = _normalise(path)
    layers, rest = _layers_of(root, components)
    skipped = components[: len(components) - len(rest)]
    if not rest:
        return None
    directories = [number for layer in layers if (number := _open_directory(layer, None)) is not None]
    try:
        for index, name in enumerate(rest):
            last = index == len(rest) - 1
            found = _look_up(directories, name, last=last)
            if isinstance(found, str):
                if links == 0:
                    return None
                base = "/" + "/".join(skipped + rest[:index])
                target = found if found.startswith("/") else f"{base}/{found}"
                return _open(root, "/".join([target, *rest[index + 1 :]]), links - 1)
            if isinstance(found, int) or found is None:
                return found
            for number in directories:
                os.close(number)
            directories[:] = found
        return None
    finally:
        for number in directories:
            os.close(number)


def _normalise(path: str) -> "list[str]":
    # ".." is taken away by the text: a link inside the path makes that differ from the kernel's way, which matters to
    # nobody for a passwd file.
    result: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del result[-1:]
        elif part not in ("", "."):
            result.append(part)
    return result


def _look_up(directories: "list[int]", name: str, *, last: bool) -> "int | str | list[int] | None":
    """What `name` is in the merged directory: a link's content, an open file (when `last`), directories, or nothing."""
    found: list[int] = []
    for directory in directories:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            continue
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR and not last:
            number = _open_directory(name, directory)
            if number is None:
                break
            found.append(number)
            if _is_opaque(number):
                break
        elif found or kind == stat.S_IFCHR:
            break  # a whiteout, or a file below a directory: it hides what lies deeper
        elif kind == stat.S_IFLNK:
            return os.readlink(name, dir_fd=directory)
        elif kind == stat.S_IFREG and last:
            return _open_regular(name, directory)
        else:
            return None
    return found or None


def _open_directory(name: str, directory: "int | None") -> "int | None":
    try:
        return os.open(name, DIRECTORY, dir_fd=directory)
    except OSError:
        return None


def _open_regular(name: str, directory: int) -> "int | None":
    """The file, None when it is no regular one by now: the container can put a fifo or a device in its place meanwhile."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        number = os.open(name, flags, dir_fd=directory)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    return None


def _is_opaque(number: int) -> bool:
    try:
        return os.getxattr(f"/proc/self/fd/{number}", "user.overlay.opaque") == b"y"
    except OSError:
        return False
