"""The vocabulary of a plan: every kind of step, its fields, and the sentence that describes it.

A plan is data: `compile` makes it, the C core executes it, `describe` prints it, and the message of a failed step
is made from the same words. The byte format is written down in cext/plan.h.
"""

import struct

VERSION = 1
MAGIC = b"OCIRPLAN"

# kind: (number, integer fields, string fields, description). The last field may end in "*": it takes all that remain.
# fmt: off
KINDS: "dict[str, tuple[int, str, str, str]]" = {
    # what the monitor does around the container; paths may be empty
    "monitor": (1, "flags log_max_bytes log_max_files", "log state socket", "keep the log in {log}, the state in {state}, attach at {socket}"),
    "after_exit_remove": (2, "", "path", "after exit, remove {path}"),
    "after_exit_discard": (3, "", "path staging", "after exit, move {path} into {staging} and remove it"),
    "after_exit_volume": (4, "", "path containers staging", "after exit, do the same with the volume {path} unless one of {containers} mounts it"),
    # in the helper, before the clone
    "join_namespace": (10, "type", "path", "join the namespace {path}"),
    "join_process": (11, "descriptor flags", "", "join the namespaces of the process behind descriptor {descriptor}"),
    "clone": (12, "flags", "", "clone into new namespaces ({flags:#x})"),
    # in the helper, after the clone, while the child waits
    "id_map_write": (13, "is_gid", "text", "write the id map {text!r}"),
    "id_map_helper": (14, "is_gid", "program arguments*", "map ids with {program} {arguments}"),
    "deny_setgroups": (15, "", "", "deny setgroups in the user namespace"),
    "cgroup_enter": (16, "", "path", "enter the cgroup {path}"),
    # in the child: file systems
    "become": (20, "uid gid", "", "become uid {uid}, gid {gid}"),
    "propagation": (21, "flags", "path", "set the propagation of {path} ({flags:#x})"),
    "overlay": (22, "attributes in_root", "target upper work options lowers*", "mount an overlay on {target} (upper {upper})"),
    "open_root": (23, "bind_itself", "path", "open the root {path}"),
    "mount": (24, "attributes propagation flags", "type source target data", "mount {type} on {target} ({data})"),
    "bind": (25, "flags set clear recursive_set recursive_clear propagation", "source target", "bind {source} on {target}"),
    "mask": (27, "", "path", "mask {path}"),
    "readonly_path": (28, "", "path", "make {path} read-only"),
    "make_symlink": (29, "", "content path", "link {path} to {content}"),
    "make_node": (30, "mode major minor uid gid", "path", "make the device {path}"),
    "bind_device": (31, "", "source target", "bind the device {source} on {target}"),
    "make_directory": (32, "mode uid gid", "path", "make the directory {path}"),
    "console": (33, "rows columns", "", "open the terminal"),
    "populate": (34, "", "source target", "copy the image's {source} into the empty volume {target}"),
    "prepare_directory": (35, "mode uid gid", "path", "prepare {path}"),
    "pivot": (36, "no_pivot", "", "pivot into the root"),
    "readonly_root": (37, "", "overlays*", "make the root read-only"),
    # in the child: the process
    "loopback": (38, "", "", "bring up the loopback interface"),
    "hostname": (40, "", "name", "set the host name {name}"),
    "domainname": (41, "", "name", "set the domain name {name}"),
    "sysctl": (42, "", "key value", "set the sysctl {key} to {value}"),
    "oom_score": (43, "value", "", "set the OOM score adjustment"),
    "rlimit": (44, "resource soft hard", "", "set the resource limit {resource} to {soft}:{hard}"),
    "umask": (45, "mask", "", "set the umask {mask:#o}"),
    "session_keyring": (46, "", "name", "join a new session keyring {name}"),
    "working_directory": (47, "create uid gid", "path", "change to the working directory {path}"),
    "credentials": (48, "uid gid bounding effective permitted inheritable ambient", "groups*", "run as uid {uid}, gid {gid}"),
    "exec_label": (49, "", "attribute label", "execute with the security label {label}"),
    "no_new_privileges": (50, "", "", "allow no new privileges"),
    "seccomp": (51, "flags", "program", "load the seccomp filter"),
    "parent_death_signal": (52, "signal", "", "die with the monitor (signal {signal})"),
    "command": (54, "argument_count init", "words*", "execute {words}"),
    # tasks: work on files inside the user namespace
    "untar": (60, "input flags entries", "target lowers*", "unpack into {target}"),
    "tar_changes": (61, "output flags lower_counts*", "trees*", "write the changes as a tar"),
    "list_changes": (62, "output flags lower_counts*", "trees*", "list the changes"),
    "remove_tree": (63, "", "path", "remove {path}"),
}
# fmt: on

Field = int | str | bytes


class Step:
    """One step: its kind, and its fields in the order that KINDS names them."""

    __slots__ = ("integers", "kind", "strings")

    def __init__(self, kind: str, *fields: Field) -> None:
        """Integers first, then strings, as KINDS lists them. Raises ValueError when the count is wrong."""
        _, integer_names, string_names, _ = KINDS[kind]
        self.kind = kind
        self.integers = tuple(field for field in fields if isinstance(field, int))
        self.strings = tuple(field for field in fields if not isinstance(field, int))
        _check_count(kind, integer_names, len(self.integers))
        _check_count(kind, string_names, len(self.strings))

    def __repr__(self) -> str:
        return f"Step({self.kind!r}, {', '.join(map(repr, self.integers + self.strings))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and (self.kind, self.integers, self.strings) == (
            other.kind,
            other.integers,
            other.strings,
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.integers, self.strings))

    def describe(self) -> str:
        """The step as a phrase in the imperative, for --dry-run and for messages."""
        _, integer_names, string_names, sentence = KINDS[self.kind]
        values: dict[str, object] = {}
        values.update(_named(integer_names, self.integers))
        values.update(_named(string_names, tuple(_text(value) for value in self.strings)))
        return sentence.format_map(values)

    def encode(self) -> bytes:
        """The step in the format of cext/plan.h."""
        number = KINDS[self.kind][0]
        parts = [struct.pack("<4I", number, 0, len(self.integers), len(self.strings))]
        parts.append(struct.pack(f"<{len(self.integers)}Q", *(value & 0xFFFFFFFFFFFFFFFF for value in self.integers)))
        for value in self.strings:
            data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            parts.append(struct.pack("<I", len(data)) + data + b"\0" * (8 - (4 + len(data)) % 8))
        return b"".join(parts)


def _check_count(kind: str, names: str, count: int) -> None:
    wanted = names.split()
    if wanted and wanted[-1].endswith("*"):
        if count < len(wanted) - 1:
            raise ValueError(f"step {kind}: wants at least {len(wanted) - 1} of ({names}), got {count}")
    elif count != len(wanted):
        raise ValueError(f"step {kind}: wants ({names}), got {count} values")


def _named(names: str, values: "tuple[Field, ...]") -> "dict[str, object]":
    wanted = names.split()
    result: dict[str, object] = {}
    for index, name in enumerate(wanted):
        if name.endswith("*"):
            result[name[:-1]] = " ".join(str(value) for value in values[index:])
        else:
            result[name] = values[index]
    return result


def _text(value: Field) -> Field:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value


class Plan:
    """A list of steps that C executes in order."""

    __slots__ = ("steps",)

    def __init__(self, steps: "list[Step]") -> None:
        self.steps = steps

    def describe(self) -> str:
        """One line a step, numbered as failures number them."""
        return "".join(f"{index:3} {step.describe()}\n" for index, step in enumerate(self.steps))

    def encode(self) -> bytes:
        """The plan as bytes for the C core (cext/plan.h)."""
        body = b"".join(step.encode() for step in self.steps)
        return struct.pack("<8sIIII", MAGIC, VERSION, 24 + len(body), len(self.steps), 0) + body
