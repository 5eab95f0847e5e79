"""The options that `run` and `create` share, and those of docker's that ocirun does not have yet.

What is refused here is known, so that a script that needs it stops with one clear line instead of running without it.
"""

from ocirun.cli.options import NOT_YET, Option


def _later(names: str, kind: str, *accepted: str) -> "tuple[Option, ...]":
    """Options of docker's that are refused unless they ask for what happens anyway; "name/letter" gives a short form."""
    return tuple(
        Option(name.partition("/")[0], kind, "", short=name.partition("/")[2], refused=NOT_YET, accepted=accepted)
        for name in names.split()
    )


def _environment(text: str) -> str:
    from ocirun.cli.key_values import check_environment

    return check_environment(text)


def _label(text: str) -> str:
    from ocirun.cli.key_values import check_label

    return check_label(text)


def _stream(text: str) -> str:
    name = text.lower()
    if name not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return name


def _mount(text: str) -> object:
    from ocirun.cli.mount_flags import parse_mount

    return parse_mount(text)


def _ulimit(text: str) -> str:
    from ocirun.cli.ulimits import check_ulimit

    return check_ulimit(text)


def _log_option(text: str) -> str:
    name = text.partition("=")[0]
    if name not in ("max-size", "max-file"):
        raise ValueError(f"unknown log opt '{name}' for json-file log driver")
    return text


def _base(text: str) -> str:
    if text != "host":
        raise ValueError("the only base that can be given is host")
    return text


def _network(text: str) -> str:
    if "=" in text or "," in text:
        raise ValueError("only the name of one network is supported yet")
    return text


def _host(text: str) -> str:
    if not text.partition(":")[0] or ":" not in text:
        raise ValueError(f"bad format for add-host: {text!r}")
    return text


CONTAINER_OPTIONS: "tuple[Option, ...]" = (
    Option("add-host", "list", "One more name for the container's /etc/hosts (name:address)", check=_host),
    Option("attach", "list", "Connect only this stream: STDIN, STDOUT or STDERR", short="a", check=_stream),
    Option("base", "string", "Show this machine's files below an image that was made on top of host elsewhere", check=_base),
    Option("cap-add", "list", "Add a capability"),
    Option("cap-drop", "list", "Drop a capability"),
    Option("cidfile", "string", "Write the container's id to this new file"),
    Option("entrypoint", "string", "Run this instead of the image's ENTRYPOINT"),
    Option("env", "list", "Set an environment variable, or pass on one of ours", short="e", check=_environment),
    Option("env-file", "list", "Read environment variables from a file"),
    Option("hostname", "string", "Name of the container's machine", short="h"),
    Option("init", "bool", "Run an init that forwards signals and reaps processes"),
    Option("interactive", "bool", "Keep standard input open", short="i"),
    Option("label", "list", "Set a label", short="l", check=_label),
    Option("label-file", "list", "Read labels from a file"),
    Option("log-opt", "list", "Rotate the log: max-size=10m, max-file=3", check=_log_option),
    Option("mount", "mount", "Mount a path, a volume or a tmpfs (type=bind,source=/a,target=/b)", check=_mount),
    Option("name", "string", "Name the container"),
    Option("network", "list", "Network of the container: none or host", check=_network, also=("net",)),
    Option("platform", "string", "Take the image only if it is for this platform (os/arch)"),
    Option("pull", "string", "Pull the image first: always, missing or never", default="missing"),
    Option("quiet", "bool", "Do not show the progress of a pull", short="q"),
    Option("read-only", "bool", "Make the container's root file system read-only"),
    Option("rm", "bool", "Remove the container and its anonymous volumes when it ends"),
    Option("security-opt", "list", "no-new-privileges, seccomp=FILE|nested|unconfined, label=..., apparmor=..."),
    Option("stop-signal", "string", "Signal that asks the container to stop"),
    Option("stop-timeout", "int", "Seconds until a stop kills the container"),
    Option("tmpfs", "list", "Mount a tmpfs at a path (/path[:size=64m,mode=1777])"),
    Option("tty", "bool", "Give the container a terminal", short="t"),
    Option("ulimit", "ulimit", "Set a resource limit (nofile=1024:2048)", check=_ulimit),
    Option("user", "string", "Run as this user (name|uid[:group|gid])", short="u"),
    Option("userns", "string", "User namespace: keep-id, host, or empty for the usual one"),
    Option("volume", "list", "Mount a path or a volume ([SOURCE:]TARGET[:MODE])", short="v"),
    Option("workdir", "string", "Directory in which the command starts", short="w"),
    # The wish to see no signatures checked, or no health checks run, is met as things are.
    Option("disable-content-trust", "bool", "", default=True, refused=NOT_YET),
    Option("no-healthcheck", "bool", "", accepted=("true",), refused=NOT_YET),
    *_later("cgroupns", "string", "", "private"),
    *_later("ipc", "string", "", "private"),
    *_later("isolation", "string", "", "default"),
    *_later("log-driver", "string", "", "json-file"),
    *_later("restart", "string", "", "no"),
    *_later("volume-driver", "string", "", "local"),
    *_later("memory-swappiness pids-limit", "int", "-1", "0"),
    *_later("blkio-weight cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares/c health-retries oom-score-adj", "int", "0"),
    *_later("memory/m memory-reservation memory-swap kernel-memory shm-size", "bytes", "0"),
    *_later("health-interval health-start-interval health-start-period health-timeout", "duration", "0", "0s"),
    *_later("cpus", "decimal", "0", "0.0"),
    *_later("oom-kill-disable privileged publish-all/P use-api-socket", "bool"),
    *_later("cgroup-parent cpuset-cpus cpuset-mems domainname health-cmd ip ip6 mac-address pid runtime uts", "string", ""),
    *_later("blkio-weight-device device device-cgroup-rule device-read-bps device-read-iops device-write-bps", "list"),
    *_later("device-write-iops dns dns-option dns-opt dns-search expose gpus group-add link link-local-ip", "list"),
    *_later("annotation net-alias network-alias publish/p storage-opt sysctl volumes-from", "list"),
    *_later("cpu-count cpu-percent io-maxbandwidth io-maxiops", "int", "0"),
)  # fmt: skip
