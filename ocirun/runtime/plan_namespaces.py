"""The steps that make or join namespaces and write id maps (config-linux.md, Namespaces; user_namespaces(7))."""

from ocirun.errors import HostError, InvalidError
from ocirun.runtime.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Config
    from ocirun.runtime.id_maps import IdMaps, Map

# sched.h: the flag of each kind of namespace, for clone, setns and unshare alike.
NAMESPACE_FLAGS = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}
# A user namespace is joined first: it gives the right to join those that belong to it.
JOIN_ORDER = ("user", "mount", "cgroup", "uts", "ipc", "pid", "network")


def namespace_types(config: "Config") -> "set[str]":
    """The kinds of namespaces the container has of its own, new or joined. Raises InvalidError for an unknown kind."""
    result: set[str] = set()
    for index, namespace in enumerate((config.get("linux") or {}).get("namespaces") or ()):
        kind = namespace.get("type")
        if kind not in NAMESPACE_FLAGS:
            raise InvalidError(f"$.linux.namespaces[{index}].type: unknown namespace {kind!r}")
        if kind in result:
            raise InvalidError(f"$.linux.namespaces[{index}].type: {kind} appears twice")
        result.add(kind)
    return result


def new_network(config: "Config") -> bool:
    """Whether a new network namespace is made, whose loopback interface is still down."""
    namespaces = (config.get("linux") or {}).get("namespaces") or ()
    return any(namespace["type"] == "network" and not namespace.get("path") for namespace in namespaces)


def namespace_steps(config: "Config", maps: "IdMaps", host: "Host") -> "list[Step]":
    """Join the namespaces that have a path, make the others, and map the ids of a new user namespace."""
    joined: dict[str, str] = {}
    flags = 0
    for namespace in (config.get("linux") or {}).get("namespaces") or ():
        if namespace.get("path"):
            joined[namespace["type"]] = namespace["path"]
        else:
            flags |= NAMESPACE_FLAGS[namespace["type"]]
    steps = [Step("join_namespace", NAMESPACE_FLAGS[kind], joined[kind]) for kind in JOIN_ORDER if kind in joined]
    steps.append(Step("clone", flags))
    if flags & NAMESPACE_FLAGS["user"]:
        if not maps.uid or not maps.gid:
            raise InvalidError("$.linux.uidMappings and gidMappings: a new user namespace needs both")
        steps += id_map_steps(maps, host)
    return steps


def id_map_steps(maps: "IdMaps", host: "Host") -> "list[Step]":
    """The parent's steps that map ids: directly where the kernel allows it, else by newuidmap and newgidmap.

    Raises HostError when the helpers would be needed and are not there.
    """
    steps = []
    for is_gid, id_map, own in ((0, maps.uid, host.uid), (1, maps.gid, host.gid)):
        alone = len(id_map) == 1 and id_map[0][1:] == (own, 1)
        if host.maps_any_ids or alone:
            if is_gid and alone and not host.maps_any_ids:
                steps.append(Step("deny_setgroups"))
            steps.append(Step("id_map_write", is_gid, _text(id_map)))
        else:
            steps.append(_helper_step(is_gid, id_map, host.newgidmap if is_gid else host.newuidmap))
    return steps


def _text(id_map: "Map") -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in id_map)


def _helper_step(is_gid: int, id_map: "Map", program: str) -> Step:
    name = "newgidmap" if is_gid else "newuidmap"
    if not program:
        raise HostError(
            f"{name} is not on PATH, and without it only your own id can be mapped",
            "install the package uidmap (shadow-utils on Fedora)",
        )
    numbers = [str(number) for entry in id_map for number in entry]
    return Step("id_map_helper", is_gid, program, *numbers)
