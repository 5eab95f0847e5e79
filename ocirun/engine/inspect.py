"""`inspect` of containers: the document that docker 28 prints."""

import os

from ocirun.engine.base import overlay_places
from ocirun.engine.records import status
from ocirun.errors import OcirunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container, State

# docker's HostConfig of a container that asks for nothing.
_HOST_CONFIG: "dict[str, Any]" = {
    "Binds": None,
    "ContainerIDFile": "",
    "LogConfig": {"Type": "json-file", "Config": {}},
    "NetworkMode": "",
    "PortBindings": {},
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "ConsoleSize": [0, 0],
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "private",
    "Dns": [],
    "DnsOptions": [],
    "DnsSearch": [],
    "ExtraHosts": None,
    "GroupAdd": None,
    "IpcMode": "private",
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ShmSize": 67108864,
    "Runtime": "ocirun",
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": [],
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": None,
    "PidsLimit": None,
    "Ulimits": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
}


def container_document(engine: "Engine", container: "Container", *, size: bool = False) -> "dict[str, Any]":
    """The document of one container; with `size` also SizeRw and SizeRootFs in bytes.

    A container whose record cannot be read has only its id and its state.
    """
    state = status(container)
    record = container.record
    if not record:
        return {
            "Id": container.id,
            "Name": "",
            "State": state_document(state),
            "Config": {},
            "HostConfig": {},
            "Mounts": [],
        }
    directory = container.directory
    document: dict[str, Any] = {
        "Id": container.id,
        "Created": record["created"],
        "Path": record["path"],
        "Args": record["args"],
        "State": state_document(state),
        "Image": record["image_id"] or record["image"],
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": f"{directory}/container.log",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(record),
        "GraphDriver": _graph_driver(directory, record),
        "Mounts": _mount_points(record),
        "Config": record["config"],
        "NetworkSettings": _network_settings(record),
    }
    if size:
        document["SizeRw"], document["SizeRootFs"] = container_sizes(engine, container)
    return document


def state_document(state: "State") -> "dict[str, Any]":
    """Docker's State."""
    return {
        "Status": state.status,
        "Running": state.running,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": state.started_at,
        "FinishedAt": state.finished_at,
    }


def container_sizes(engine: "Engine", container: "Container") -> "tuple[int, int]":
    """(bytes that the container wrote, those and its image's) of regular files; what may not be looked into is left out."""
    record = container.record
    written = sum(tree_size(upper) for upper, _, _ in overlay_places(container.directory, record))
    return written, written + _image_size(engine, record["image_id"])


def _image_size(engine: "Engine", image_id: str) -> int:
    """The bytes of the image's files; 0 for `host`, and for an image that was removed by force or is damaged."""
    from ocirun.engine.image_sizes import image_size

    try:
        image = engine.store.find(image_id) if image_id else None
        return image_size(image, engine.store.descriptors()) if image else 0
    except OcirunError:
        return 0


def tree_size(path: str) -> int:
    """The bytes of the regular files below `path`, each hard link counted once."""
    total = 0
    seen: set[int] = set()
    pending = [path]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_nlink == 1 or found.st_ino not in seen:
                        seen.add(found.st_ino)
                        total += found.st_size
    return total


def _host_config(record: "dict[str, Any]") -> "dict[str, Any]":
    found = {**_HOST_CONFIG, **record["host_config"]}
    mounts = [mount for mount in record["mounts"] if mount["Type"] in ("bind", "volume")]
    masked = "systempaths=unconfined" not in (found["SecurityOpt"] or [])
    if masked:
        from ocirun.runtime.config_mounts import MASKED_PATHS, READONLY_PATHS

        found["MaskedPaths"] = list(MASKED_PATHS)
        found["ReadonlyPaths"] = list(READONLY_PATHS)
    named = {bind.split(":")[1] for bind in found["Binds"] or ()}
    listed = [mount for mount in mounts if mount["Destination"] not in named and not mount.get("anonymous")]
    if listed:
        found["Mounts"] = [
            {"Type": mount["Type"], "Source": mount.get("Name") or mount["Source"], "Target": mount["Destination"]}
            | ({} if mount["RW"] else {"ReadOnly": True})
            for mount in listed
        ]
    return {key: value for key, value in found.items() if value is not None or key in _HOST_CONFIG}


def _graph_driver(directory: str, record: "dict[str, Any]") -> "dict[str, Any]":
    data = {
        "LowerDir": ":".join(record["lowers"]),
        "MergedDir": f"{directory}/rootfs",
        "UpperDir": f"{directory}/upper",
        "WorkDir": f"{directory}/work",
    }
    return {"Data": data, "Name": "overlay"}


def _mount_points(record: "dict[str, Any]") -> "list[dict[str, Any]]":
    # What --tmpfs asked for is listed in HostConfig only.
    words = record["host_config"]["Tmpfs"] or {}
    listed = [mount for mount in record["mounts"] if mount["Type"] != "tmpfs" or mount["Destination"] not in words]
    return [{key: value for key, value in mount.items() if key[0].isupper()} for mount in listed]


def _network_settings(record: "dict[str, Any]") -> "dict[str, Any]":
    endpoint = {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "MacAddress": "",
        "DriverOpts": None,
        "NetworkID": "",
        "EndpointID": "",
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None,
    }
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": {},
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "MacAddress": "",
        "Networks": {record["network_mode"]: endpoint},
    }
