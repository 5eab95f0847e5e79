"""Id maps of a container: which ids inside are which ids outside (user_namespaces(7)), and what the layers are keyed by.

A map is a list of (first id inside, first id outside, count). Layers are unpacked inside a user namespace with the same
map, so files on disk carry the outside ids; maps that give a file the same owner share one directory of layers.
"""

from ocirun.errors import HostError, UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Config, IdMapping

Map = list[tuple[int, int, int]]


class IdMaps:
    """The maps of one container.

    `user_namespace` is False when the container shares the host's ids; both maps are empty then. `key` names the
    directory of unpacked layers that fits. `root_uid` and `root_gid` are the ids to become inside for setting things up:
    0 where 0 is mapped, else the first id there is. `setgroups_denied`: the group map is the user's own gid only, which
    the kernel allows only when setgroups(2) is given up. `default_user` is the user that keep-id asks for, or None.
    """

    __slots__ = ("default_user", "gid", "key", "mode", "setgroups_denied", "uid", "user_namespace")

    def __init__(
        self,
        mode: str,
        key: str,
        uid: Map,
        gid: Map,
        *,
        setgroups_denied: bool = False,
        default_user: "tuple[int, int] | None" = None,
    ) -> None:
        self.mode = mode
        self.key = key
        self.uid = uid
        self.gid = gid
        self.user_namespace = bool(uid or gid)
        self.setgroups_denied = setgroups_denied
        self.default_user = default_user

    @property
    def root_uid(self) -> int:
        """The uid to become inside the namespace."""
        return first_inside(self.uid)

    @property
    def root_gid(self) -> int:
        """The gid to become inside the namespace."""
        return first_inside(self.gid)


def first_inside(id_map: Map) -> int:
    """0 when the map has it (or is empty), else its lowest id inside."""
    if not id_map or outside(id_map, 0) is not None:
        return 0
    return min(inside for inside, _, _ in id_map)


def outside(id_map: Map, inside: int) -> "int | None":
    """The id outside that `inside` stands for, None when it is not mapped. An empty map maps each id to itself."""
    if not id_map:
        return inside
    for first, mapped, count in id_map:
        if first <= inside < first + count:
            return mapped + inside - first
    return None


def choose_maps(host: "Host", userns: str = "", user: "tuple[int, int]" = (0, 0)) -> IdMaps:
    """The maps for `--userns` ("", "host", "keep-id", "keep-id:uid=U,gid=G") on this machine.

    `user` is who the container's process will be: with a single id it is that one that stands for the user outside.
    Raises UsageError for a value that means nothing, UnsupportedError for one that cannot be had here.
    """
    name, _, options = userns.partition(":")
    if name not in ("", "host", "keep-id"):
        if name in ("auto", "nomap", "private", "container", "ns"):
            raise UnsupportedError(f"--userns={userns} is not supported", "use host, keep-id or nothing")
        raise UsageError(f"--userns: invalid USER mode: {userns}", "use host, keep-id or nothing")
    if name != "keep-id" and options:
        raise UsageError(f"--userns={userns}: {name} takes no options")
    if name == "keep-id":
        return _keep_id(host, options)
    if host.id_mode == "rootful":
        return IdMaps("rootful", "rootful", [], [])
    if host.id_mode == "single":
        return _single(host, user)
    first = host.uid_ranges[0][0]
    return IdMaps("ranges", f"ranges-{first}", _ranges(host.uid, host.uid_ranges), _ranges(host.gid, host.gid_ranges))


def _single(host: "Host", user: "tuple[int, int]", default_user: "tuple[int, int] | None" = None) -> IdMaps:
    # Files on disk all belong to the user whatever the id inside is called, so every single map shares the layers.
    uid, gid = user
    return IdMaps(
        "single",
        "single-0",
        [(uid, host.uid, 1)],
        [(gid, host.gid, 1)],
        setgroups_denied=True,
        default_user=default_user,
    )


def _ranges(own: int, ranges: "tuple[tuple[int, int], ...]") -> Map:
    result = [(0, own, 1)]
    inside = 1
    for first, count in ranges:
        result.append((inside, first, count))
        inside += count
    return result


def _keep_id(host: "Host", options: str) -> IdMaps:
    uid, gid = _keep_id_options(host, options)
    if host.id_mode == "rootful":
        if options and (uid, gid) != (host.uid, host.gid):
            raise UnsupportedError(
                f"--userns=keep-id:{options} needs a user namespace", "run ocirun as an ordinary user"
            )
        return IdMaps("rootful", "rootful", [], [], default_user=(uid, gid))
    if host.id_mode == "single":
        return _single(host, (uid, gid), default_user=(uid, gid))
    key = f"keep-{host.uid_ranges[0][0]}-{uid}-{gid}"
    uid_map = _around(uid, host.uid, host.uid_ranges)
    return IdMaps("ranges", key, uid_map, _around(gid, host.gid, host.gid_ranges), default_user=(uid, gid))


def _keep_id_options(host: "Host", options: str) -> "tuple[int, int]":
    wanted = {"uid": host.uid, "gid": host.gid}
    for option in options.split(",") if options else ():
        name, _, value = option.partition("=")
        if name not in wanted or not value.isdecimal():
            raise UsageError(f"--userns=keep-id:{options}: unknown option {option!r}", "options are uid=N and gid=N")
        wanted[name] = int(value)
        if wanted[name] > 0x7FFFFFFF:
            raise UsageError(f"--userns=keep-id: {name} {value} is out of range")
    return wanted["uid"], wanted["gid"]


def _around(inside: int, own: int, ranges: "tuple[tuple[int, int], ...]") -> Map:
    """Map `inside` to the user and, in order, all other ids from 0 up to the subordinate ones."""
    result: Map = []
    following = 0
    for start, length in ranges:
        first, count = start, length
        if following <= inside < following + count:
            below = inside - following
            if below:
                result.append((following, first, below))
            result.append((inside, own, 1))
            following, first, count = inside + 1, first + below, count - below
        if count:
            result.append((following, first, count))
            following += count
    if inside >= following:
        result.append((inside, own, 1))
    return result


def maps_of(config: "Config") -> IdMaps:
    """The maps that an OCI configuration asks for (config-linux.md, User namespace mappings). `key` is "" for these."""
    linux = config.get("linux") or {}
    if not any(namespace.get("type") == "user" for namespace in linux.get("namespaces") or ()):
        return IdMaps("rootful", "", [], [])
    uid_map = [(entry["containerID"], entry["hostID"], entry["size"]) for entry in linux.get("uidMappings") or ()]
    gid_map = [(entry["containerID"], entry["hostID"], entry["size"]) for entry in linux.get("gidMappings") or ()]
    single = len(gid_map) == 1 and gid_map[0][2] == 1
    return IdMaps("single" if single else "ranges", "", uid_map, gid_map, setgroups_denied=single)


def to_oci(id_map: Map) -> "list[IdMapping]":
    """A map in the form of the runtime specification."""
    return [{"containerID": inside, "hostID": first, "size": count} for inside, first, count in id_map]


def require_mapped(maps: IdMaps, uid: int, gid: int) -> None:
    """Raise HostError when the user of the process does not exist inside the container's maps."""
    for what, id_map, wanted in (("uid", maps.uid, uid), ("gid", maps.gid, gid)):
        if outside(id_map, wanted) is None:
            kind = "subuid" if what == "uid" else "subgid"
            raise HostError(
                f"{what} {wanted} does not exist in this container: it is not among the ids mapped for you",
                f"use a smaller {what}, --userns=keep-id:{what}={wanted}, or a longer range in /etc/{kind}",
            )
