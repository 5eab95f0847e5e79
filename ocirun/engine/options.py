"""What a door asks for: the options of a container and of an exec, as plain values.

The words of docker's command line or API are already understood; what needs the disk is checked by the engine.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Mount:
    """One mount that the user asked for.

    `kind` is "bind", "volume" or "tmpfs". `source` is a host path (bind; made absolute by the door), a volume's name or "" for
    an anonymous one (volume), "" (tmpfs). `propagation` is "" or docker's word ("rslave"). `relabel` is "", "z" or "Z".
    `create_source` makes a missing bind source (docker's -v does, --mount does not); `copy_up` fills an empty volume from
    the image. `options` holds the rest: for tmpfs "size" (bytes), "mode" (octal text), or flags such as "noexec": "";
    for bind "nonrecursive": "", for volume "subpath": text.
    """

    __slots__ = (
        "copy_up",
        "create_source",
        "kind",
        "options",
        "propagation",
        "read_only",
        "relabel",
        "source",
        "target",
    )

    def __init__(
        self,
        kind: str,
        source: str,
        target: str,
        *,
        read_only: bool = False,
        propagation: str = "",
        relabel: str = "",
        create_source: bool = False,
        copy_up: bool = True,
        options: "dict[str, str] | None" = None,
    ) -> None:
        self.kind = kind
        self.source = source
        self.target = target
        self.read_only = read_only
        self.propagation = propagation
        self.relabel = relabel
        self.create_source = create_source
        self.copy_up = copy_up
        self.options = options or {}


class ContainerOptions:
    """What `create` and `run` ask for. Every attribute has docker's default.

    `command` are the words after the image. `environment` holds "K=V", and "K" to take a variable of the image's away.
    `entrypoint` is None (the image's), [] (none) or words. `network` is "" (default), "host" or "none"...; `tmpfs` are
    docker's words "/path[:options]"; `ulimits` docker's "name=soft[:hard]"; `security_opt` docker's words; `stop_timeout`
    is in seconds, None for the image's or 10; `pull` is "missing", "never" or "always"; `platform` is "" or
    "os/arch[/variant]"; `log_options` are the json-file driver's "max-size" and "max-file". `hosts` are "name:address"
    words (--add-host), `group_add` names or numbers; `shm_size` is in bytes, 0 for docker's 64 MiB. `base` is "" or "host":
    the user's word that an image made on top of `host` elsewhere may see this machine's files.
    """

    __slots__ = (
        "annotations",
        "attach",
        "base",
        "cap_add",
        "cap_drop",
        "command",
        "detach",
        "entrypoint",
        "environment",
        "group_add",
        "hostname",
        "hosts",
        "image",
        "init",
        "interactive",
        "labels",
        "log_options",
        "mounts",
        "name",
        "network",
        "platform",
        "privileged",
        "pull",
        "read_only",
        "remove",
        "security_opt",
        "shm_size",
        "stop_signal",
        "stop_timeout",
        "sysctls",
        "tmpfs",
        "tty",
        "ulimits",
        "user",
        "userns",
        "working_directory",
    )

    image: str
    command: "list[str]"
    name: str
    hostname: str
    hosts: "list[str]"
    environment: "list[str]"
    labels: "dict[str, str]"
    annotations: "dict[str, str]"
    sysctls: "dict[str, str]"
    shm_size: int
    group_add: "list[str]"
    working_directory: str
    user: str
    entrypoint: "list[str] | None"
    tty: bool
    interactive: bool
    attach: "list[str]"
    detach: bool
    remove: bool
    read_only: bool
    privileged: bool
    tmpfs: "list[str]"
    mounts: "list[Mount]"
    init: bool
    cap_add: "list[str]"
    cap_drop: "list[str]"
    security_opt: "list[str]"
    ulimits: "list[str]"
    network: str
    userns: str
    stop_signal: str
    stop_timeout: "int | None"
    log_options: "dict[str, str]"
    platform: str
    pull: str
    base: str

    def __init__(self, image: str, command: "list[str] | None" = None, **values: "Any") -> None:
        """Any attribute may be given by keyword. Raises TypeError for a keyword that is no attribute."""
        self.image = image
        self.command = command or []
        for name in self.__slots__:
            if name in ("image", "command"):
                continue
            if name in values:
                setattr(self, name, values.pop(name))
            elif name in _LISTS:
                setattr(self, name, [])
            elif name in _FLAGS:
                setattr(self, name, False)
            elif name in _MAPPINGS:
                setattr(self, name, {})
            else:
                setattr(self, name, _OTHERS.get(name, ""))
        if values:
            raise TypeError(f"no such container option: {', '.join(sorted(values))}")


_LISTS = frozenset(
    ("group_add", "hosts", "environment", "attach", "tmpfs", "mounts", "cap_add", "cap_drop", "security_opt", "ulimits")
)
_FLAGS = frozenset(("tty", "interactive", "detach", "remove", "read_only", "privileged", "init"))
_MAPPINGS = frozenset(("annotations", "labels", "log_options", "sysctls"))
_OTHERS: "dict[str, Any]" = {"entrypoint": None, "stop_timeout": None, "pull": "missing", "shm_size": 0}


class ExecOptions:
    """What `exec` asks for: a command (words) in a running container. `environment` is as in ContainerOptions."""

    __slots__ = ("command", "detach", "environment", "interactive", "privileged", "tty", "user", "working_directory")

    def __init__(
        self,
        command: "list[str]",
        *,
        tty: bool = False,
        interactive: bool = False,
        detach: bool = False,
        environment: "list[str] | None" = None,
        working_directory: str = "",
        user: str = "",
        privileged: bool = False,
    ) -> None:
        self.command = command
        self.tty = tty
        self.interactive = interactive
        self.detach = detach
        self.environment = environment or []
        self.working_directory = working_directory
        self.user = user
        self.privileged = privileged
