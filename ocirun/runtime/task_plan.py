"""Plans that work on files with a container's ids: unpack, list changes, remove."""

from ocirun.runtime.plan_namespaces import NAMESPACE_FLAGS, id_map_steps
from ocirun.runtime.steps import Plan, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.host import Host
    from ocirun.runtime.id_maps import IdMaps


def compile_task(host: "Host", maps: "IdMaps", steps: "list[Step]") -> Plan:
    """`steps` inside a user namespace with `maps`, as its root; in place when the container has no user namespace.

    A task makes no mounts, so a user namespace is all it needs.
    """
    if not maps.user_namespace:
        return Plan(list(steps))
    start = [Step("clone", NAMESPACE_FLAGS["user"]), *id_map_steps(maps, host)]
    return Plan([*start, Step("become", maps.root_uid, maps.root_gid), *steps])
