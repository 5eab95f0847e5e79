"""From the words of `run` and `create` to the engine's ContainerOptions."""

from ocirun.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.options import ContainerOptions, Mount

STREAMS = ("stdin", "stdout", "stderr")


def container_options(flags: "Flags", arguments: "list[str]", *, detach: bool = False) -> "ContainerOptions":
    """The options that the flags and arguments (IMAGE [COMMAND] [ARG...]) stand for. Raises UsageError."""
    from ocirun.engine.options import ContainerOptions

    return ContainerOptions(
        arguments[0],
        arguments[1:],
        attach=list(dict.fromkeys(flags.values("attach"))),
        cap_add=flags.values("cap-add"),
        cap_drop=flags.values("cap-drop"),
        detach=detach,
        entrypoint=_entrypoint(flags),
        environment=_environment(flags),
        hostname=flags.text("hostname"),
        hosts=flags.values("add-host"),
        init=flags.boolean("init"),
        interactive=flags.boolean("interactive"),
        labels=_labels(flags),
        log_options=dict(word.partition("=")[::2] for word in flags.values("log-opt")),
        mounts=_mounts(flags),
        name=flags.text("name"),
        network=_network(flags),
        platform=flags.text("platform"),
        base=flags.text("base"),
        pull=_pull(flags),
        read_only=flags.boolean("read-only"),
        remove=flags.boolean("rm"),
        security_opt=_security(flags),
        stop_signal=flags.text("stop-signal"),
        stop_timeout=flags.number("stop-timeout") if flags.given("stop-timeout") else None,
        tmpfs=flags.values("tmpfs"),
        tty=flags.boolean("tty"),
        ulimits=flags.values("ulimit"),
        user=flags.text("user"),
        userns=flags.text("userns"),
        working_directory=flags.text("workdir"),
    )


def attached_streams(options: "ContainerOptions") -> "tuple[str, ...]":
    """The streams that a run in the foreground connects: those of --attach, or all that are open."""
    if options.attach:
        return tuple(stream for stream in STREAMS if stream in options.attach)
    return STREAMS if options.interactive else STREAMS[1:]


def _entrypoint(flags: "Flags") -> "list[str] | None":
    if not flags.given("entrypoint"):
        return None
    text = flags.text("entrypoint")
    # An empty one takes the image's away.
    return [text] if text else []


def _environment(flags: "Flags") -> "list[str]":
    if not flags.given("env") and not flags.given("env-file"):
        return []
    from ocirun.cli.key_values import environment

    return environment(flags.values("env-file"), flags.values("env"))


def _labels(flags: "Flags") -> "dict[str, str]":
    if not flags.given("label") and not flags.given("label-file"):
        return {}
    from ocirun.cli.key_values import labels

    return labels(flags.values("label-file"), flags.values("label"))


def _mounts(flags: "Flags") -> "list[Mount]":
    mounts: list[Mount] = []
    if flags.given("volume"):
        from ocirun.cli.mount_flags import parse_volume

        mounts += [parse_volume(text) for text in flags.values("volume")]
    return mounts + flags.values("mount")


def _network(flags: "Flags") -> str:
    networks = flags.values("network")
    if len(set(networks)) > 1:
        raise UsageError(f"a container has one network: {', '.join(networks)}", "give --network once")
    return str(networks[0]) if networks else ""


def _pull(flags: "Flags") -> str:
    pull = flags.text("pull")
    if pull not in ("always", "missing", "never"):
        raise UsageError(f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"')
    return pull


def _security(flags: "Flags") -> "list[str]":
    words: list[str] = flags.values("security-opt")
    for word in words:
        if "=" not in word and ":" not in word and word != "no-new-privileges":
            raise UsageError(f'Invalid --security-opt: "{word}"', "it is name=value, or no-new-privileges")
    return words
