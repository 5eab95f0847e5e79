"""Make a container's OCI configuration from an image's configuration and docker's options, as plain values.

The result is a bundle's config.json that other runtimes take too. What only ocirun does is in annotations:
"org.ocirun.init" asks for an init process of ours as pid 1.
"""

from ocirun.errors import UsageError
from ocirun.runtime import capabilities
from ocirun.runtime.config_mounts import READONLY_PATHS, default_mounts, join_mounts, masked_paths
from ocirun.runtime.id_maps import require_mapped, to_oci
from ocirun.runtime.plan_process import INIT_ANNOTATION
from ocirun.runtime.security import SecurityOptions, apparmor_profile, selinux_label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Config, Linux, Mount, Process, ProcessUser, ResourceLimit, Seccomp
    from ocirun.runtime.id_maps import IdMaps
    from ocirun.runtime.users import User

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_SIZE = 64 << 20
RLIM_INFINITY = (1 << 64) - 1
LIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()


def entrypoint_and_command(
    image_config: "dict[str, Any]", entrypoint: "list[str] | None", command: "list[str]"
) -> "tuple[list[str], list[str]]":
    """The entrypoint and command of a container: the image's where the user gave none (docker's rules).

    An entrypoint of the user's drops the image's command; [""] or [] means no entrypoint at all. Raises UsageError when
    nothing is left to run.
    """
    if entrypoint is None:
        entrypoint = list(image_config.get("Entrypoint") or [])
        command = command or list(image_config.get("Cmd") or [])
    if entrypoint == [""]:
        entrypoint = []
    if not entrypoint and not command:
        raise UsageError("no command specified", "give one after the image's name")
    return entrypoint, command


def container_environment(image: "Iterable[str]", user: "Iterable[str]") -> "list[str]":
    """Config.Env of a container: the user's settings, each at its first place and the last of a name winning, then the image's.

    An entry "K" without "=" keeps the image's out; process_environment knows what to do with it.
    """
    settings = {entry.partition("=")[0]: entry for entry in user}
    return [*settings.values(), *(entry for entry in image if entry.partition("=")[0] not in settings)]


def process_environment(settings: "Iterable[str]", *, hostname: str, terminal: bool, home: str) -> "list[str]":
    """What the process really gets: docker's defaults first, replaced in place by `settings`; HOME last when missing.

    A setting without "=" takes the variable away.
    """
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if terminal:
        values["TERM"] = "xterm"
    for entry in settings:
        name, separator, value = entry.partition("=")
        if separator:
            values[name] = value
        else:
            values.pop(name, None)
    values.setdefault("HOME", home or "/")
    return [f"{name}={value}" for name, value in values.items()]


def parse_ulimit(text: str) -> "ResourceLimit":
    """An entry of process.rlimits from "name=soft[:hard]"; -1 is unlimited. Raises UsageError in docker's words."""
    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"invalid ulimit argument: {text}", "name=soft[:hard] is expected")
    if name not in LIMITS:
        raise UsageError(f"invalid ulimit type: {name}", "known are " + ", ".join(LIMITS))
    parts = value.split(":")
    if len(parts) > 2:
        raise UsageError(f"too many limit value arguments - {value}, can only have up to two, `soft[:hard]`")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        raise UsageError(f"invalid ulimit value: {value}", "numbers are expected") from None
    soft, hard = numbers[0], numbers[-1]
    if min(numbers) < -1:
        raise UsageError(f"invalid ulimit value: {value}", "-1 means unlimited")
    if hard != -1 and (soft == -1 or soft > hard):
        relation = f"soft: -1 (unlimited), hard: {hard}" if soft == -1 else f"{soft} > {hard}"
        raise UsageError(f"ulimit soft limit must be less than or equal to hard limit: {relation}")
    return {"type": f"RLIMIT_{name.upper()}", "soft": _limit(soft), "hard": _limit(hard)}


def _limit(value: int) -> int:
    return RLIM_INFINITY if value == -1 else value


def make_config(
    *,
    host: "Host",
    maps: "IdMaps",
    user: "User",
    arguments: "list[str]",
    environment: "Iterable[str]",
    hostname: str,
    root_path: str,
    working_directory: str = "/",
    terminal: bool = False,
    read_only: bool = False,
    network: str = "none",
    mounts: "Iterable[Mount]" = (),
    files: "dict[str, str] | None" = None,
    capability_add: "Iterable[str]" = (),
    capability_drop: "Iterable[str]" = (),
    security: "SecurityOptions | None" = None,
    seccomp_profile: "dict[str, Any] | None" = None,
    ulimits: "Iterable[str]" = (),
    sysctls: "dict[str, str] | None" = None,
    init: bool = False,
    shm_size: int = SHM_SIZE,
    annotations: "dict[str, str] | None" = None,
) -> "Config":
    """The OCI configuration of a container.

    `arguments` is the whole command line; `environment` is Config.Env (container_environment); `root_path` the host path
    where the root will be; `network` "none" or "host"; `mounts` entries from config_mounts; `files` the host's files to
    bind, by target; `seccomp_profile` the parsed file that security.seccomp names. Raises UsageError and HostError.
    """
    if network not in ("none", "host"):
        raise UsageError(f"network {network} not found", "use --network none or --network host")
    directory = working_directory or "/"
    if not directory.startswith("/"):
        raise UsageError(f"the working directory '{directory}' is invalid, it needs to be an absolute path")
    require_mapped(maps, user.uid, user.gid)
    security = security or SecurityOptions()
    known = capabilities.available(host, user_namespace=maps.user_namespace)
    allowed = capabilities.adjust(capability_add, capability_drop, known, user_namespace=maps.user_namespace)
    notes = dict(annotations or {})
    if init:
        notes[INIT_ANNOTATION] = "true"
    process: Process = {
        "terminal": terminal,
        "user": process_user(maps, user),
        "args": arguments,
        "env": process_environment(environment, hostname=hostname, terminal=terminal, home=user.home),
        "cwd": directory,
        "capabilities": {"bounding": allowed, "effective": allowed, "permitted": allowed},
        "rlimits": [parse_ulimit(text) for text in ulimits],
        "noNewPrivileges": security.no_new_privileges,
    }
    _add_labels(process, security)
    return {
        "ociVersion": "1.2.0",
        "process": process,
        "root": {"path": root_path, "readonly": read_only},
        "hostname": hostname,
        "mounts": join_mounts(default_mounts(host, maps, network, shm_size), mounts, files or {}, read_only=read_only),
        "annotations": notes,
        "linux": _linux(host, maps, network, allowed, security, seccomp_profile, sysctls),
    }


def process_user(maps: "IdMaps", user: "User") -> "ProcessUser":
    """The object process.user of the specification; no further groups where setgroups(2) is denied."""
    result: ProcessUser = {"uid": user.uid, "gid": user.gid}
    if not maps.setgroups_denied:
        result["additionalGids"] = user.groups
    return result


def _add_labels(process: "Process", security: SecurityOptions) -> None:
    if not security.apparmor and not security.labels:
        return
    from ocirun.host import has_apparmor, has_selinux

    if profile := apparmor_profile(security, has_apparmor=has_apparmor()):
        process["apparmorProfile"] = profile
    if label := selinux_label(security, has_selinux=has_selinux()):
        process["selinuxLabel"] = label


def _linux(
    host: "Host",
    maps: "IdMaps",
    network: str,
    allowed: "list[str]",
    security: SecurityOptions,
    seccomp_profile: "dict[str, Any] | None",
    sysctls: "dict[str, str] | None",
) -> "Linux":
    namespaces = ["mount", "pid", "ipc", "uts", "cgroup"]
    if network == "none":
        namespaces.append("network")
    if maps.user_namespace:
        namespaces.append("user")
    masked = not security.system_paths_unconfined
    result: Linux = {
        "namespaces": [{"type": kind} for kind in namespaces],
        "maskedPaths": masked_paths(host) if masked else [],
        "readonlyPaths": list(READONLY_PATHS) if masked else [],
        "sysctl": {**(_network_sysctls(host, maps) if network == "none" else {}), **(sysctls or {})},
    }
    if maps.user_namespace:
        result["uidMappings"] = to_oci(maps.uid)
        result["gidMappings"] = to_oci(maps.gid)
    if section := _seccomp(host, allowed, security, seccomp_profile):
        result["seccomp"] = section
    return result


def _network_sysctls(host: "Host", maps: "IdMaps") -> "dict[str, str]":
    """Low ports and ping for everybody inside, as docker has it; both are settings of the container's own network."""
    if not host.has_ipv4:
        return {}
    first, last = 0, 0x7FFFFFFF
    if maps.gid:
        # The kernel takes only groups that exist inside: the run of ids that begins with the first.
        first = last = maps.root_gid
        for start, _, count in sorted(maps.gid):
            if start <= last + 1 and start >= first:
                last = max(last, start + count - 1)
    return {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": f"{first} {last}"}


def _seccomp(
    host: "Host", allowed: "list[str]", security: SecurityOptions, profile: "dict[str, Any] | None"
) -> "Seccomp | None":
    if security.seccomp == "unconfined":
        return None
    if security.seccomp in ("", "nested"):
        from ocirun.runtime.default_seccomp import default_profile

        return default_profile(allowed, host.architecture, nested=security.seccomp == "nested")
    if profile is None:
        raise UsageError(f"seccomp profile {security.seccomp} was not read")
    from ocirun.runtime.seccomp import resolve_profile

    return resolve_profile(profile, allowed, host)
