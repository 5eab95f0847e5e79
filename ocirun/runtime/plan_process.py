"""The steps about the process itself: kernel parameters, limits, credentials, the command (config.md, process)."""

from ocirun.errors import HostError, InvalidError, UnsupportedError
from ocirun.runtime.capabilities import mask
from ocirun.runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.oci.runtime_documents import Config, Process, ProcessUser, Seccomp
    from ocirun.runtime.id_maps import IdMaps

INIT_ANNOTATION = "org.ocirun.init"
DEFAULT_UMASK = 0o022

# getrlimit(2): RLIMIT_* by number
RESOURCES = {
    "RLIMIT_CPU": 0,
    "RLIMIT_FSIZE": 1,
    "RLIMIT_DATA": 2,
    "RLIMIT_STACK": 3,
    "RLIMIT_CORE": 4,
    "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6,
    "RLIMIT_NOFILE": 7,
    "RLIMIT_MEMLOCK": 8,
    "RLIMIT_AS": 9,
    "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11,
    "RLIMIT_MSGQUEUE": 12,
    "RLIMIT_NICE": 13,
    "RLIMIT_RTPRIO": 14,
    "RLIMIT_RTTIME": 15,
}

# The flags of the system call seccomp, from linux/seccomp.h.
SECCOMP_FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}

# Kernel parameters that a namespace has for itself. All others belong to the whole machine (sysctl injection, CVE-2022-0811).
IPC_SYSCTLS = (
    "kernel.auto_msgmni",
    "kernel.msg_next_id",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.sem_next_id",
    "kernel.shm_next_id",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
)
UTS_SYSCTLS = ("kernel.domainname", "kernel.hostname")


def sysctl_steps(config: "Config", types: "set[str]") -> "list[Step]":
    """A step for each of linux.sysctl. Raises InvalidError for one that no namespace of the container keeps to itself."""
    steps = []
    for key, value in ((config.get("linux") or {}).get("sysctl") or {}).items():
        where = f"$.linux.sysctl[{key!r}]"
        path = _sysctl_path(key, where)
        kind = _sysctl_namespace(path.replace("/", "."))
        if not kind:
            raise InvalidError(f"{where}: not a parameter of a namespace, so it would change the whole machine")
        if kind not in types:
            raise InvalidError(f"{where}: needs a {kind} namespace of the container's own")
        if "\0" in value:
            raise InvalidError(f"{where}: the value has a NUL byte")
        steps.append(Step("sysctl", path, value))
    return steps


def _sysctl_path(key: str, where: str) -> str:
    # As sysctl(8): the separator that comes first separates, the other one is part of a name (eth0/1 means eth0.1).
    dot, slash = key.find("."), key.find("/")
    if dot >= 0 and (slash < 0 or dot < slash):
        key = key.translate({ord("."): "/", ord("/"): "."})
    if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
        raise InvalidError(f"{where}: not the name of a kernel parameter")
    return key


def _sysctl_namespace(name: str) -> str:
    if name in IPC_SYSCTLS or name.startswith("fs.mqueue."):
        return "ipc"
    if name in UTS_SYSCTLS:
        return "uts"
    return "network" if name.startswith("net.") else ""


def limit_steps(process: "Process") -> "list[Step]":
    """rlimits, OOM score adjustment and umask."""
    steps = []
    seen: set[str] = set()
    for index, limit in enumerate(process.get("rlimits") or ()):
        name = limit.get("type")
        if name not in RESOURCES:
            raise InvalidError(f"$.process.rlimits[{index}].type: unknown limit {name!r}")
        if name in seen:
            raise InvalidError(f"$.process.rlimits[{index}].type: {name} appears twice")
        seen.add(name)
        steps.append(Step("rlimit", RESOURCES[name], limit["soft"], limit["hard"]))
    if process.get("oomScoreAdj") is not None:
        steps.append(Step("oom_score", process["oomScoreAdj"]))
    user: ProcessUser = process.get("user") or {"uid": 0, "gid": 0}
    steps.append(Step("umask", user.get("umask", DEFAULT_UMASK)))
    return steps


def seccomp_flags(config: "Config") -> int:
    """The flags for seccomp(2). Without any named, speculation stays as it is, as in runc: the mitigation is costly.

    Raises InvalidError for an unknown flag, UnsupportedError for a notify listener.
    """
    section: Seccomp | None = (config.get("linux") or {}).get("seccomp")
    if not section:
        return 0
    names = section.get("flags")
    if section.get("listenerPath") or "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" in (names or ()):
        raise UnsupportedError("$.linux.seccomp.listenerPath: seccomp notification is not supported yet")
    if names is None:
        return SECCOMP_FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    result = 0
    for name in names:
        if name not in SECCOMP_FLAGS:
            raise InvalidError(f"$.linux.seccomp.flags: unknown flag {name!r}")
        result |= SECCOMP_FLAGS[name]
    # One thread calls seccomp(2) here, and with TSYNC its result would be a thread id.
    return result & ~SECCOMP_FLAGS["SECCOMP_FILTER_FLAG_TSYNC"]


def credential_steps(process: "Process", maps: "IdMaps", seccomp: bytes, flags: int) -> "list[Step]":
    """Security labels, seccomp, ids and capabilities, in the order that no_new_privs asks for."""
    steps = _label_steps(process)
    filter_steps = [Step("seccomp", flags, seccomp)] if seccomp else []
    if process.get("noNewPrivileges"):
        return [*steps, _credentials(process, maps), Step("no_new_privileges"), *filter_steps]
    return [*steps, *filter_steps, _credentials(process, maps)]


def _label_steps(process: "Process") -> "list[Step]":
    steps = []
    if process.get("apparmorProfile"):
        steps.append(Step("exec_label", "apparmor/exec", f"exec {process['apparmorProfile']}"))
    if process.get("selinuxLabel"):
        steps.append(Step("exec_label", "exec", process["selinuxLabel"]))
    return steps


def _credentials(process: "Process", maps: "IdMaps") -> Step:
    user: ProcessUser = process.get("user") or {"uid": 0, "gid": 0}
    sets = process.get("capabilities") or {}
    groups = user.get("additionalGids") or []
    if groups and maps.setgroups_denied:
        raise HostError(
            "$.process.user.additionalGids: further groups cannot be had with a single mapped group",
            "subordinate ids (newuidmap and /etc/subgid) lift this",
        )
    return Step(
        "credentials",
        user.get("uid", 0),
        user.get("gid", 0),
        mask(sets.get("bounding")),
        mask(sets.get("effective")),
        mask(sets.get("permitted")),
        mask(sets.get("inheritable")),
        mask(sets.get("ambient")),
        *(str(group) for group in groups),
    )


def command_step(process: "Process", *, init: bool = False) -> Step:
    """Execute process.args with process.env; with `init` a small process of ours stays as pid 1 and reaps."""
    arguments = process.get("args") or []
    if not arguments:
        raise InvalidError("$.process.args: at least one word is needed")
    environment = process.get("env") or []
    for name, words in (("args", arguments), ("env", environment)):
        for index, word in enumerate(words):
            if "\0" in word:
                raise InvalidError(f"$.process.{name}[{index}]: has a NUL byte")
    return Step("command", len(arguments), int(init), *arguments, *environment)
