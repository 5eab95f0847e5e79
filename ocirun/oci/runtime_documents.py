"""The documents of the OCI runtime specification 1.2 as types: config.json and state.json.

They stay plain dictionaries at run time; these classes only tell a type checker, and a reader, what is in them. Keys are
optional where the specification says so.
"""

from typing import Literal, NotRequired, TypedDict


class IdMapping(TypedDict):
    """An entry of linux.uidMappings and gidMappings (config-linux.md, User namespace mappings)."""

    containerID: int
    hostID: int
    size: int


class Namespace(TypedDict):
    """An entry of linux.namespaces; with `path` it is joined, else made."""

    type: str
    path: NotRequired[str]


class Mount(TypedDict):
    """An entry of mounts (config.md, Mounts)."""

    destination: str
    type: NotRequired[str]
    source: NotRequired[str]
    options: NotRequired[list[str]]


class ResourceLimit(TypedDict):
    """An entry of process.rlimits; the numbers are bytes, seconds or counts, as getrlimit(2) has them."""

    type: str
    soft: int
    hard: int


class ProcessUser(TypedDict):
    """process.user: ids inside the container."""

    uid: int
    gid: int
    umask: NotRequired[int]
    additionalGids: NotRequired[list[int]]


class CapabilitySets(TypedDict, total=False):
    """process.capabilities: names such as CAP_CHOWN, by set (capabilities(7))."""

    bounding: list[str]
    effective: list[str]
    permitted: list[str]
    inheritable: list[str]
    ambient: list[str]


class ConsoleSize(TypedDict):
    """process.consoleSize in characters."""

    height: int
    width: int


class Process(TypedDict):
    """process (config.md, Process)."""

    cwd: str
    args: NotRequired[list[str]]
    user: NotRequired[ProcessUser]
    terminal: NotRequired[bool]
    consoleSize: NotRequired[ConsoleSize]
    env: NotRequired[list[str]]
    capabilities: NotRequired[CapabilitySets]
    rlimits: NotRequired[list[ResourceLimit]]
    noNewPrivileges: NotRequired[bool]
    oomScoreAdj: NotRequired[int]
    apparmorProfile: NotRequired[str]
    selinuxLabel: NotRequired[str]


class Root(TypedDict):
    """root: the file system of the container."""

    path: str
    readonly: NotRequired[bool]


class SeccompArgument(TypedDict):
    """One condition of a seccomp rule."""

    index: int
    value: int
    op: str
    valueTwo: NotRequired[int]


class SeccompRule(TypedDict):
    """An entry of linux.seccomp.syscalls."""

    names: list[str]
    action: str
    errnoRet: NotRequired[int]
    args: NotRequired[list[SeccompArgument]]


class Seccomp(TypedDict):
    """linux.seccomp (config-linux.md, Seccomp)."""

    defaultAction: str
    defaultErrnoRet: NotRequired[int]
    architectures: NotRequired[list[str]]
    flags: NotRequired[list[str]]
    listenerPath: NotRequired[str]
    syscalls: NotRequired[list[SeccompRule]]


class Device(TypedDict):
    """An entry of linux.devices."""

    type: str
    path: str
    major: NotRequired[int]
    minor: NotRequired[int]
    fileMode: NotRequired[int]
    uid: NotRequired[int]
    gid: NotRequired[int]


class Linux(TypedDict, total=False):
    """linux: what only Linux has (config-linux.md), as far as ocirun reads it."""

    namespaces: list[Namespace]
    uidMappings: list[IdMapping]
    gidMappings: list[IdMapping]
    devices: list[Device]
    sysctl: dict[str, str]
    seccomp: Seccomp
    rootfsPropagation: str
    maskedPaths: list[str]
    readonlyPaths: list[str]


class Config(TypedDict, total=False):
    """config.json of a bundle (config.md). Only ociVersion is required; a configuration in the making may lack it."""

    ociVersion: str
    root: Root
    mounts: list[Mount]
    process: Process
    hostname: str
    domainname: str
    annotations: dict[str, str]
    linux: Linux


class State(TypedDict):
    """The state of a container as runtimes print it (runtime.md, State). `pid` is there while it runs."""

    ociVersion: str
    id: str
    status: Literal["creating", "created", "running", "stopped"]
    bundle: str
    pid: NotRequired[int]
    annotations: NotRequired[dict[str, str]]
