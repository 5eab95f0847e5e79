"""Capabilities by name and number (capabilities(7)), and docker's default set with its --cap-add and --cap-drop."""

from ocirun.errors import InvalidError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocirun.host import Host

# In the order of linux/capability.h: the place in this list is the number.
NAMES = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP "
    "CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER "
    "CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE "
    "CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP "
    "CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF "
    "CAP_CHECKPOINT_RESTORE"
).split()

# What docker gives a container: enough for package managers, daemons that change their user, and low ports.
DEFAULT = (
    "CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW "
    "CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT"
).split()


def default(*, user_namespace: bool) -> "list[str]":
    """Docker's default set, without CAP_MKNOD where a node would be the machine's device (docs/decisions/0009)."""
    return [name for name in DEFAULT if user_namespace or name != "CAP_MKNOD"]


def mask(names: "Iterable[str] | None") -> int:
    """The bit mask of capability names as an OCI configuration has them. Raises InvalidError for an unknown name."""
    result = 0
    for name in names or ():
        try:
            result |= 1 << NAMES.index(name)
        except ValueError:
            raise InvalidError(f"unknown capability: {name!r}") from None
    return result


def available(host: "Host", *, user_namespace: bool) -> "list[str]":
    """All capabilities a container can have here: the kernel's, in a user namespace, else those of the bounding set."""
    bounding = -1 if user_namespace else host.capability_bounding
    return [name for number, name in enumerate(NAMES) if number <= host.last_capability and bounding >> number & 1]


def adjust(
    add: "Iterable[str]", drop: "Iterable[str]", known: "list[str]", *, user_namespace: bool = True
) -> "list[str]":
    """The default set changed by --cap-add and --cap-drop; `known` is what `available` says, and what ALL means.

    Raises UsageError for a name that is no capability or that cannot be had here.
    """
    added = [_normalise(name, known, "CapAdd") for name in add]
    dropped = [_normalise(name, known, "CapDrop") for name in drop]
    if "ALL" in added:
        return [name for name in known if name not in dropped]
    if "ALL" in dropped:
        return list(dict.fromkeys(added))
    kept = [name for name in default(user_namespace=user_namespace) if name not in dropped and name in known]
    return list(dict.fromkeys(kept + added))


def _normalise(name: str, known: "list[str]", where: str) -> str:
    full = name.upper()
    if full == "ALL":
        return full
    if not full.startswith("CAP_"):
        full = f"CAP_{full}"
    if full in known:
        return full
    if full in NAMES:
        raise UsageError(
            f'invalid {where}: capability not supported by your kernel or not available in the current environment: "{full}"'
        )
    raise UsageError(f'invalid {where}: unknown capability: "{full}"', "see capabilities(7)")
