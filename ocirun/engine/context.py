"""One store, opened: the settings, and what is made from them when it is first needed."""

import os

from ocirun.errors import HostError
from ocirun.files import make_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.settings import Settings
    from ocirun.host import Host
    from ocirun.image.layers import Layers
    from ocirun.image.store import Store
    from ocirun.runtime.id_maps import IdMaps


class Engine:
    """The first argument of every engine function. Cheap to make; the host is probed and the store opened on first use."""

    __slots__ = ("_host", "_maps", "_prepared", "_store", "settings")

    def __init__(self, settings: "Settings") -> None:
        self.settings = settings
        self._host: Host | None = None
        self._store: Store | None = None
        self._maps: IdMaps | None = None
        self._prepared = False

    @property
    def host(self) -> "Host":
        """What this machine has; probed once."""
        if self._host is None:
            from ocirun.host import probe

            self._host = probe(self.settings.search_path)
        return self._host

    @property
    def store(self) -> "Store":
        """The image store below the root; its directories are made when missing. Raises StorageError."""
        if self._store is None:
            from ocirun.image.store import Store

            self.prepare()
            self._store = Store(self.images_directory, self.temporary_directory, self.images_lock_path)
        return self._store

    @property
    def maps(self) -> "IdMaps":
        """The id maps of containers that ask for nothing special, and of tasks."""
        if self._maps is None:
            from ocirun.runtime.id_maps import choose_maps

            self._maps = choose_maps(self.host)
        return self._maps

    @property
    def layers(self) -> "Layers":
        """The unpacked layers whose files are owned as `maps` says."""
        return self.layers_for(self.maps)

    def layers_for(self, maps: "IdMaps") -> "Layers":
        """The unpacked layers whose files are owned as `maps` says (--userns=keep-id has its own)."""
        return self._layers(maps.key, maps)

    def layers_in(self, key: str) -> "Layers":
        """The unpacked layers below layers/<key>, to look at and to remove: all keys of a user have ids that are his."""
        return self._layers(key, self.maps)

    def _layers(self, key: str, maps: "IdMaps") -> "Layers":
        from ocirun.engine.tasks import extractor, tree_remover
        from ocirun.image.layers import Layers

        limits = None
        if self.settings.layer_limits:
            from ocirun.image.limits import parse_limits

            limits = parse_limits(self.settings.layer_limits)
        extract = extractor(self, maps, limits.entries if limits else 0)
        return Layers(f"{self.layers_directory}/{key}", extract, tree_remover(self, maps), limits)

    @property
    def root(self) -> str:
        """The directory of what lasts."""
        return self.settings.root

    @property
    def images_directory(self) -> str:
        """The OCI image layout."""
        return f"{self.settings.root}/images"

    @property
    def layers_directory(self) -> str:
        """Unpacked layers: <map key>/<chain id hex>/."""
        return f"{self.settings.root}/layers"

    @property
    def containers_directory(self) -> str:
        """One directory for each container."""
        return f"{self.settings.root}/containers"

    @property
    def names_directory(self) -> str:
        """Symlinks <name> -> ../containers/<id>; symlink(2) makes names unique."""
        return f"{self.settings.root}/names"

    @property
    def volumes_directory(self) -> str:
        """One directory for each volume."""
        return f"{self.settings.root}/volumes"

    @property
    def temporary_directory(self) -> str:
        """Where things are staged before they are renamed into place."""
        return f"{self.settings.root}/tmp"

    @property
    def locks_directory(self) -> str:
        """The lock files of the store."""
        return f"{self.settings.root}/locks"

    @property
    def images_lock_path(self) -> str:
        """Held exclusively while images change, shared while a container is made from one."""
        return f"{self.settings.root}/locks/images.lock"

    @property
    def containers_lock_path(self) -> str:
        """Held shared while a container is made, exclusively while a volume or a left-over name is removed."""
        return f"{self.settings.root}/locks/containers.lock"

    @property
    def seccomp_directory(self) -> str:
        """Compiled seccomp programs, named by what they were compiled from."""
        return f"{self.settings.root}/seccomp"

    def container_directory(self, container_id: str) -> str:
        """The directory of the container with this full id."""
        return f"{self.settings.root}/containers/{container_id}"

    def runtime_directory(self, container_id: str) -> str:
        """The directory of the container's sockets, lost at reboot."""
        return f"{self.settings.runroot}/{container_id}"

    def prepare(self) -> None:
        """Make the directories of the store; success means they exist and are ours. Raises StorageError, HostError."""
        if self._prepared:
            return
        root = self.settings.root
        # A new store gets its images/ last, whole, so that one stat tells a complete one.
        if not os.path.isdir(f"{root}/images"):
            from ocirun.image.layout import make_layout

            # Before anything is put into it: it may be a link, or another user's.
            make_directory(root)
            check_owned(root)
            for name in ("/layers", "/containers", "/names", "/volumes", "/locks", "/tmp"):
                make_directory(root + name)
            make_layout(f"{root}/images", f"{root}/tmp")
        check_owned(root)
        self._prepared = True

    def prepare_runroot(self) -> None:
        """Make the runtime directory; success means it exists, is ours and closed to others. Raises StorageError, HostError."""
        make_directory(self.settings.runroot)
        check_owned(self.settings.runroot)


def check_owned(path: str) -> None:
    """Raise HostError unless `path` is a directory of this user that others may not write to or enter.

    Below /tmp somebody else could have made it first (CVE-2021-41091 is what an open one costs). A symlink that is the
    user's own is followed: people move a store to a larger disk with one.
    """
    status = os.lstat(path)
    if status.st_uid == os.geteuid() and (status.st_mode & 0o170000) == 0o120000:
        status = os.stat(path)
    if status.st_uid != os.geteuid() or (status.st_mode & 0o170000) != 0o040000:
        raise HostError(f"{path} is not a directory of yours", "choose other places with --root and --runroot")
    if status.st_mode & 0o077:
        # Its owner may close it; one that was opened by hand is closed again.
        os.chmod(path, 0o700)
