"""Values as Go knows them: maps beside structs, several kinds of nil, and how fmt prints each.

JSON has one kind of object, but a template of docker's prints a struct as {a b} and a map as map[k:v], and asks a map
for a missing key without an error. `typed` puts that difference back by the names under which docker's API keeps maps.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# Fields of docker's API whose value is a map; every other JSON object is a struct.
MAPS = frozenset(
    "Annotations Data Details DriverOpts ExposedPorts Labels Networks Options PortBindings Ports Runtimes StorageOpt Sysctls "
    "Tmpfs Volumes annotations labels".split()
)
# Fields that are null when unset although they are no list.
POINTERS = frozenset(
    "Health Healthcheck IPAMConfig Init LogPath MemorySwappiness OomKillDisable PidsLimit ShutdownTimeout StopTimeout UsageData "
    "Commit ContainerdCommit Size SizeRw SizeRootFs Server".split()
)


# A mount without a name is printed with an empty one, although JSON leaves it out.
_MOUNT_FIELDS = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")


class GoMap(dict):  # type: ignore[type-arg] # JSON's
    """A Go map: printed as map[k:v], keys in order, and a missing key is no error."""

    __slots__ = ()


class Nil:
    """A nil of some kind; `text` is how fmt prints it. It is false, empty, and null in JSON."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


NIL_SLICE = Nil("slice", "[]")
NIL_MAP = Nil("map", "map[]")
NIL_POINTER = Nil("pointer", "<nil>")
NIL = Nil("nil", "<nil>")
# What a missing key of a map gives.
NO_VALUE = Nil("no value", "<no value>")

# Fields that JSON leaves out when they are empty; templates ask for them all the same ({{if .State.Health}}).
LEFT_OUT: "dict[str, Any]" = {
    "Annotations": NIL_MAP,
    "Health": NIL_POINTER,
    "Healthcheck": NIL_POINTER,
    "Init": NIL_POINTER,
    "MacAddress": "",
    "Runtime": "",
    "Shell": NIL_SLICE,
    "SizeRootFs": NIL_POINTER,
    "SizeRw": NIL_POINTER,
    "StopSignal": "",
    "StopTimeout": NIL_POINTER,
    "StorageOpt": NIL_MAP,
    "Sysctls": NIL_MAP,
    "Tmpfs": NIL_MAP,
    "VirtualSize": 0,
}


class Row:
    """A line of a listing: fields are functions of one object, some of them with an argument (docker's `.Label "x"`).

    `type_name` is the Go type that messages name.
    """

    __slots__ = ("fields", "methods", "subject", "type_name")

    def __init__(
        self,
        subject: "Any",
        fields: "Mapping[str, Callable[[Any], Any]]",
        methods: "Mapping[str, Callable[[Any, str], Any]]",
        type_name: str,
    ) -> None:
        self.subject = subject
        self.fields = fields
        self.methods = methods
        self.type_name = type_name

    def values(self) -> "dict[str, Any]":
        """All fields that need no argument, in the order of their names: the line as JSON has it."""
        return {name: self.fields[name](self.subject) for name in sorted(self.fields)}


def typed(value: "Any", key: str = "", parent: str = "") -> "Any":
    """A copy of a JSON document in which maps are GoMap, in the order of their keys, and nulls know their kind."""
    if isinstance(value, dict):
        if key in MAPS or (parent == "LogConfig" and key == "Config"):
            return GoMap((name, typed(value[name], "", key)) for name in sorted(value))
        return {name: typed(item, name, key) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item, "", key) for item in value]
    if value is None:
        return NIL_POINTER if key in POINTERS else NIL_MAP if key in MAPS else NIL_SLICE
    return value


def show(value: "Any") -> str:
    """`value` as Go's fmt prints it with %v."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return show_float(value)
    if value is None:
        return "<nil>"
    if isinstance(value, Nil):
        return value.text
    if isinstance(value, GoMap):
        return "map[" + " ".join(f"{name}:{show(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, dict):
        if is_mount(value):
            return "{" + " ".join(show(value.get(name, "")) for name in _MOUNT_FIELDS) + "}"
        return "{" + " ".join(show(item) for item in value.values()) + "}"
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(item) for item in value) + "]"
    if isinstance(value, Row):
        return show(GoMap(value.values()))
    return str(value)


def is_mount(value: "dict[str, Any]") -> bool:
    """Whether the struct is one of docker's mount points."""
    return "Destination" in value and "RW" in value


def left_out(value: "dict[str, Any]", name: str) -> "Any":
    """What the field `name` holds that JSON has left out of the struct `value`; None when there is no such field."""
    if name in ("Name", "Driver") and is_mount(value):
        return ""
    return LEFT_OUT.get(name)


def show_float(value: float) -> str:
    """A float64 as Go's %v: the shortest digits, an exponent below 1e-4 and from 1e6."""
    if value != value:  # noqa: PLR0124 - NaN is what is not itself; math is not needed for that
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return repr(value).removesuffix(".0")
    digits = 0
    while float(f"{value:.{digits}e}") != value:
        digits += 1
    return f"{value:.{digits}e}"


def plain(value: "Any") -> "Any":
    """`value` for a JSON encoder: rows become objects, nils null."""
    if isinstance(value, Row):
        return value.values()
    if isinstance(value, Nil):
        return None
    raise TypeError(f"no JSON for {type(value).__name__}")


def type_name(value: "Any") -> str:
    """The Go type that messages name for `value`."""
    if isinstance(value, Row):
        return value.type_name
    if isinstance(value, bool):
        return "bool"
    for kind, name in (
        (str, "string"),
        (int, "int"),
        (float, "float64"),
        (GoMap, "map[string]interface {}"),
        (dict, "struct"),
        (list, "[]interface {}"),
    ):
        if isinstance(value, kind):
            return name
    return "<nil>"
