"""What this machine has, probed once into one immutable `Host`.

Everything here is a handful of small reads (well under a millisecond together). What only `ocirun info` or an error
message wants (library versions, cgroup controllers, why user namespaces are refused) is asked for when it is wanted.
"""

import os

from ocirun.errors import HostError

# "nobody" is 65534 everywhere, so an image is only whole when container ids 0 to 65534 exist: the user and 65534 more.
NEEDED_IDS = 65534

CAP_SETGID = 6
CAP_SETUID = 7
CAP_SYS_ADMIN = 21

Range = tuple[int, int]


class Host:
    """One machine as seen by one user, immutable.

    `id_mode` is "rootful", "ranges" or "single"; `id_mode_reason` says why, `id_mode_remedy` what would lift it ("" when
    there is nothing to lift). Ranges are (first id, count) in file order. `newuidmap` and `newgidmap` are absolute paths,
    "" when missing or unable to work. Capabilities are bit masks of this process.
    """

    __slots__ = tuple(
        "architecture boot_id capability_bounding capability_effective cgroup2_unified gid gid_ranges has_cgroup2 has_ipv4 "
        "id_mode id_mode_reason id_mode_remedy in_user_namespace kernel kernel_release last_capability newgidmap newuidmap "
        "no_new_privileges thermal_throttle_cpus uid uid_ranges user_name".split()
    )

    def __init__(
        self,
        *,
        uid: int,
        gid: int,
        user_name: str = "",
        id_mode: str = "single",
        id_mode_reason: str = "",
        id_mode_remedy: str = "",
        uid_ranges: "tuple[Range, ...]" = (),
        gid_ranges: "tuple[Range, ...]" = (),
        newuidmap: str = "",
        newgidmap: str = "",
        kernel: "tuple[int, int]" = (5, 12),
        kernel_release: str = "",
        architecture: str = "x86_64",
        boot_id: str = "",
        capability_effective: int = 0,
        capability_bounding: int = (1 << 41) - 1,
        last_capability: int = 40,
        in_user_namespace: bool = False,
        no_new_privileges: bool = False,
        has_cgroup2: bool = True,
        cgroup2_unified: bool = True,
        has_ipv4: bool = True,
        thermal_throttle_cpus: int = 0,
    ) -> None:
        values = locals()
        for name in self.__slots__:
            object.__setattr__(self, name, values[name])

    uid: int
    gid: int
    user_name: str
    id_mode: str
    id_mode_reason: str
    id_mode_remedy: str
    uid_ranges: "tuple[Range, ...]"
    gid_ranges: "tuple[Range, ...]"
    newuidmap: str
    newgidmap: str
    kernel: "tuple[int, int]"
    kernel_release: str
    architecture: str
    boot_id: str
    capability_effective: int
    capability_bounding: int
    last_capability: int
    in_user_namespace: bool
    no_new_privileges: bool
    has_cgroup2: bool
    cgroup2_unified: bool
    has_ipv4: bool
    thermal_throttle_cpus: int

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Host is immutable: {name}")

    @property
    def maps_any_ids(self) -> bool:
        """Whether this process may write any id map itself, without newuidmap (user_namespaces(7))."""
        both = 1 << CAP_SETUID | 1 << CAP_SETGID
        return self.capability_effective & both == both


def probe(search_path: str) -> Host:
    """Look at this machine once; `search_path` is the PATH on which newuidmap and newgidmap are sought.

    Raises HostError on a kernel older than 5.12, which lacks mount_setattr(2).
    """
    name = os.uname()
    kernel = check_kernel(name.release)
    uid, gid = os.getuid(), os.getgid()
    status = parse_status(_read("/proc/self/status"))
    user_name = parse_user_name(_read("/etc/passwd"), uid) or _name_service_user(uid)
    uid_ranges = parse_ranges(_read("/etc/subuid"), user_name, uid)
    gid_ranges = parse_ranges(_read("/etc/subgid"), user_name, uid)
    no_new_privileges = status["NoNewPrivs"] != 0
    newuidmap = "" if no_new_privileges else find_helper("newuidmap", search_path)
    newgidmap = "" if no_new_privileges else find_helper("newgidmap", search_path)
    mode, reason, remedy = choose_id_mode(
        uid=uid,
        user_name=user_name,
        effective=status["CapEff"],
        no_new_privileges=no_new_privileges,
        uid_ranges=uid_ranges,
        gid_ranges=gid_ranges,
        helpers=bool(newuidmap and newgidmap),
    )
    return Host(
        uid=uid,
        gid=gid,
        user_name=user_name,
        id_mode=mode,
        id_mode_reason=reason,
        id_mode_remedy=remedy,
        uid_ranges=uid_ranges,
        gid_ranges=gid_ranges,
        newuidmap=newuidmap,
        newgidmap=newgidmap,
        kernel=kernel,
        kernel_release=name.release,
        architecture=name.machine,
        boot_id=_read("/proc/sys/kernel/random/boot_id").strip(),
        capability_effective=status["CapEff"],
        capability_bounding=status["CapBnd"],
        last_capability=int(_read("/proc/sys/kernel/cap_last_cap") or 40),
        in_user_namespace=not is_whole_id_map(_read("/proc/self/uid_map")),
        no_new_privileges=no_new_privileges,
        has_cgroup2="\tcgroup2\n" in _read("/proc/filesystems"),
        cgroup2_unified=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        has_ipv4=os.path.exists("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
        thermal_throttle_cpus=_thermal_throttle_cpus(),
    )


def _read(path: str) -> str:
    """The text of a small file, "" when it is missing or may not be read: the fact is then simply not known."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        parts = []
        while part := os.read(descriptor, 65536):
            parts.append(part)
        return b"".join(parts).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _name_service_user(uid: int) -> str:
    # Users from LDAP and the like are not in /etc/passwd; only then is the slower way through NSS taken.
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


def _thermal_throttle_cpus() -> int:
    # Its counters leak what other processes do (docker masks them for that); the first processor stands for all.
    if not os.path.exists("/sys/devices/system/cpu/cpu0/thermal_throttle"):
        return 0
    return os.cpu_count() or 1


def check_kernel(release: str) -> "tuple[int, int]":
    """The version of a kernel that is new enough. Raises HostError otherwise."""
    kernel = parse_kernel(release)
    if kernel < (5, 12):
        raise HostError(f"Linux {release} is too old for ocirun", "Linux 5.12 or later is needed")
    return kernel


def parse_kernel(release: str) -> "tuple[int, int]":
    """The major and minor number of a kernel release such as "6.1.0-37-amd64"; (0, 0) when it has none."""
    numbers = []
    for part in release.split(".")[:2]:
        digits = ""
        for character in part:
            if not character.isdigit():
                break
            digits += character
        if not digits:
            return (0, 0)
        numbers.append(int(digits))
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def parse_status(text: str) -> "dict[str, int]":
    """CapEff, CapBnd (bit masks) and NoNewPrivs of /proc/self/status (proc(5)); 0 for what is missing."""
    result = {"CapEff": 0, "CapBnd": 0, "NoNewPrivs": 0}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name in result:
            result[name] = int(value.strip(), 16)
    return result


def parse_user_name(passwd: str, uid: int) -> str:
    """The name of `uid` in passwd(5) text, "" when it is not there. The first line wins."""
    wanted = str(uid)
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == wanted:
            return fields[0]
    return ""


def parse_ranges(text: str, user_name: str, uid: int) -> "tuple[Range, ...]":
    """The subordinate ids of a user in subuid(5) text, by name and by uid, in file order.

    Broken lines, empty ranges and what overlaps an earlier range are left out, as newuidmap would refuse them.
    """
    result: list[Range] = []
    for line in text.splitlines():
        owner, _, rest = line.strip().partition(":")
        first, _, count = rest.partition(":")
        if owner not in (user_name, str(uid)) or not owner or not first.isdecimal() or not count.isdecimal():
            continue
        start, length = int(first), int(count)
        if length == 0 or start + length > 0xFFFFFFFF:
            continue
        if any(start < other + size and other < start + length for other, size in result):
            continue
        result.append((start, length))
    return tuple(result)


def is_whole_id_map(text: str) -> bool:
    """Whether a uid_map is that of the initial user namespace: all ids, each to itself (user_namespaces(7))."""
    return text.split() == ["0", "0", "4294967295"]


def find_helper(name: str, search_path: str) -> str:
    """The absolute path of newuidmap or newgidmap on `search_path`, "" when there is none that could work.

    It works when it is setuid root or carries file capabilities; a plain copy cannot write another user's map.
    """
    for directory in search_path.split(":"):
        if not directory.startswith("/"):
            continue
        path = f"{directory}/{name}"
        try:
            found = os.stat(path)
        except OSError:
            continue
        if found.st_mode & 0o111 == 0:
            continue
        if (found.st_mode & 0o4000 and found.st_uid == 0) or os.getuid() == 0:
            return path
        try:
            os.getxattr(path, "security.capability")
        except OSError:
            continue
        return path
    return ""


def choose_id_mode(
    *,
    uid: int,
    user_name: str,
    effective: int,
    no_new_privileges: bool,
    uid_ranges: "tuple[Range, ...]",
    gid_ranges: "tuple[Range, ...]",
    helpers: bool,
) -> "tuple[str, str, str]":
    """The id mode, why, and what would lift it ("" when it is the best there is)."""
    if uid == 0 and effective >> CAP_SYS_ADMIN & 1:
        return "rootful", "running as root", ""
    who = user_name or str(uid)
    add = f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {who}"
    for path, ranges in (("/etc/subuid", uid_ranges), ("/etc/subgid", gid_ranges)):
        total = sum(count for _, count in ranges)
        if total == 0:
            return "single", f"{path} has no range for {who}", add
        if total < NEEDED_IDS:
            return (
                "single",
                f"the range for {who} in {path} has {total} of the {NEEDED_IDS + 2} ids that images use",
                add,
            )
    if uid == 0 and effective >> CAP_SETUID & 1 and effective >> CAP_SETGID & 1:
        return "ranges", f"root without CAP_SYS_ADMIN, with the ranges of {who} in /etc/subuid and /etc/subgid", ""
    if no_new_privileges:
        return "single", "no_new_privs is set here, so newuidmap cannot work", "start ocirun outside of that sandbox"
    if not helpers:
        return (
            "single",
            "newuidmap and newgidmap are not on PATH",
            "install the package uidmap (shadow-utils on Fedora)",
        )
    return "ranges", f"the ranges of {who} in /etc/subuid and /etc/subgid, with newuidmap", ""


def user_namespace_obstacle() -> "tuple[str, str] | None":
    """What forbids user namespaces here, and the way out; None when no known setting does.

    Asked when a clone has failed, and by `info`: the settings cost three reads that a working machine need not pay.
    """
    return find_obstacle(
        _read("/proc/sys/user/max_user_namespaces").strip(),
        _read("/proc/sys/kernel/unprivileged_userns_clone").strip(),
        _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").strip(),
    )


def find_obstacle(maximum: str, debian: str, apparmor: str) -> "tuple[str, str] | None":
    """Judge the three sysctls that switch user namespaces off, given as text ("" when the kernel has no such file)."""
    if maximum == "0":
        return (
            "user namespaces are switched off (sysctl user.max_user_namespaces is 0)",
            "as root: sysctl -w user.max_user_namespaces=15000",
        )
    if debian == "0":
        return (
            "user namespaces are forbidden to users (sysctl kernel.unprivileged_userns_clone is 0)",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1",
        )
    if apparmor == "1":
        return (
            "AppArmor restricts user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns is 1)",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,`",
        )
    return None


def own_cgroup() -> str:
    """The path of this process in the cgroup v2 hierarchy ("/user.slice/..."), "" without one (cgroups(7))."""
    for line in _read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""


def has_apparmor() -> bool:
    """Whether the kernel enforces AppArmor profiles."""
    return _read("/sys/module/apparmor/parameters/enabled").startswith("Y")


def has_selinux() -> bool:
    """Whether an SELinux policy is loaded."""
    return os.path.exists("/sys/fs/selinux/enforce")


def host_details(host: Host) -> "dict[str, object]":
    """The slow facts that only `info` wants: cgroup controllers, libseccomp, security modules, obstacles."""
    cgroup = own_cgroup()
    controllers = _read(f"/sys/fs/cgroup{cgroup}/cgroup.controllers").split() if host.cgroup2_unified else []
    obstacle = user_namespace_obstacle() if host.id_mode != "rootful" else None
    return {
        "cgroup_version": "2" if host.cgroup2_unified else "1",
        "cgroup": cgroup,
        "cgroup_controllers": controllers,
        "cgroup_writable": bool(cgroup) and os.access(f"/sys/fs/cgroup{cgroup}/cgroup.procs", os.W_OK),
        "libseccomp": _libseccomp_version(),
        "apparmor": has_apparmor(),
        "selinux": has_selinux(),
        "user_namespace_obstacle": obstacle[0] if obstacle else "",
        "user_namespace_remedy": obstacle[1] if obstacle else "",
    }


def _libseccomp_version() -> str:
    import ctypes

    class Version(ctypes.Structure):
        _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))

    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return ""
    library.seccomp_version.restype = ctypes.POINTER(Version)
    version = library.seccomp_version().contents
    return f"{version.major}.{version.minor}.{version.micro}"
