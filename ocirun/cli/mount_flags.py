"""The grammars of -v and --mount: docker's, with docker's messages."""

from ocirun.cli.options import absolute_path
from ocirun.errors import UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.options import Mount

_PROPAGATIONS = frozenset(("private", "rprivate", "shared", "rshared", "slave", "rslave"))
_CONSISTENCIES = frozenset(("consistent", "cached", "delegated", "default"))
# Of each group at most one word may stand in a mode; docker's other words are of other systems.
_MODE_GROUPS = (frozenset(("ro", "rw")), frozenset(("z", "Z")), frozenset(("nocopy",)), _PROPAGATIONS, _CONSISTENCIES)
_SYNONYMS = {
    "source": "source",
    "src": "source",
    "target": "target",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
}
_KEYS = frozenset((
    "type", "source", "target", "readonly", "consistency", "bind-propagation", "bind-nonrecursive", "bind-recursive",
    "volume-nocopy", "volume-subpath", "volume-label", "volume-driver", "volume-opt", "image-subpath", "tmpfs-size", "tmpfs-mode",
))  # fmt: skip
# Keys that may stand alone and mean true then.
_SWITCHES = frozenset(("readonly", "volume-nocopy", "bind-nonrecursive"))
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def parse_volume(text: str) -> "Mount":
    """The mount of one -v: [SOURCE:]TARGET[:MODE]. A source that begins with "/" or "." is a path, another one a volume's name.

    Raises UsageError.
    """
    from ocirun.engine.options import Mount

    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise UsageError(f"invalid volume specification: '{text}'", "it is [SOURCE:]TARGET[:MODE]")
    if len(parts) == 1:
        return Mount("volume", "", parts[0])
    words = parts[2].split(",") if len(parts) == 3 else []
    if len(parts) == 2 and (not parts[1] or _is_mode(parts[1].split(","))):
        raise UsageError(f"invalid volume specification: '{text}'", "an anonymous volume takes no mode")
    if words and not _is_mode(words) and words != [""]:
        raise UsageError(f"invalid mode: {parts[2]}", "known are: ro rw z Z nocopy and the kinds of propagation")
    source = absolute_path(parts[0]) if parts[0].startswith(".") else parts[0]
    bind = source.startswith("/")
    if bind and "nocopy" in words:
        raise UsageError(f"invalid mode: {parts[2]}", "nocopy is for volumes")
    propagation = next((word for word in words if word in _PROPAGATIONS), "")
    if propagation and not bind:
        raise UsageError(f"invalid mode: {parts[2]}", "propagation is for paths of this machine")
    return Mount(
        "bind" if bind else "volume",
        source,
        parts[1],
        read_only="ro" in words,
        propagation=propagation,
        relabel=next((word for word in words if word in ("z", "Z")), ""),
        create_source=bind,
        copy_up="nocopy" not in words,
    )


def _is_mode(words: "list[str]") -> bool:
    known = [group for word in words for group in _MODE_GROUPS if word in group]
    return len(known) == len(words) and len(set(known)) == len(known)


def parse_mount(text: str) -> "Mount":
    """The mount of one --mount: key=value fields between commas, quoted as in CSV. Raises ValueError in docker's words."""
    from ocirun.engine.options import Mount

    values: dict[str, str] = {}
    for field in _fields(text):
        key, equals, value = field.partition("=")
        name = _SYNONYMS.get(key.lower(), key.lower())
        if not equals:
            if name not in _SWITCHES:
                raise ValueError(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        if name not in _KEYS:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
        values[name] = _checked(key, name, value)
    kind = values.get("type", "volume").lower()
    _check_together(kind, values)
    source = values.get("source", "")
    if kind == "bind" and source.startswith("."):
        source = absolute_path(source)
    recursive = values.get("bind-recursive", "enabled")
    options: dict[str, str] = {}
    if values.get("bind-nonrecursive") == "true" or recursive == "disabled":
        options["nonrecursive"] = ""
    for key, name in (("tmpfs-size", "size"), ("tmpfs-mode", "mode"), ("volume-subpath", "subpath")):
        if key in values:
            options[name] = values[key]
    return Mount(
        kind,
        source,
        values["target"],
        read_only=values.get("readonly") == "true",
        propagation=values.get("bind-propagation", ""),
        copy_up=values.get("volume-nocopy") != "true",
        options=options,
    )


def _fields(text: str) -> "list[str]":
    if '"' not in text:
        if not text.strip():
            raise ValueError("value is empty")
        return text.split(",")
    import csv

    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(f"parse error on line 1: {error}") from None
    return rows[0]


def _checked(key: str, name: str, value: str) -> str:
    """The value of one field in its usual form. Raises ValueError."""
    if name in _SWITCHES:
        if value not in _TRUE and value not in _FALSE:
            raise ValueError(f"invalid value for {key}: {value}")
        return "true" if value in _TRUE else "false"
    if name == "tmpfs-size":
        from ocirun.oci.sizes import parse_size

        try:
            return str(parse_size(value))
        except ValueError:
            raise ValueError(f"invalid value for {key}: {value}") from None
    if name == "tmpfs-mode":
        if not value or not set(value) <= set("01234567"):
            raise ValueError(f"invalid value for {key}: {value}")
        return value
    if name == "bind-propagation" and value not in _PROPAGATIONS:
        raise ValueError(f"invalid propagation mode: {value}")
    if name == "bind-recursive" and value not in ("enabled", "disabled", "writable", "readonly"):
        raise ValueError(f"invalid value for {key}: {value}")
    return value


def _check_together(kind: str, values: "dict[str, str]") -> None:
    """Raise ValueError when the fields do not go together, UnsupportedError for what ocirun does not do."""
    if "target" not in values:
        raise ValueError("target is required")
    if kind in ("image", "npipe", "cluster"):
        raise UnsupportedError(f"--mount type={kind} is not supported yet", "types are bind, volume and tmpfs")
    if kind not in ("bind", "volume", "tmpfs"):
        raise ValueError(f'mount type unknown: "{kind}"')
    for prefix in ("bind", "volume", "image", "tmpfs"):
        if prefix != kind and any(name.startswith(f"{prefix}-") for name in values):
            raise ValueError(f"cannot mix '{prefix}-*' options with mount type '{kind}'")
    if kind == "bind" and not values.get("source"):
        raise ValueError('invalid mount config for type "bind": field Source must not be empty')
    if kind == "tmpfs" and values.get("source"):
        raise ValueError('invalid mount config for type "tmpfs": field Source must not be specified')
    recursive = values.get("bind-recursive", "enabled")
    if recursive in ("writable", "readonly"):
        if values.get("readonly") != "true":
            raise ValueError(f"option 'bind-recursive={recursive}' requires 'readonly' to be specified in conjunction")
        raise UnsupportedError(
            f"--mount bind-recursive={recursive} is not supported yet", "readonly is recursive where the kernel can"
        )
    for name in ("volume-label", "volume-opt"):
        if name in values:
            raise UnsupportedError(
                f"--mount {name} is not supported yet", "make the volume first with 'ocirun volume create'"
            )
    if values.get("volume-driver", "local") not in ("", "local"):
        raise UnsupportedError(
            f"volume driver '{values['volume-driver']}' is not supported yet", "the only one is local"
        )
