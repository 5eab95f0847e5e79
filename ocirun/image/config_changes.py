"""The changes that `import -c` and `commit -c` make to an image's config: lines of Dockerfile instructions."""

import json
import posixpath

from ocirun.errors import UsageError
from ocirun.image.dockerfile_words import process_word, split_words
from ocirun.oci.durations import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.oci.image_documents import ExecutionConfig, Healthcheck

_DEFAULT_SHELL = ["/bin/sh", "-c"]
_PROTOCOLS = ("tcp", "udp", "sctp")
_NO_TRIGGERS = frozenset(("ONBUILD", "FROM", "MAINTAINER"))


def apply_changes(config: "ExecutionConfig", changes: "list[str]") -> "ExecutionConfig":
    """The config with `changes` applied in order; each may have several lines. Raises UsageError with docker's words."""
    changed: ExecutionConfig = {**config}
    applied = set()
    for instruction, rest in _instructions("\n".join(changes)):
        apply = _INSTRUCTIONS.get(instruction)
        if apply is None:
            raise UsageError(
                f"{instruction} is not a valid change command", f"allowed are {', '.join(sorted(_INSTRUCTIONS))}"
            )
        if not rest:
            raise UsageError(f"{instruction} requires at least one argument")
        applied.add(instruction)
        apply(changed, rest)
        if instruction == "ENTRYPOINT" and "CMD" not in applied:
            # The command was made for the entrypoint that it no longer has.
            changed.pop("Cmd", None)
    return changed


def _instructions(text: str) -> "list[tuple[str, str]]":
    """The lines as (instruction in capitals, rest), continued lines joined, comments and empty lines left out."""
    found = []
    whole = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        whole += line.rstrip()
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        found.append(whole.strip())
        whole = ""
    if whole.strip():
        found.append(whole.strip())
    return [
        (words[0].upper(), words[1].strip() if len(words) > 1 else "")
        for words in (line.split(None, 1) for line in found)
    ]


def environment_of(config: "ExecutionConfig") -> "dict[str, str]":
    """The config's environment as a mapping."""
    pairs = (entry.partition("=") for entry in config.get("Env") or ())
    return {name: value for name, _, value in pairs}


def _array(rest: str) -> "list[str] | None":
    """The exec form, a JSON array of texts; None when it is anything else, which is then a shell command."""
    try:
        value = json.loads(rest)
    except ValueError:
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


def _command(config: "ExecutionConfig", rest: str) -> "list[str]":
    words = _array(rest)
    return [*(config.get("Shell") or _DEFAULT_SHELL), rest] if words is None else words


def _cmd(config: "ExecutionConfig", rest: str) -> None:
    config["Cmd"] = _command(config, rest)


def _entrypoint(config: "ExecutionConfig", rest: str) -> None:
    config["Entrypoint"] = _command(config, rest)


def _pairs(instruction: str, rest: str, environment: "dict[str, str]") -> "list[tuple[str, str]]":
    """NAME=VALUE words, or the old form of one NAME and the rest of the line as its value."""
    words = split_words(rest)
    if "=" not in words[0]:
        name, _, value = rest.partition(" ")
        if not value.strip():
            raise UsageError(f"{instruction} must have two arguments")
        return [(process_word(name, environment), process_word(value.strip(), environment))]
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(
                f"Syntax error - can't find = in {word!r}. Must be of the form: name=value",
            )
        key = process_word(name, environment)
        if not key:
            raise UsageError(f"{instruction} names can not be blank")
        found.append((key, process_word(value, environment)))
    return found


def _env(config: "ExecutionConfig", rest: str) -> None:
    environment = environment_of(config)
    pairs = _pairs("ENV", rest, environment)
    entries = list(config.get("Env") or ())
    for name, value in pairs:
        entry = f"{name}={value}"
        places = [index for index, known in enumerate(entries) if known.partition("=")[0] == name]
        if places:
            entries[places[0]] = entry
        else:
            entries.append(entry)
    config["Env"] = entries


def _label(config: "ExecutionConfig", rest: str) -> None:
    labels = dict(config.get("Labels") or {})
    labels.update(_pairs("LABEL", rest, environment_of(config)))
    config["Labels"] = labels


def _expose(config: "ExecutionConfig", rest: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    environment = environment_of(config)
    for word in split_words(rest):
        for port in parse_ports(process_word(word, environment)):
            ports[port] = {}
    config["ExposedPorts"] = ports


def parse_ports(text: str) -> "list[str]":
    """The ports that "80", "80/udp" or "8000-8010/tcp" means, each as "80/tcp". Raises UsageError."""
    numbers, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    first, dash, last = numbers.partition("-")
    bounds = (first, last if dash else first)
    if protocol not in _PROTOCOLS:
        raise UsageError(f"invalid proto: {protocol}")
    if not all(bound.isascii() and bound.isdigit() and 0 < int(bound) < 65536 for bound in bounds):
        raise UsageError(f"invalid containerPort: {text}")
    if int(bounds[1]) < int(bounds[0]):
        raise UsageError(f"invalid range specified for port: {text}")
    return [f"{number}/{protocol}" for number in range(int(bounds[0]), int(bounds[1]) + 1)]


def _onbuild(config: "ExecutionConfig", rest: str) -> None:
    trigger = rest.split(None, 1)[0].upper()
    if trigger in _NO_TRIGGERS:
        raise UsageError(f"{trigger} isn't allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), rest]


def _stop_signal(config: "ExecutionConfig", rest: str) -> None:
    signal = process_word(rest, environment_of(config))
    if not is_signal(signal):
        raise UsageError(f"invalid signal: {signal}")
    config["StopSignal"] = signal


def is_signal(text: str) -> bool:
    """Whether `text` is a signal's number, or its name with or without SIG, also SIGRTMIN+n."""
    if text.isascii() and text.isdigit():
        return 0 < int(text) < 65
    import signal

    name = text.upper().removeprefix("SIG")
    base, plus, offset = name.partition("+" if "+" in name else "-")
    if plus:
        return base in ("RTMIN", "RTMAX") and offset.isdigit()
    return f"SIG{name}" in signal.Signals.__members__ or name in ("RTMIN", "RTMAX")


def _user(config: "ExecutionConfig", rest: str) -> None:
    words = split_words(rest)
    if len(words) != 1:
        raise UsageError("USER requires exactly one argument")
    config["User"] = process_word(words[0], environment_of(config))


def _volume(config: "ExecutionConfig", rest: str) -> None:
    volumes = dict(config.get("Volumes") or {})
    environment = environment_of(config)
    for word in _array(rest) or split_words(rest):
        path = process_word(word, environment).strip()
        if not path:
            raise UsageError("VOLUME specified can not be an empty string")
        volumes[path] = {}
    config["Volumes"] = volumes


def _working_directory(config: "ExecutionConfig", rest: str) -> None:
    path = process_word(rest, environment_of(config))
    joined = posixpath.join("/", config.get("WorkingDir") or "", path)
    # normpath keeps two leading slashes, which POSIX lets mean something else.
    config["WorkingDir"] = "/" + posixpath.normpath(joined).lstrip("/")


def _healthcheck(config: "ExecutionConfig", rest: str) -> None:
    check: Healthcheck = {}
    while rest.startswith("--"):
        word, _, rest = rest.partition(" ")
        rest = rest.strip()
        name, _, value = word[2:].partition("=")
        _health_option(check, name, value)
    kind, _, command = rest.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE":
        if check or command:
            raise UsageError("HEALTHCHECK NONE takes no arguments")
        config["Healthcheck"] = {"Test": ["NONE"]}
        return
    if kind.upper() != "CMD":
        raise UsageError(f"Unknown type {kind!r} in HEALTHCHECK (try CMD)")
    if not command:
        raise UsageError("Missing command after HEALTHCHECK CMD")
    words = _array(command)
    config["Healthcheck"] = {"Test": ["CMD-SHELL", command] if words is None else ["CMD", *words], **check}


def _health_option(check: "Healthcheck", name: str, value: str) -> None:
    if name == "retries":
        if not (value.isascii() and value.isdigit()):
            raise UsageError(f"--retries must be a number, not {value!r}")
        check["Retries"] = int(value)
    elif name == "interval":
        check["Interval"] = _nanoseconds(value)
    elif name == "timeout":
        check["Timeout"] = _nanoseconds(value)
    elif name == "start-period":
        check["StartPeriod"] = _nanoseconds(value)
    elif name == "start-interval":
        check["StartInterval"] = _nanoseconds(value)
    else:
        raise UsageError(f"Unknown flag: {name}")


def _nanoseconds(text: str) -> int:
    try:
        duration = parse_duration(text)
    except ValueError:
        duration = -1
    if duration < 0:
        raise UsageError(f"invalid duration {text!r}", "expected a number with a unit, such as 30s")
    return duration


_INSTRUCTIONS: "dict[str, Callable[[ExecutionConfig, str], None]]" = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _working_directory,
}
