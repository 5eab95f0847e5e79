"""The steps that fill the root: the configuration's mounts in their order, then /dev (config.md, Mounts)."""

from ocirun.errors import InvalidError
from ocirun.runtime.config_mounts import clean
from ocirun.runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Config, Device, Mount
    from ocirun.runtime.id_maps import IdMaps

# The attributes of a mount, from linux/mount.h.
RDONLY = 0x1
NOSUID = 0x2
NODEV = 0x4
NOEXEC = 0x8
ATIME = 0x70
NOATIME = 0x10
STRICTATIME = 0x20
NODIRATIME = 0x80
NOSYMFOLLOW = 0x200000

# option: (attributes to set, attributes to clear)
ATTRIBUTES = {
    "ro": (RDONLY, 0),
    "rw": (0, RDONLY),
    "nosuid": (NOSUID, 0),
    "suid": (0, NOSUID),
    "nodev": (NODEV, 0),
    "dev": (0, NODEV),
    "noexec": (NOEXEC, 0),
    "exec": (0, NOEXEC),
    "nodiratime": (NODIRATIME, 0),
    "diratime": (0, NODIRATIME),
    "nosymfollow": (NOSYMFOLLOW, 0),
    "symfollow": (0, NOSYMFOLLOW),
    "noatime": (NOATIME, ATIME),
    "relatime": (0, ATIME),
    "strictatime": (STRICTATIME, ATIME),
    "atime": (0, ATIME),
    "norelatime": (0, ATIME),
    "nostrictatime": (0, ATIME),
}

MS_REC = 1 << 14
PROPAGATIONS = {
    "unbindable": 1 << 17,
    "private": 1 << 18,
    "slave": 1 << 19,
    "shared": 1 << 20,
    "runbindable": MS_REC | 1 << 17,
    "rprivate": MS_REC | 1 << 18,
    "rslave": MS_REC | 1 << 19,
    "rshared": MS_REC | 1 << 20,
}
# Words that say what is so anyway, and what the kernel's new mount calls have no word for.
IGNORED = ("defaults", "remount", "async", "nomand", "nolazytime", "silent", "loud", "noiversion")

BIND_RECURSIVE = 1
BIND_CREATE_TARGET = 4
MOUNT_CREATE_TARGET = 1

# What may lie on files below /proc: lxcfs and the like bind these; anything else would fool what reads /proc.
PROC_FILES = (
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
)

# name: (major, minor), the devices that every container has (config-linux.md, Default Devices)
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/core": "/proc/kcore",
    "/dev/ptmx": "pts/ptmx",
}
S_IFCHR = 0o020000
S_IFBLK = 0o060000
S_IFIFO = 0o010000
NODE_KINDS = {"c": S_IFCHR, "u": S_IFCHR, "b": S_IFBLK, "p": S_IFIFO}


class Options:
    """The options of one mount, sorted by what the kernel takes them for."""

    __slots__ = ("bind", "clear", "data", "propagation", "recursive", "recursive_clear", "recursive_set", "set")

    def __init__(self, words: "list[str]", where: str) -> None:
        self.bind = False
        self.recursive = False
        self.set = self.clear = self.recursive_set = self.recursive_clear = 0
        self.propagation = 0
        self.data: list[str] = []
        for word in words:
            self._take(word, where)

    def _take(self, word: str, where: str) -> None:
        if word in ("bind", "rbind"):
            self.bind = True
            self.recursive = self.recursive or word == "rbind"
        elif word in ATTRIBUTES:
            added, removed = ATTRIBUTES[word]
            self.set = self.set & ~removed | added
            self.clear = self.clear & ~added | removed
        elif word[:1] == "r" and word[1:] in ATTRIBUTES:
            added, removed = ATTRIBUTES[word[1:]]
            self.recursive_set = self.recursive_set & ~removed | added
            self.recursive_clear = self.recursive_clear & ~added | removed
        elif word in PROPAGATIONS:
            self.propagation = PROPAGATIONS[word]
        elif word in ("idmap", "ridmap", "tmpcopyup"):
            raise InvalidError(f"{where}.options: {word} is not supported yet")
        elif word not in IGNORED:
            self.data.append(word)


def mount_steps(config: "Config", maps: "IdMaps", populate: "frozenset[str]") -> "list[Step]":
    """A step for each mount of the configuration, and one before it for each volume to be filled."""
    steps = []
    own_network = _has_own(config, "network")
    for index, mount in enumerate(config.get("mounts") or ()):
        where = f"$.mounts[{index}]"
        target = _target(mount, where)
        options = Options(mount.get("options") or [], where)
        kind = "bind" if options.bind else mount.get("type") or "none"
        source = mount.get("source") or ""
        if kind == "sysfs" and maps.user_namespace and not own_network:
            # Only who owns the network namespace may mount sysfs. The machine's own is as good, to read.
            kind, source = "bind", "/sys"
            options.recursive, options.recursive_set = True, options.recursive_set | options.set | RDONLY
        _check_below_proc(target, kind, where)
        if kind in ("bind", "none"):
            if target in populate:
                steps.append(Step("populate", target, source))
            steps.append(_bind_step(source, target, options, where))
        else:
            steps.append(_file_system_step(kind, source or kind, target, options, maps))
    return steps


def _has_own(config: "Config", kind: str) -> bool:
    return any(namespace.get("type") == kind for namespace in (config.get("linux") or {}).get("namespaces") or ())


def _target(mount: "Mount", where: str) -> str:
    target = mount.get("destination") or ""
    if not target:
        raise InvalidError(f"{where}.destination: missing")
    # Relative destinations were allowed once, and mean what they would mean from "/".
    return clean(target)


def _check_below_proc(target: str, kind: str, where: str) -> None:
    if target == "/proc" and kind not in ("proc", "bind"):
        raise InvalidError(f"{where}: {kind} cannot be mounted on /proc")
    if target.startswith("/proc/") and target not in PROC_FILES:
        raise InvalidError(f"{where}: {target} cannot be mounted because it is inside /proc")


def _bind_step(source: str, target: str, options: Options, where: str) -> Step:
    if not source.startswith("/"):
        raise InvalidError(f"{where}.source: {source!r} is not an absolute path")
    if options.data:
        raise InvalidError(f"{where}.options: a bind mount has no option {options.data[0]!r}")
    flags = BIND_CREATE_TARGET | (BIND_RECURSIVE if options.recursive else 0)
    return Step(
        "bind",
        flags,
        options.set,
        options.clear,
        options.recursive_set,
        options.recursive_clear,
        options.propagation,
        source,
        target,
    )


def _file_system_step(kind: str, source: str, target: str, options: Options, maps: "IdMaps") -> Step:
    data = options.data
    if kind in ("cgroup", "cgroup2"):
        # Version 2 is the only one there is for us; the container sees it from its own place (cgroup namespace).
        kind, data = "cgroup2", []
    if kind == "devpts" and maps.gid:
        # An id that does not exist inside is refused by the kernel; the group of terminals is a nicety.
        data = [word for word in data if not (word.startswith("gid=") and not _mapped(maps, word[4:]))]
    attributes = options.set | options.recursive_set
    if kind == "tmpfs" and target == "/dev":
        attributes &= ~RDONLY  # its devices are still to come: see closing_steps
    return Step(
        "mount",
        attributes,
        options.propagation,
        MOUNT_CREATE_TARGET,
        kind,
        source,
        target,
        ",".join(data),
    )


def _mapped(maps: "IdMaps", text: str) -> bool:
    return text.isdecimal() and any(first <= int(text) < first + count for first, _, count in maps.gid)


def dev_is_ours(config: "Config") -> bool:
    """Whether devices and links have to be put into /dev: not when the host's /dev is bound there."""
    for mount in config.get("mounts") or ():
        if clean(mount.get("destination") or "") == "/dev":
            words = mount.get("options") or []
            return mount.get("type") != "bind" and "bind" not in words and "rbind" not in words
    return True


def device_steps(config: "Config", maps: "IdMaps", host: "Host") -> "list[Step]":
    """The default devices, those of linux.devices, and the links that the specification asks for.

    A device cannot be made in a user namespace: the machine's own is bound instead, and its permissions apply.
    """
    bind = maps.user_namespace or host.in_user_namespace
    steps = []
    for name, (major, minor) in DEVICES.items():
        path = f"/dev/{name}"
        if bind:
            steps.append(Step("bind_device", path, path))
        else:
            steps.append(Step("make_node", S_IFCHR | 0o666, major, minor, 0, 0, path))
    for index, device in enumerate((config.get("linux") or {}).get("devices") or ()):
        steps.append(_device_step(device, f"$.linux.devices[{index}]", bind=bind))
    return steps + [Step("make_symlink", content, path) for path, content in LINKS.items()]


def closing_steps(config: "Config") -> "list[Step]":
    """What makes a read-only /dev so, once its devices and the terminal are in it."""
    for mount in config.get("mounts") or ():
        words = mount.get("options") or []
        if clean(mount.get("destination") or "") == "/dev" and mount.get("type") == "tmpfs" and "ro" in words:
            return [Step("readonly_path", "/dev")]
    return []


def _device_step(device: "Device", where: str, *, bind: bool) -> Step:
    kind = NODE_KINDS.get(device.get("type") or "")
    path = device.get("path") or ""
    if kind is None:
        raise InvalidError(f"{where}.type: {device.get('type')!r} is none of c, b, u and p")
    if not path.startswith("/"):
        raise InvalidError(f"{where}.path: {path!r} is not an absolute path")
    if bind and kind != S_IFIFO:
        return Step("bind_device", path, path)
    mode = kind | device.get("fileMode", 0o666) & 0o7777
    return Step(
        "make_node",
        mode,
        device.get("major", 0),
        device.get("minor", 0),
        device.get("uid", 0),
        device.get("gid", 0),
        path,
    )
