"""The mounts of a container's configuration: docker's defaults, and what -v, --mount and --tmpfs add.

Everything here makes entries of `mounts` in an OCI configuration (config.md, Mounts).
"""

from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Mount
    from ocirun.runtime.id_maps import IdMaps

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")

# Pairs of --tmpfs options where the later word wins over the earlier.
OPPOSITES = {
    "rw": "access",
    "ro": "access",
    "suid": "suid",
    "nosuid": "suid",
    "dev": "dev",
    "nodev": "dev",
    "exec": "exec",
    "noexec": "exec",
    "sync": "sync",
    "async": "sync",
    "dirsync": "dirsync",
    "atime": "atime",
    "noatime": "atime",
    "relatime": "atime",
    "norelatime": "atime",
    "strictatime": "atime",
    "nostrictatime": "atime",
    "diratime": "diratime",
    "nodiratime": "diratime",
    "remount": "remount",
    "bind": "bind",
    "rbind": "bind",
    **dict.fromkeys(PROPAGATIONS, "propagation"),
    "unbindable": "propagation",
    "runbindable": "propagation",
}
TMPFS_VALUES = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")
TTY_GROUP = 5


def masked_paths(host: "Host") -> "list[str]":
    """Paths that docker hides: they tell about the machine or its other users, or let its hardware be steered."""
    throttle = [f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in range(host.thermal_throttle_cpus)]
    return [*MASKED_PATHS, *throttle]


def default_mounts(host: "Host", maps: "IdMaps", network: str, shm_size: int) -> "list[Mount]":
    """Docker's default mounts in its order; `shm_size` is in bytes, `network` "none" or "host"."""
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if has_group(maps, TTY_GROUP):
        terminals.append(f"gid={TTY_GROUP}")
    mounts = [
        _mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", terminals),
        _sys_mount(host, maps, network),
    ]
    if host.has_cgroup2:
        mounts.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid", "noexec", "nodev"]))
    mounts += [
        _mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        _mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", f"size={shm_size}"]),
    ]
    return mounts


def has_group(maps: "IdMaps", gid: int) -> bool:
    """Whether `gid` exists inside the container."""
    if not maps.gid:
        return True
    return any(first <= gid < first + count for first, _, count in maps.gid)


def _sys_mount(host: "Host", maps: "IdMaps", network: str) -> "Mount":
    # sysfs shows the network namespace, so only who owns that namespace may mount it. A user namespace that shares the
    # host's network, or that lies in a container whose /sys is partly hidden, gets the host's /sys to read instead.
    if maps.user_namespace and (network == "host" or host.in_user_namespace):
        return _mount("/sys", "bind", "/sys", ["rbind", "rprivate", "nosuid", "noexec", "nodev", "rro"])
    return _mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"])


def _mount(destination: str, kind: str, source: str, options: "list[str]") -> "Mount":
    return {"destination": destination, "type": kind, "source": source, "options": options}


def bind_mount(
    source: str, target: str, *, read_only: bool = False, propagation: str = "", recursive: bool = True
) -> "Mount":
    """A bind of the host's `source` (absolute). `propagation` is one of PROPAGATIONS, "" for docker's rprivate.

    Read-only reaches the mounts below the source too. Raises UsageError for an unknown propagation.
    """
    if propagation and propagation not in PROPAGATIONS:
        raise UsageError(
            f"invalid mount config: invalid propagation mode: {propagation}", "use " + ", ".join(PROPAGATIONS)
        )
    options = ["rbind" if recursive else "bind"]
    if read_only:
        options.append("rro" if recursive else "ro")
    options.append(propagation or "rprivate")
    return _mount(target, "bind", source, options)


def tmpfs_mount(spec: str) -> "Mount":
    """A tmpfs from the value of --tmpfs, "PATH" or "PATH:OPTION,...", with docker's defaults noexec, nosuid and nodev.

    Raises UsageError for a relative path or an option that tmpfs does not have.
    """
    target, _, text = spec.partition(":")
    if not target.startswith("/"):
        raise UsageError(f"invalid mount path: '{target}' mount path must be absolute")
    kept: dict[str, str] = {}
    for option in ("noexec", "nosuid", "nodev", "rprivate", *(text.split(",") if text else ())):
        name, separator, _ = option.partition("=")
        if separator and name in TMPFS_VALUES:
            kept[name] = option
        elif option in OPPOSITES and option not in ("bind", "rbind", "remount"):
            kept.pop(OPPOSITES[option], None)
            kept[OPPOSITES[option]] = option
        else:
            raise UsageError(f"invalid tmpfs option {option!r} for {target}")
    return _mount(target, "tmpfs", "tmpfs", list(kept.values()))


def join_mounts(
    defaults: "list[Mount]", wanted: "Iterable[Mount]", files: "dict[str, str]", *, read_only: bool
) -> "list[Mount]":
    """Docker's defaults with the user's mounts over them, parents before children.

    `files` are host files by their target (/etc/hosts ...), which a mount of the user's replaces too. Raises UsageError
    when two mounts have one target.
    """
    by_target: dict[str, Mount] = {}
    for mount in wanted:
        target = clean(mount["destination"])
        if target in by_target:
            raise UsageError(f"Duplicate mount point: {target}")
        by_target[target] = {**mount, "destination": target}
    if "/" in by_target:
        raise UsageError("invalid specification: destination can't be '/'")
    own = {target: bind_mount(source, target, read_only=read_only, recursive=False) for target, source in files.items()}
    extra = sorted({**own, **by_target}.values(), key=lambda mount: mount["destination"].count("/"))
    kept = [
        mount
        for mount in defaults
        if mount["destination"] not in by_target
        and not ("/dev" in by_target and mount["destination"].startswith("/dev/"))
    ]
    return kept + extra


def clean(path: str) -> str:
    """An absolute path without empty, "." and ".." components."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
