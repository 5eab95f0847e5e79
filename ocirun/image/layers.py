"""Unpacked layers: <root>/layers/<map key>/<chain id>/, each with only its own files, appearing by rename.

They are made from blobs and can be made again, so a layer that is missing is no damage. One that is being unpacked is a
hidden sibling of its final place (a layer's top directory may belong to a subordinate id, and then only a rename inside
one directory is allowed), with a lock beside it that tells it from garbage.

The extractor flushes the files to disk before the rename, so a layer that is in place is whole after a power cut too
(docs/decisions/0008-layers-are-flushed-before-they-are-shown.md).
"""

import os

from ocirun.errors import ConflictError, OcirunError
from ocirun.files import Lock, make_directory, storage_error
from ocirun.oci.digest import Digest, chain_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocirun.image.copy import Reader
    from ocirun.image.image import Image
    from ocirun.image.limits import Limits
    from ocirun.image.store import Store
    from ocirun.image.transaction import BlobWriter
    from ocirun.image.unpack import UnpackedLayer

    # (tar to read, directory to unpack into, directories of the layers below, top first) -> (files, bytes)
    Extract = Callable[[int, str, list[str]], tuple[int, int]]

_HIDDEN = ".x-"
_LOCK_SUFFIX = ".lock"
_TOP_MODE = 0o755


class Layers:
    """The unpacked layers whose files have the owners of one id map."""

    __slots__ = ("directory", "extract", "limits", "remove_tree")

    def __init__(
        self,
        directory: str,
        extract: "Extract",
        remove_tree: "Callable[[str], None]",
        limits: "Limits | None" = None,
    ) -> None:
        """`limits` are those of every layer; `extract` knows of its number of entries."""
        self.limits = limits
        """Take the functions that unpack and remove inside the user namespace where the files' owners are ours."""
        self.directory = directory
        self.extract = extract
        self.remove_tree = remove_tree

    def path(self, chain_id: Digest) -> str:
        """Where the layer is, if it is there."""
        return f"{self.directory}/{chain_id.hex}"

    def has(self, chain_id: Digest) -> bool:
        """Whether the layer is unpacked, with all of its files."""
        return os.path.isdir(self.path(chain_id))

    def unpack(
        self,
        stream: "Reader",
        sink: "BlobWriter | None",
        *,
        media_type: str,
        below: "Sequence[str]",
        digest: "str | None" = None,
        size: "int | None" = None,
        diff_id: "str | None" = None,
        before: "Callable[[Digest], None] | None" = None,
    ) -> "UnpackedLayer":
        """Unpack a layer that lies on the diff ids `below` (bottom first), and copy its compressed bytes to `sink`.

        What is not None is verified. `before` is called with the chain id before the layer gets its name. Success means that
        the layer is in place. Raises DigestMismatchError, InvalidError, StorageError, StepError; nothing remains then.
        """
        from ocirun.image.unpack import unpack_layer

        make_directory(self.directory)
        lowers = [self.path(chain_id) for chain_id in reversed(chain_ids(below))]
        place, lock = self._new_place()
        try:
            os.mkdir(place, _TOP_MODE)
            # Whatever the umask: an archive need not say what the root's mode is.
            os.chmod(place, _TOP_MODE)
            unpacked = unpack_layer(
                stream,
                sink,
                media_type=media_type,
                digest=digest,
                size=size,
                diff_id=diff_id,
                target=place,
                lowers=lowers,
                extract=self.extract,
                limits=self.limits,
            )
            chain_id = chain_ids([*below, unpacked.diff_id])[-1]
            if before is not None:
                before(chain_id)
            self._show(place, chain_id)
        except OcirunError:
            # First, because a StepError is an OSError too, and says more than its number.
            self._discard(place)
            raise
        except OSError as error:
            self._discard(place)
            raise storage_error(error, f"unpack a layer in {self.directory}") from error
        except BaseException:
            self._discard(place)
            raise
        finally:
            os.unlink(lock.path)
            lock.release()
        return unpacked

    def _new_place(self) -> "tuple[str, Lock]":
        """A hidden path where nothing is yet, and its lock, which is held."""
        while True:
            place = f"{self.directory}/{_HIDDEN}{os.urandom(8).hex()}"
            lock = Lock(place + _LOCK_SUFFIX)
            if os.fstat(lock.acquire()).st_nlink:
                return place, lock
            # remove_garbage saw the file before it was locked.
            lock.release()

    @staticmethod
    def verify(
        stream: "Reader",
        sink: "BlobWriter | None",
        *,
        media_type: str,
        digest: "str | None" = None,
        size: "int | None" = None,
        diff_id: "str | None" = None,
        limits: "Limits | None" = None,
    ) -> "UnpackedLayer":
        """As unpack, for a layer that is unpacked already: its bytes are verified and copied, and no file is made."""
        from ocirun.image.unpack import unpack_layer

        return unpack_layer(
            stream,
            sink,
            media_type=media_type,
            digest=digest,
            size=size,
            diff_id=diff_id,
            target="",
            lowers=[],
            extract=None,
            limits=limits,
        )

    def _show(self, place: str, chain_id: Digest) -> None:
        try:
            os.rename(place, self.path(chain_id))
        except OSError:
            # Somebody else was faster, and has the same files.
            if not self.has(chain_id):
                raise
            self._discard(place)

    def _discard(self, place: str) -> None:
        if os.path.lexists(place):
            self.remove_tree(place)

    def remove(self, chain_id: Digest) -> None:
        """Remove the layer; success also when it was not there. Raises StorageError, StepError."""
        self.discard(chain_id)()

    def discard(self, chain_id: Digest) -> "Callable[[], None]":
        """Take the layer out of sight at once, and return a function that does the long work of removing its files.

        What a process that dies in between leaves is found by remove_garbage. Raises StorageError, StepError.
        """
        if not os.path.isdir(self.path(chain_id)):
            return lambda: None
        place, lock = self._new_place()
        try:
            os.rename(self.path(chain_id), place)
        except FileNotFoundError:
            # Somebody else removes it too.
            pass
        except OSError as error:
            os.unlink(lock.path)
            lock.release()
            raise storage_error(error, f"remove the layer {chain_id}") from error

        def finish() -> None:
            try:
                self._discard(place)
            finally:
                os.unlink(lock.path)
                lock.release()

        return finish

    def chain_ids(self) -> "list[Digest]":
        """The layers that are unpacked, in no order."""
        return [Digest(f"sha256:{name}") for name in _names(self.directory) if len(name) == 64]

    def remove_garbage(self) -> int:
        """Remove what processes that were killed have left half unpacked, their locks too; returns the number of trees."""
        count = 0
        hidden = {name.removesuffix(_LOCK_SUFFIX) for name in _names(self.directory) if name.startswith(_HIDDEN)}
        for name in hidden:
            place = f"{self.directory}/{name}"
            lock = Lock(place + _LOCK_SUFFIX, wait=False)
            try:
                lock.acquire()
            except ConflictError:
                continue
            try:
                if os.path.lexists(place):
                    self.remove_tree(place)
                    count += 1
            finally:
                os.unlink(lock.path)
                lock.release()
        return count


def _names(directory: str) -> "Iterable[str]":
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return ()


def ensure_layers(store: "Store", image: "Image", layers: Layers) -> "list[str]":
    """The directories of the image's layers, bottom first; those that are missing are unpacked from their blobs.

    Raises NotFoundError when a blob is missing too, DigestMismatchError when it is altered, StorageError, StepError.
    """
    paths: list[str] = []
    for position, chain_id in enumerate(image.chain_ids):
        if not layers.has(chain_id):
            _unpack_from_store(store, image, layers, position)
        path = layers.path(chain_id)
        if _hides_all_below(path):
            # overlayfs does not look for the mark on the top of a layer.
            paths.clear()
        paths.append(path)
    return paths


def _hides_all_below(layer: str) -> bool:
    """Whether the layer has an opaque mark on its top directory."""
    try:
        return os.getxattr(layer, "user.overlay.opaque") == b"y"
    except OSError:
        return False


def _unpack_from_store(store: "Store", image: "Image", layers: Layers, position: int) -> None:
    descriptor = image.layers[position]
    with store.open_blob(Digest(descriptor["digest"])) as blob:
        layers.unpack(
            blob,
            None,
            media_type=descriptor["mediaType"],
            digest=descriptor["digest"],
            size=descriptor["size"],
            diff_id=image.diff_ids[position],
            below=image.diff_ids[:position],
        )
