"""Compile an OCI configuration to a plan. Pure: facts about the machine come in as one Host value.

The order of the child's steps, and why:

    become root, keyring       the child starts as nobody of its new user namespace; mounts need it to be root there
    propagation                before any mount is made, so that none of ours travels back to the machine
    root, mounts, devices      in the configuration's order; an image's content is copied into a volume before it is covered
    terminal                   needs the container's devpts, and must be there before its /dev becomes read-only
    sysctls, names             while /proc/sys can still be written
    masked, read-only paths    after all mounts, or a later mount would uncover them
    pivot, read-only root      the last that needs to see the machine's files
    limits, directory          as late as possible: a low limit would break the set-up itself
    seccomp, credentials       without no_new_privs a filter needs a capability, so it is loaded before they are dropped;
                               with it, it comes last, so that fewer of our own calls must pass
    death signal, command      changing credentials clears the signal, hence the order
"""

from ocirun.errors import InvalidError
from ocirun.runtime.config_mounts import clean
from ocirun.runtime.id_maps import maps_of
from ocirun.runtime.plan_mounts import NODEV, closing_steps, dev_is_ours, device_steps, mount_steps
from ocirun.runtime.plan_namespaces import namespace_steps, namespace_types, new_network
from ocirun.runtime.plan_process import (
    INIT_ANNOTATION,
    command_step,
    credential_steps,
    limit_steps,
    seccomp_flags,
    sysctl_steps,
)
from ocirun.runtime.steps import Plan, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Config, ConsoleSize, Process, Root
    from ocirun.runtime.id_maps import IdMaps
    from ocirun.runtime.root import RootFilesystem

SIGKILL = 9
MS_REC = 1 << 14
PROPAGATIONS = {
    "": MS_REC | 1 << 19,
    "private": MS_REC | 1 << 18,
    "slave": MS_REC | 1 << 19,
    "shared": MS_REC | 1 << 20,
    "unbindable": MS_REC | 1 << 17,
}
UNSHARED = ("", "private", "slave")

MONITOR_TTY = 1
MONITOR_STDIN_OPEN = 2
MONITOR_STDIN_ONCE = 4
MONITOR_ATTACHED = 8
MONITOR_EXEC = 16
MONITOR_REMOVE_IN_NAMESPACE = 32


class Monitor:
    """What the monitor around the container does.

    `flags` are MONITOR_* bits. `log`, `state` and `socket` are host paths, "" for none. `log_max_bytes` 0 means that the
    log is never rotated. `removals` are the steps after_exit_*, in their order.
    """

    __slots__ = ("flags", "log", "log_max_bytes", "log_max_files", "removals", "socket", "state")

    def __init__(
        self,
        *,
        flags: int = 0,
        log: str = "",
        state: str = "",
        socket: str = "",
        log_max_bytes: int = 0,
        log_max_files: int = 1,
        removals: "list[Step] | None" = None,
    ) -> None:
        self.flags = flags
        self.log = log
        self.state = state
        self.socket = socket
        self.log_max_bytes = log_max_bytes
        self.log_max_files = log_max_files
        self.removals = removals or []

    def steps(self) -> "list[Step]":
        """The steps that the monitor itself reads."""
        first = Step("monitor", self.flags, self.log_max_bytes, self.log_max_files, self.log, self.state, self.socket)
        return [first, *self.removals]


def compile_plan(
    config: "Config",
    host: "Host",
    root: "RootFilesystem",
    *,
    monitor: "Monitor | None" = None,
    seccomp: bytes = b"",
    populate: "frozenset[str]" = frozenset(),
    container_id: str = "",
) -> Plan:
    """The plan that starts the process of `config` with `root` as its root file system.

    `seccomp` is the compiled program of linux.seccomp (runtime.seccomp.program). `populate` names the mount
    destinations whose source, an empty volume, first gets the image's content. `container_id` names the session keyring.
    Raises InvalidError, UnsupportedError and HostError; the message begins with the path in the configuration.
    """
    process = config.get("process")
    if not process:
        raise InvalidError("$.process: missing, and there is nothing to start without it")
    maps = maps_of(config)
    types = namespace_types(config)
    if "mount" not in types:
        raise InvalidError("$.linux.namespaces: a mount namespace is needed")
    steps = monitor.steps() if monitor else []
    steps += namespace_steps(config, maps, host)
    if maps.user_namespace:
        steps.append(Step("become", maps.root_uid, maps.root_gid))
    steps.append(Step("session_keyring", f"_ses.{container_id}" if container_id else ""))
    if new_network(config):
        steps.append(Step("loopback"))
    steps += _root_steps(config, maps, root)
    steps += mount_steps(config, maps, populate)
    if dev_is_ours(config):
        steps += device_steps(config, maps, host)
    if process.get("terminal"):
        size: ConsoleSize = process.get("consoleSize") or {"height": 0, "width": 0}
        steps.append(Step("console", size["height"], size["width"]))
    steps += sysctl_steps(config, types)
    steps += _name_steps("hostname", config.get("hostname") or "", types)
    steps += _name_steps("domainname", config.get("domainname") or "", types)
    steps += closing_steps(config)
    steps += _leaving_steps(config, [overlay.target for overlay in root.overlays[1:]])
    steps += limit_steps(process)
    steps.append(Step("working_directory", 1, maps.root_uid, maps.root_gid, working_directory(process)))
    steps += credential_steps(process, maps, seccomp, seccomp_flags(config))
    if monitor:
        steps.append(Step("parent_death_signal", SIGKILL))
    steps.append(command_step(process, init=(config.get("annotations") or {}).get(INIT_ANNOTATION) == "true"))
    return Plan(steps)


def working_directory(process: "Process") -> str:
    """process.cwd, cleaned. Raises InvalidError when it is not absolute, as the specification wants it."""
    directory = process.get("cwd") or "/"
    if not directory.startswith("/"):
        raise InvalidError(f"$.process.cwd: {directory!r} is not an absolute path")
    # /proc/self/fd/N would lead out of the root through a leaked descriptor (CVE-2024-21626); the core checks where it
    # stands afterwards, so this text is passed on as it is but for its dots.
    return clean(directory)


def _name_steps(kind: str, name: str, types: "set[str]") -> "list[Step]":
    if not name:
        return []
    if "uts" not in types:
        raise InvalidError(f"$.{kind}: cannot be set without a uts namespace of the container's own")
    if len(name.encode()) > 64:
        raise InvalidError(f"$.{kind}: {len(name.encode())} bytes, and the kernel takes 64")
    return [Step(kind, name)]


def _root_steps(config: "Config", maps: "IdMaps", root: "RootFilesystem") -> "list[Step]":
    propagation = (config.get("linux") or {}).get("rootfsPropagation") or ""
    name = propagation.removeprefix("r")
    if name not in PROPAGATIONS:
        raise InvalidError(f"$.linux.rootfsPropagation: unknown value {propagation!r}")
    # Shared and unbindable are for the root once it is there: before, they would show our mounts to the machine.
    steps = [Step("propagation", PROPAGATIONS[name if name in UNSHARED else ""], "/")]
    attributes = _overlay_attributes(config)
    for index, overlay in enumerate(root.overlays):
        if overlay.prepare:
            steps += [
                Step("prepare_directory", overlay.mode, maps.root_uid, maps.root_gid, overlay.upper),
                Step("prepare_directory", 0o700, maps.root_uid, maps.root_gid, overlay.work),
            ]
        target = root.path if index == 0 else overlay.target
        fields = (target, overlay.upper, overlay.work, overlay.options, *overlay.lowers)
        steps.append(Step("overlay", attributes, int(index > 0), *fields))
        if index == 0:
            steps.append(Step("open_root", 0, root.path))
    if not root.overlays:
        steps.append(Step("open_root", 1, root.path))
    return steps


def _overlay_attributes(config: "Config") -> int:
    # Device nodes that come with an image are dead (decisions/0009); who may make nodes of his own may use these too. In a
    # user namespace the kernel keeps all of them closed.
    process = config.get("process")
    sets = process.get("capabilities") if process else None
    return 0 if sets and "CAP_MKNOD" in (sets.get("bounding") or ()) else NODEV


def _leaving_steps(config: "Config", parts: "list[str]") -> "list[Step]":
    linux = config.get("linux") or {}
    steps = [Step("readonly_path", clean(path)) for path in linux.get("readonlyPaths") or ()]
    steps += [Step("mask", clean(path)) for path in linux.get("maskedPaths") or ()]
    steps.append(Step("pivot", 0))
    propagation = (linux.get("rootfsPropagation") or "").removeprefix("r")
    if propagation not in UNSHARED:
        steps.append(Step("propagation", PROPAGATIONS[propagation], "/"))
    root: Root | None = config.get("root")
    if root and root.get("readonly"):
        # A mount that covers such a place is the user's, and read-only only if he said so.
        covered = {clean(mount["destination"]) for mount in config.get("mounts") or ()}
        steps.append(Step("readonly_root", *(path for path in parts if path not in covered)))
    return steps
