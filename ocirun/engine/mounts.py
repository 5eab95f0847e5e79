"""The mounts of a container: what the user and the image ask for, as the record keeps them and as the runtime wants them.

A record's entry is docker's MountPoint (Type, Name, Source, Destination, Driver, Mode, RW, Propagation) plus, in lower case,
what only ocirun needs: `copy_up`, `options`, `anonymous`. Words are understood by the door; what needs the disk is done here.
"""

import os

from ocirun.errors import InvalidError, UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine
    from ocirun.engine.options import ContainerOptions, Mount
    from ocirun.oci.runtime_documents import Mount as RuntimeMount

    MountPoint = dict[str, Any]


def plan_mounts(options: "ContainerOptions", image_volumes: "list[str]") -> "list[Mount]":
    """All mounts of a container, its image's VOLUMEs included, each target once, parents before what lies below them.

    Raises UsageError with docker's words for a target that is named twice or is not a path.
    """
    from ocirun.engine.options import Mount

    wanted = list(options.mounts)
    for word in options.tmpfs:
        target, _, flags = word.partition(":")
        wanted.append(Mount("tmpfs", "", target, options=_tmpfs_options(flags)))
    targets: set[str] = set()
    for mount in wanted:
        target = clean_target(mount.target)
        if target in targets:
            raise UsageError(f"Duplicate mount point: {target}")
        targets.add(target)
        mount.target = target
    for path in image_volumes:
        target = os.path.normpath("/" + path.lstrip("/"))
        if target not in targets and target != "/":
            targets.add(target)
            wanted.append(Mount("volume", "", target))
    # Stable, so that mounts of one depth keep the user's order.
    return sorted(wanted, key=lambda mount: mount.target.count("/"))


def clean_target(target: str) -> str:
    """`target` without "." and "..". Raises UsageError with docker's words unless it is absolute and not the root."""
    if not target.startswith("/"):
        raise UsageError(f"invalid mount path: '{target}' mount path must be absolute")
    clean = os.path.normpath("/" + target.lstrip("/"))
    if clean == "/":
        raise UsageError("invalid specification: destination can't be '/'")
    return clean


def prepare_mounts(
    engine: "Engine", mounts: "list[Mount]", made: "list[str]", *, make: bool = True
) -> "list[MountPoint]":
    """Make what the mounts need (volumes, missing sources of -v) unless `make` is False; return the record's entries.

    Names of new anonymous volumes are added to `made`, so that the caller can remove them when it fails later.
    Raises InvalidError for a missing source, StorageError.
    """
    found = []
    for mount in mounts:
        if mount.kind == "bind":
            if make:
                _make_source(mount)
            found.append(_bind_entry(mount))
        elif mount.kind == "volume":
            found.append(_volume_entry(engine, mount, made, make=make))
        else:
            found.append(_tmpfs_entry(mount))
    return found


def _make_source(mount: "Mount") -> None:
    try:
        # A dangling symlink exists for lexists, not for mount(2).
        os.stat(mount.source)
    except (FileNotFoundError, NotADirectoryError):
        if not mount.create_source:
            raise InvalidError(
                f'invalid mount config for type "bind": bind source path does not exist: {mount.source}'
            ) from None
        try:
            os.makedirs(mount.source, 0o755, exist_ok=True)
        except OSError as error:
            raise InvalidError(
                f"error while creating mount source path '{mount.source}': mkdir {error.filename}: {error.strerror}"
            ) from error
    except OSError as error:
        raise InvalidError(f"cannot use the bind source {mount.source}: {error.strerror}") from error
    if mount.relabel:
        _relabel(mount)


def _bind_entry(mount: "Mount") -> "MountPoint":
    mode = ",".join(word for word in ("" if not mount.read_only else "ro", mount.relabel) if word)
    return {
        "Type": "bind",
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": mode,
        "RW": not mount.read_only,
        "Propagation": mount.propagation or "rprivate",
        "options": mount.options,
    }


def _volume_entry(engine: "Engine", mount: "Mount", made: "list[str]", *, make: bool) -> "MountPoint":
    from ocirun.engine.volumes import check_volume_name, create_volume, volume_data

    if "subpath" in mount.options:
        raise UnsupportedError("volume-subpath is not supported yet", "mount the whole volume")
    name = mount.source or "<anonymous>"
    if mount.source:
        check_volume_name(mount.source)
    if make:
        name = create_volume(engine, mount.source)["Name"]
        if not mount.source:
            made.append(name)
    return {
        "Type": "volume",
        "Name": name,
        "Source": volume_data(engine, name),
        "Destination": mount.target,
        "Driver": "local",
        "Mode": mount.relabel or ("z" if mount.source else ""),
        "RW": not mount.read_only,
        "Propagation": "",
        "copy_up": mount.copy_up,
        "anonymous": not mount.source,
        "options": mount.options,
    }


def _tmpfs_entry(mount: "Mount") -> "MountPoint":
    return {
        "Type": "tmpfs",
        "Source": "",
        "Destination": mount.target,
        "Mode": "",
        "RW": not mount.read_only,
        "Propagation": "",
        "options": mount.options,
    }


def runtime_mounts(mounts: "list[MountPoint]") -> "list[RuntimeMount]":
    """The record's mounts in the form of the runtime specification (config.md, Mounts)."""
    from ocirun.runtime.config_mounts import bind_mount, tmpfs_mount

    found = []
    for mount in mounts:
        if mount["Type"] == "tmpfs":
            words = [f"{key}={value}" if value else key for key, value in mount["options"].items()]
            if not mount["RW"]:
                words.append("ro")
            found.append(
                tmpfs_mount(":".join((mount["Destination"], ",".join(words))) if words else mount["Destination"])
            )
        else:
            entry = bind_mount(
                mount["Source"],
                mount["Destination"],
                read_only=not mount["RW"],
                propagation=mount["Propagation"],
                recursive="nonrecursive" not in mount["options"],
            )
            if mount["Type"] == "volume":
                # It may be filled from the image, and a device node of that is not to be opened (docs/decisions/0009).
                entry["options"].append("nodev")
            found.append(entry)
    return found


def populated_targets(mounts: "list[MountPoint]") -> "frozenset[str]":
    """Where an empty volume is to be filled with what the image has at that place."""
    return frozenset(mount["Destination"] for mount in mounts if mount["Type"] == "volume" and mount.get("copy_up"))


def _tmpfs_options(words: str) -> "dict[str, str]":
    options: dict[str, str] = {}
    for word in words.split(","):
        key, _, value = word.partition("=")
        if key:
            options[key] = value
    return options


def _relabel(mount: "Mount") -> None:
    """Give the source the label that containers may use (docker's z and Z); nothing to do where SELinux is not loaded."""
    from ocirun.host import has_selinux

    if not has_selinux():
        return
    label = b"system_u:object_r:container_file_t:s0\0"
    try:
        os.setxattr(mount.source, "security.selinux", label, follow_symlinks=False)
        for directory, directories, files in os.walk(mount.source):
            for name in directories + files:
                os.setxattr(f"{directory}/{name}", "security.selinux", label, follow_symlinks=False)
    except OSError as error:
        raise InvalidError(f"cannot relabel {error.filename or mount.source} for SELinux: {error.strerror}") from error
