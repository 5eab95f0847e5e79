"""The record of a new container: docker's Config and HostConfig made from the options and the image's configuration."""

from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.options import ContainerOptions

# Until containers have networks of their own, one that asks for nothing gets a namespace with loopback only.
DEFAULT_NETWORK = "none"


def docker_config(options: "ContainerOptions", image: "dict[str, Any]", hostname: str, user: str) -> "dict[str, Any]":
    """Docker's Config (Engine API, ContainerConfig): what of the image and the options describes the program.

    Raises UsageError when there is nothing to run.
    """
    from ocirun.runtime.config import container_environment, entrypoint_and_command

    entrypoint, command = entrypoint_and_command(image, options.entrypoint, options.command)
    attach = set(options.attach)
    foreground = not options.detach and not attach
    config: dict[str, Any] = {
        "Hostname": hostname,
        "Domainname": "",
        "User": user,
        "AttachStdin": "stdin" in attach or (foreground and options.interactive),
        "AttachStdout": "stdout" in attach or foreground,
        "AttachStderr": "stderr" in attach or foreground,
        "Tty": options.tty,
        "OpenStdin": options.interactive,
        "StdinOnce": options.interactive and not options.detach,
        "Env": container_environment(image.get("Env") or (), options.environment),
        "Cmd": command or None,
        "Image": options.image,
        "Volumes": image.get("Volumes") or None,
        "WorkingDir": options.working_directory or image.get("WorkingDir") or "",
        "Entrypoint": entrypoint or None,
        "OnBuild": None,
        "Labels": {**(image.get("Labels") or {}), **options.labels},
    }
    if image.get("ExposedPorts"):
        config["ExposedPorts"] = image["ExposedPorts"]
    if image.get("Healthcheck"):
        config["Healthcheck"] = image["Healthcheck"]
    stop_signal = options.stop_signal or image.get("StopSignal") or ""
    if stop_signal:
        from ocirun.engine.signals import parse_signal

        parse_signal(stop_signal)
        config["StopSignal"] = stop_signal
    if options.stop_timeout is not None:
        config["StopTimeout"] = options.stop_timeout
    return config


def docker_host_config(options: "ContainerOptions") -> "dict[str, Any]":
    """Docker's HostConfig (Engine API), as far as the options say something; inspect adds the defaults."""
    return {
        "NetworkMode": options.network or DEFAULT_NETWORK,
        "UsernsMode": options.userns,
        "AutoRemove": options.remove,
        "CapAdd": options.cap_add or None,
        "CapDrop": options.cap_drop or None,
        "ExtraHosts": options.hosts or None,
        "GroupAdd": options.group_add or None,
        **({"ShmSize": options.shm_size} if options.shm_size else {}),
        **({"Sysctls": options.sysctls} if options.sysctls else {}),
        **({"Annotations": options.annotations} if options.annotations else {}),
        "Privileged": options.privileged,
        "ReadonlyRootfs": options.read_only,
        "SecurityOpt": options.security_opt or None,
        "Tmpfs": {target: words for target, _, words in (word.partition(":") for word in options.tmpfs)} or None,
        "Ulimits": [_ulimit(word) for word in options.ulimits] or None,
        "Init": options.init or None,
        "LogConfig": {"Type": "json-file", "Config": options.log_options},
        "Binds": _binds(options),
    }


def log_limits(log_options: "dict[str, str]") -> "tuple[int, int]":
    """(bytes of one log file, 0 for no limit; number of files) from docker's max-size and max-file. Raises UsageError.

    Docker's sizes of logs go by powers of 1000, unlike those of memory.
    """
    unknown = set(log_options) - {"max-size", "max-file"}
    if unknown:
        raise UsageError(
            f"unknown log opt '{min(unknown)}' for json-file log driver", "max-size and max-file are known"
        )
    limit = 0
    # Docker's documents call -1 the default, "unlimited".
    if log_options.get("max-size", "-1") != "-1":
        from ocirun.oci.sizes import parse_size

        try:
            limit = parse_size(log_options["max-size"], 1000)
        except ValueError as error:
            raise UsageError(f"log opt max-size: {error}", "give a number with k, m or g") from None
        if not limit:
            raise UsageError("log opt max-size: max-size must be a positive number", "give a number with k, m or g")
    files = log_options.get("max-file", "1")
    if not files.isdecimal() or int(files) < 1:
        raise UsageError(f"log opt max-file: max-file cannot be less than 1: {files}", "give a number of files")
    # Without max-size there is never a second file; docker takes that, too.
    return limit, int(files)


def _ulimit(word: str) -> "dict[str, Any]":
    name, _, values = word.partition("=")
    soft, _, hard = values.partition(":")
    try:
        return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    except ValueError:
        raise UsageError(f"invalid ulimit value: {word}", "name=soft[:hard] is expected") from None


def _binds(options: "ContainerOptions") -> "list[str] | None":
    binds = []
    for mount in options.mounts:
        if (mount.kind == "bind" and mount.create_source) or (mount.kind == "volume" and mount.source):
            words = [word for word in ("ro" if mount.read_only else "", mount.relabel, mount.propagation) if word]
            binds.append(":".join([mount.source, mount.target, *([",".join(words)] if words else [])]))
    return binds or None
