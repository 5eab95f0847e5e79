"""`create`: from options and an image to a container on disk that is ready to start."""

import os

from ocirun.engine.names import check_name, generate_name
from ocirun.engine.records import Container, id_of_name, reserve_state
from ocirun.errors import ConflictError, UsageError
from ocirun.files import Lock, fsync_directory, make_directory, storage_error, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.base import Base
    from ocirun.engine.context import Engine
    from ocirun.engine.mounts import MountPoint
    from ocirun.engine.options import ContainerOptions
    from ocirun.oci.runtime_documents import Config
    from ocirun.runtime.id_maps import IdMaps
    from ocirun.runtime.users import User


# Of what leads to a container's root inside the store, which is closed to others as a whole.
_ROOT_MODE = 0o755


class _StaleNameError(Exception):
    """A name that leads to no container: left by a crash."""


def create_container(engine: "Engine", options: "ContainerOptions") -> Container:
    """Make a container and return it; success means that it is on disk, complete, under its name.

    Raises NotFoundError (image), ConflictError (name in use), UsageError, InvalidError, HostError, StorageError.
    """
    engine.prepare()
    wanted = check_name(options.name) if options.name else ""
    while True:
        try:
            # Both locks shared: no image or volume that the container needs goes away before its record is on disk.
            with Lock(engine.images_lock_path, shared=True), Lock(engine.containers_lock_path, shared=True):
                return _create(engine, options, wanted)
        except _StaleNameError:
            _drop_stale_name(engine, wanted)


def draft_container(engine: "Engine", options: "ContainerOptions") -> "tuple[Container, Config]":
    """The container that create_container would make and its OCI configuration; no volume, source or name is made."""
    engine.prepare()
    container_id = os.urandom(32).hex()
    draft = _Draft(engine, options, container_id, make=False)
    with Lock(engine.images_lock_path, shared=True):
        record = draft.make_record()
    record["name"] = check_name(options.name) if options.name else generate_name()
    return Container(engine.container_directory(container_id), container_id, record), draft.config


def _create(engine: "Engine", options: "ContainerOptions", wanted: str) -> Container:
    container_id = os.urandom(32).hex()
    draft = _Draft(engine, options, container_id)
    name = ""
    try:
        record = draft.make_record()
        name = record["name"] = _claim_name(engine, wanted, container_id)
        _put_in_place(engine, container_id, record, draft.config)
    except BaseException:
        if name:
            os.unlink(f"{engine.names_directory}/{name}")
        draft.discard()
        raise
    finally:
        draft.release()
    return Container(engine.container_directory(container_id), container_id, record)


class _Draft:
    """A container in the making. `config` is its OCI configuration once `make_record` has returned.

    With `make` False what its mounts need is only named.
    """

    def __init__(self, engine: "Engine", options: "ContainerOptions", container_id: str, *, make: bool = True) -> None:
        self._engine = engine
        self._options = options
        self._id = container_id
        self._directory = engine.container_directory(container_id)
        self._anonymous: list[str] = []
        self._make = make
        self._held: list[int] = []
        self.config: Config = {}

    def make_record(self) -> "dict[str, Any]":
        """The record without its name. Raises what create_container raises."""
        from ocirun.engine.create_record import docker_config, docker_host_config, log_limits
        from ocirun.engine.mounts import plan_mounts, prepare_mounts
        from ocirun.engine.times import now_text
        from ocirun.runtime.id_maps import choose_maps

        options = self._options
        _refuse_unsupported(options)
        layer_maps = choose_maps(self._engine.host, options.userns) if options.userns else self._engine.maps
        base = self._resolve(layer_maps)
        image = base.config
        hostname = options.hostname or (os.uname().nodename if options.network == "host" else self._id[:12])
        user_words = options.user or _default_user(layer_maps) or image.get("User") or ""
        docker = docker_config(options, image, hostname, user_words)
        host_config = docker_host_config(options)
        limits = log_limits(options.log_options)
        user = self._look_up_user(base, user_words)
        maps = choose_maps(self._engine.host, options.userns, (user.uid, user.gid))
        wanted_mounts = plan_mounts(options, sorted(image.get("Volumes") or ()))
        mounts = prepare_mounts(self._engine, wanted_mounts, self._anonymous, make=self._make)
        self._hold_volumes(mounts)
        self.config = self._oci_config(docker, host_config, user, maps, mounts)
        arguments = (docker["Entrypoint"] or []) + (docker["Cmd"] or [])
        return {
            "version": 1,
            "id": self._id,
            "name": "",
            "created": now_text(),
            "image": options.image,
            "image_id": base.image_id,
            "image_digest": base.manifest_digest,
            "platform": base.platform,
            "layers": base.chain_ids,
            "skeletons": base.skeletons,
            "lowers": base.lowers,
            "trees": base.trees,
            "foreign_root": _is_foreign_root(self._engine, maps),
            "path": arguments[0],
            "args": arguments[1:],
            "config": docker,
            "host_config": host_config,
            "network_mode": host_config["NetworkMode"],
            "mounts": mounts,
            "anonymous_volumes": self._anonymous,
            "auto_remove": options.remove,
            "tty": options.tty,
            "open_stdin": options.interactive,
            "stdin_once": docker["StdinOnce"],
            "log": {"max_bytes": limits[0], "max_files": limits[1]},
        }

    def _hold_volumes(self, mounts: "list[MountPoint]") -> None:
        """Keep volumes that belong to another container, which may just remove itself, until our record is in place."""
        from ocirun.engine.volumes import hold_volume, may_be_anonymous

        for mount in mounts if self._make else ():
            if mount["Type"] == "volume" and not mount["anonymous"] and may_be_anonymous(mount["Name"]):
                self._held.append(hold_volume(self._engine, mount["Name"]))

    def release(self) -> None:
        """Let go of what was held for the time until the container is in place, or is given up."""
        while self._held:
            os.close(self._held.pop())

    def discard(self) -> None:
        """Remove what was made for a container that did not come to be: its anonymous volumes, and itself if it is in place."""
        from ocirun.engine.remove_trees import discard
        from ocirun.engine.volumes import volume_data

        paths = [os.path.dirname(volume_data(self._engine, name)) for name in self._anonymous]
        if os.path.isdir(self._directory):
            paths.append(self._directory)
        if paths:
            discard(self._engine, paths).finish()

    def _resolve(self, maps: "IdMaps") -> "Base":
        from ocirun.engine.base import resolve_base

        options = self._options
        return resolve_base(self._engine, options.image, options.platform, maps, on_host=options.base == "host")

    def _look_up_user(self, base: "Base", words: str) -> "User":
        from ocirun.runtime.root import Overlay, RootFilesystem
        from ocirun.runtime.root_files import read_file
        from ocirun.runtime.users import resolve_user

        overlays = [Overlay("/", base.lowers[1:], base.lowers[0], "")] if base.lowers else []
        overlays += [Overlay(path, lowers[1:], lowers[0], "") for path, lowers in base.trees]
        root = RootFilesystem("", overlays)
        passwd, group = (read_file(root, path) for path in ("/etc/passwd", "/etc/group")) if overlays else (None, None)
        return resolve_user(words, passwd, group, self._options.group_add)

    def _oci_config(
        self,
        docker: "dict[str, Any]",
        host_config: "dict[str, Any]",
        user: "User",
        maps: "IdMaps",
        mounts: "list[MountPoint]",
    ) -> "Config":
        from ocirun.engine.mounts import runtime_mounts
        from ocirun.engine.network_files import network_files
        from ocirun.runtime.config import SHM_SIZE, make_config
        from ocirun.runtime.security import parse_security_options

        options = self._options
        security = parse_security_options(options.security_opt)
        profile = None
        if security.seccomp not in ("", "unconfined", "nested"):
            from ocirun.runtime.seccomp import load_profile

            profile = load_profile(security.seccomp)
        return make_config(
            host=self._engine.host,
            maps=maps,
            user=user,
            arguments=(docker["Entrypoint"] or []) + (docker["Cmd"] or []),
            environment=docker["Env"],
            hostname=docker["Hostname"],
            working_directory=docker["WorkingDir"] or "/",
            terminal=options.tty,
            root_path=f"{self._directory}/rootfs",
            read_only=options.read_only,
            network=host_config["NetworkMode"],
            mounts=runtime_mounts(mounts),
            files=network_files(self._directory),
            capability_add=options.cap_add,
            capability_drop=options.cap_drop,
            security=security,
            seccomp_profile=profile,
            ulimits=options.ulimits,
            init=options.init,
            sysctls=options.sysctls,
            shm_size=options.shm_size or SHM_SIZE,
            annotations=options.annotations,
        )


def _refuse_unsupported(options: "ContainerOptions") -> None:
    from ocirun.errors import UnsupportedError

    if options.privileged:
        raise UnsupportedError(
            "--privileged is not supported yet", "add what is missing with --cap-add and --security-opt"
        )
    if options.network not in ("", "default", "none", "host"):
        raise UnsupportedError(f"--network {options.network} is not supported yet", "use none or host")
    if options.network == "default":
        options.network = ""
    if options.pull == "always":
        raise UnsupportedError(
            "--pull always is not supported yet: there is no registry client", "load or import the image"
        )
    for word in (options.hostname, *options.hosts):
        # They become lines of /etc/hosts.
        if not word.isprintable() or " " in word:
            raise UsageError(f"invalid host name: {word!r}", "blanks and control characters are in no name")
    for word in options.hosts:
        if not all(word.partition(":")[::2]):
            raise UsageError(f'bad format for add-host: "{word}"', "name:address is expected")


def _default_user(maps: "IdMaps") -> str:
    return f"{maps.default_user[0]}:{maps.default_user[1]}" if maps.default_user else ""


def _is_foreign_root(engine: "Engine", maps: "IdMaps") -> bool:
    """Whether the container's root is an id that the user cannot give files to (--userns=keep-id with ranges)."""
    from ocirun.runtime.id_maps import outside

    return outside(maps.uid, maps.root_uid) != engine.host.uid


def _claim_name(engine: "Engine", wanted: str, container_id: str) -> str:
    """Make `wanted`, or a generated name, lead to `container_id`. Raises ConflictError, _StaleNameError."""
    attempt = 0
    while True:
        name = wanted or generate_name(attempt)
        try:
            os.symlink(f"../containers/{container_id}", f"{engine.names_directory}/{name}")
        except FileExistsError:
            if not wanted:
                attempt += 1
                continue
            owner = id_of_name(engine, name)
            if owner and os.path.isdir(engine.container_directory(owner)):
                raise ConflictError(
                    f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                ) from None
            raise _StaleNameError from None
        except OSError as error:
            raise storage_error(error, f"create the name {name}") from error
        return name


def _drop_stale_name(engine: "Engine", name: str) -> None:
    # Exclusive: while nobody creates, a name without a container can only be what a crash left.
    with Lock(engine.containers_lock_path):
        owner = id_of_name(engine, name)
        if owner and not os.path.isdir(engine.container_directory(owner)):
            os.unlink(f"{engine.names_directory}/{name}")


def _put_in_place(engine: "Engine", container_id: str, record: "dict[str, Any]", config: "Config") -> None:
    """Build the container's directory aside and rename it into place."""
    from ocirun.engine.network_files import write_network_files
    from ocirun.image.staging import Staging

    # What removes itself need not survive a power cut.
    durable = not record["auto_remove"]
    with Staging(engine.temporary_directory) as staging:
        place = f"{staging.path}/container"
        make_directory(place)
        make_directory(f"{place}/rootfs", _ROOT_MODE)
        if not record["foreign_root"]:
            _make_overlay_directories(place, record)
        network = record["network_mode"]
        hosts = record["host_config"]["ExtraHosts"] or []
        write_network_files(place, record["config"]["Hostname"], network, hosts)
        reserve_state(place)
        write_json(f"{place}/config.json", config, durable=durable)
        write_json(f"{place}/container.json", record, 0o600, durable=durable)
        try:
            os.rename(place, engine.container_directory(container_id))
            if durable:
                fsync_directory(engine.containers_directory)
        except OSError as error:
            raise storage_error(error, f"create container {container_id[:12]}") from error


def _make_overlay_directories(place: str, record: "dict[str, Any]") -> None:
    """Make upper and work of each overlay; a merged directory shows the upper's attributes, so they are made those below it."""
    from ocirun.engine.base import overlay_places

    for upper, work, lowers in overlay_places(place, record):
        make_directory(upper, _ROOT_MODE)
        make_directory(work)
        below = os.stat(lowers[0])
        if below.st_uid != os.geteuid() and os.geteuid() == 0:
            os.chown(upper, below.st_uid, below.st_gid)
        # Whatever the umask.
        os.chmod(upper, below.st_mode & 0o7777)
