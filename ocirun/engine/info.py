"""`info`: this machine and this store, in the shape of docker's info document, and what would make either better."""

import os

from ocirun.engine.records import list_containers, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine


def info_document(engine: "Engine") -> "dict[str, Any]":
    """Docker's info document; what is ocirun's own (id mode, run root, remedies) is under "Ocirun"."""
    from ocirun import __version__
    from ocirun.engine.times import now_text
    from ocirun.host import host_details

    host = engine.host
    details = host_details(host)
    states = [status(container).status for container in list_containers(engine)]
    name = os.uname()
    return {
        "ID": _identity(engine),
        "Containers": len(states),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": 0,
        "ContainersStopped": len(states) - states.count("running"),
        "Images": _image_count(engine),
        "Driver": "overlay",
        "DriverStatus": [["Backing Filesystem", _file_system(engine.root)], ["userxattr", "true"]],
        "Plugins": {"Volume": ["local"], "Network": ["host", "none"], "Authorization": None, "Log": ["json-file"]},
        "MemoryLimit": False,
        "SwapLimit": False,
        "PidsLimit": False,
        "CPUShares": False,
        "SystemTime": now_text(),
        "LoggingDriver": "json-file",
        "CgroupDriver": "none",
        "CgroupVersion": details["cgroup_version"],
        "KernelVersion": host.kernel_release,
        "OperatingSystem": _operating_system(),
        "OSType": "linux",
        "Architecture": host.architecture,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "DockerRootDir": engine.root,
        "Name": name.nodename,
        "Labels": [],
        "ServerVersion": __version__,
        "Runtimes": {"ocirun": {"path": "ocirun-runtime"}},
        "DefaultRuntime": "ocirun",
        "InitBinary": "ocirun-init",
        "SecurityOptions": _security_options(engine, details),
        "Warnings": _warnings(engine, details),
        "Ocirun": {
            "IdMode": host.id_mode,
            "IdModeReason": host.id_mode_reason,
            "IdModeRemedy": host.id_mode_remedy,
            "RunRoot": engine.settings.runroot,
            "Cgroup": details["cgroup"],
            "CgroupControllers": details["cgroup_controllers"],
            "CgroupWritable": details["cgroup_writable"],
            "Libseccomp": details["libseccomp"],
        },
    }


def _identity(engine: "Engine") -> str:
    import hashlib
    import uuid

    return str(uuid.UUID(bytes=hashlib.sha256(f"{engine.host.uid}:{engine.root}".encode()).digest()[:16]))


def _image_count(engine: "Engine") -> int:
    return len({engine.store.image_id(descriptor) for descriptor in engine.store.descriptors()} - {""})


def _security_options(engine: "Engine", details: "dict[str, object]") -> "list[str]":
    options = []
    if details["libseccomp"]:
        options.append("name=seccomp,profile=builtin")
    if details["apparmor"]:
        options.append("name=apparmor")
    if engine.host.id_mode != "rootful":
        options.append("name=rootless")
    options.append("name=cgroupns")
    return options


def _warnings(engine: "Engine", details: "dict[str, object]") -> "list[str]":
    """One line for each lack, with the way out."""
    found = []
    host = engine.host
    if host.id_mode == "single":
        found.append(f"all files of images belong to one id: {host.id_mode_reason} ({host.id_mode_remedy})")
    if details["user_namespace_obstacle"]:
        found.append(f"{details['user_namespace_obstacle']} ({details['user_namespace_remedy']})")
    if not details["libseccomp"]:
        found.append("no seccomp filter without libseccomp.so.2 (install the package libseccomp2 or libseccomp)")
    return found


def _operating_system() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip('"')
    except OSError:
        pass
    return "Linux"


def _file_system(path: str) -> str:
    """The type of the file system that `path` lies on."""
    from ocirun.engine.host_trees import parse_mount_table

    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = parse_mount_table(file.read())
    except OSError:
        return "unknown"
    real = os.path.realpath(path)
    best = max((place for place in mounts if f"{real}/".startswith(place.rstrip("/") + "/")), key=len, default="")
    return mounts.get(best, "unknown")
