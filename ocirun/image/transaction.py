"""A change of the image store: blobs are staged beside it and appear together with the index that refers to them."""

import os

from ocirun.errors import NotFoundError
from ocirun.files import fsync_directory, storage_error
from ocirun.image import index, layout
from ocirun.image.staging import Staging
from ocirun.image.usage import PIN
from ocirun.oci.digest import Digest, sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Thread
    from types import TracebackType
    from typing import BinaryIO

    from ocirun.image.store import Store
    from ocirun.oci.image_documents import Descriptor
    from ocirun.oci.reference import Reference


class BlobWriter:
    """A blob on its way in: an object with write(); `keep` or `discard` ends it."""

    __slots__ = ("_descriptor", "path", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, data: "bytes | bytearray | memoryview") -> int:
        """Append `data` whole. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size += len(data)
        return len(data)

    def take_descriptor(self) -> int:
        """The open file, which is the caller's from now on."""
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _Addition:
    __slots__ = ("descriptor", "needs", "references")

    def __init__(self, descriptor: "Descriptor", references: "list[Reference]", needs: "set[Digest]") -> None:
        self.descriptor = descriptor
        self.references = references
        self.needs = needs


class Transaction:
    """Blobs and images that are going to be in the store. Without `commit` nothing of it is ever seen."""

    __slots__ = ("_additions", "_count", "_staged", "_staging", "_syncs", "store")

    def __init__(self, store: "Store") -> None:
        self.store = store
        self._staging = Staging(store.temporary)
        self._staged: dict[Digest, str] = {}
        self._additions: list[_Addition] = []
        self._syncs: list[_Sync] = []
        self._count = 0

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        for sync in self._syncs:
            sync.join()
        self._staging.remove()

    @property
    def staging_path(self) -> str:
        """A directory of this change for whatever else it has to put down; removed at its end."""
        return self._staging.path

    def new_path(self) -> str:
        """The path of a file that does not exist yet, in the staging directory."""
        self._count += 1
        return f"{self._staging.path}/{self._count}"

    def begin_blob(self) -> BlobWriter:
        """Begin a blob whose digest may not be known yet. Raises StorageError."""
        path = self.new_path()
        try:
            return BlobWriter(path)
        except OSError as error:
            raise storage_error(error, f"write {path}") from error

    def keep(self, writer: BlobWriter, digest: Digest) -> None:
        """The blob is complete and `digest` is its digest, which the caller has computed from what it wrote."""
        self._staged[digest] = writer.path
        sync = _Sync(writer.take_descriptor(), writer.path)
        self._syncs.append(sync)

    def adopt(self, path: str, digest: Digest) -> None:
        """The file at `path`, below staging_path, is the blob; it is linked, so that its maker may remove it."""
        place = self.new_path()
        try:
            os.link(path, place)
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise storage_error(error, f"write {place}") from error
        self._staged[digest] = place
        self._syncs.append(_Sync(descriptor, place))

    def add_bytes(self, data: bytes, media_type: str) -> "Descriptor":
        """Stage a document and return its descriptor. Raises StorageError."""
        digest = sha256_of(data)
        if digest not in self._staged and not self.reuse(digest):
            writer = self.begin_blob()
            try:
                writer.write(data)
                self.keep(writer, digest)
            except OSError as error:
                raise storage_error(error, f"write {writer.path}") from error
            finally:
                writer.close()
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def has(self, digest: Digest) -> bool:
        """Whether the blob is staged, or can be taken over from the store."""
        return digest in self._staged or self.reuse(digest)

    def reuse(self, digest: Digest) -> bool:
        """Make sure of a blob that is in the store, so that no removal meanwhile can take it away; False if it is not."""
        place = self.new_path()
        try:
            os.link(self.store.blob_path(digest), place)
        except FileNotFoundError:
            return False
        except OSError:
            # A file system without hard links: the commit finds out whether the blob is still there.
            return self.store.has_blob(digest)
        self._staged[digest] = place
        return True

    def open_blob(self, digest: Digest) -> "BinaryIO":
        """The bytes of a blob that `has` has said yes to, unbuffered, to be closed by the caller. Raises StorageError."""
        path = self.staged_path(digest)
        try:
            return open(path, "rb", buffering=0)
        except OSError as error:
            raise storage_error(error, f"read {path}") from error

    def staged_path(self, digest: Digest) -> str:
        """Where the bytes of a blob are that `has` has said yes to."""
        return self._staged.get(digest) or self.store.blob_path(digest)

    def pin_layer(self, chain_id: Digest) -> None:
        """Keep the unpacked layer, whether it is there yet or not, from removal until the end of this change.

        Raises StorageError.
        """
        path = f"{self._staging.path}/{PIN}{chain_id.hex}"
        if os.path.exists(path):
            return
        # Who removes layers looks for pins, and takes the layers away, under the same lock.
        with self.store.lock(shared=True):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            except OSError as error:
                raise storage_error(error, f"write {path}") from error

    def add_image(self, descriptor: "Descriptor", references: "list[Reference]", blobs: "set[Digest]") -> None:
        """The manifest `descriptor` (with annotations for the index) is to be in the index under `references`.

        `blobs` are all that it needs, itself included; they are staged or were in the store.
        """
        self._additions.append(_Addition(descriptor, references, blobs))

    def commit(self) -> "dict[Reference, Descriptor]":
        """Make it all visible, durably and at once; returns what the names led to before, if that was another image.

        The same image with another manifest (compressed otherwise) gives way to the new one.
        Raises StorageError, and NotFoundError when a blob that was in the store has been removed meanwhile.
        """
        self._wait_for_disk()
        with self.store.lock():
            if not os.path.exists(f"{self.store.directory}/{layout.INDEX_NAME}"):
                layout.make_layout(self.store.directory, self.store.temporary)
            before = self.store.descriptors()
            after, replaced = self._apply(before)
            placed = self._place_blobs()
            try:
                layout.write_index(self.store.directory, after)
            except BaseException:
                for path in placed:
                    os.unlink(path)
                raise
            self._remove_superseded(before, after)
        return replaced

    def _apply(self, descriptors: "list[Descriptor]") -> "tuple[list[Descriptor], dict[Reference, Descriptor]]":
        replaced: dict[Reference, Descriptor] = {}
        for addition in self._additions:
            new = addition.descriptor
            superseded = set()
            for reference in addition.references:
                old = index.find_name(descriptors, reference)
                if old is not None and self.store.image_id(old) == index.annotation(new, index.IMAGE_ID):
                    superseded.add(old["digest"])
                elif old is not None:
                    replaced[reference] = old
                descriptors = index.add_name(descriptors, new, reference)
            if not addition.references:
                descriptors = index.add_unnamed(descriptors, new)
            for digest in superseded - {new["digest"]}:
                if not index.names(entry for entry in descriptors if entry["digest"] == digest):
                    descriptors = index.remove_manifest(descriptors, digest)
        return descriptors, replaced

    def _remove_superseded(self, before: "list[Descriptor]", after: "list[Descriptor]") -> None:
        left = {descriptor["digest"] for descriptor in after}
        gone = [descriptor for descriptor in before if descriptor["digest"] not in left]
        if gone:
            from ocirun.image.usage import Usage, remove_blobs

            usage = Usage(self.store)
            remove_blobs(self.store, sorted(usage.blobs(gone) - usage.blobs(after)))

    def _wait_for_disk(self) -> None:
        for sync in self._syncs:
            sync.join()
            if sync.error is not None:
                raise storage_error(sync.error, f"write {sync.path}")

    def _staged_file(self, digest: Digest) -> str:
        try:
            return self._staged[digest]
        except KeyError:
            raise NotFoundError(f"blob {digest} was removed from the store meanwhile", "try again") from None

    def _place_blobs(self) -> "list[str]":
        """Rename what is needed into place; returns the paths that are new."""
        placed: list[str] = []
        directories = set()
        needed = set().union(*(addition.needs for addition in self._additions))
        try:
            for digest in sorted(needed):
                path = self.store.blob_path(digest)
                if os.path.exists(path):
                    continue
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                os.rename(self._staged_file(digest), path)
                placed.append(path)
                directories.add(os.path.dirname(path))
            for directory in sorted(directories):
                fsync_directory(directory)
        except (OSError, NotFoundError) as error:
            for path in placed:
                os.unlink(path)
            if isinstance(error, OSError):
                raise storage_error(error, "put blobs into the image store") from error
            raise
        return placed


class _Sync:
    """Flushes a file to disk while the next one is read; the disk then works at the same time as the processor."""

    __slots__ = ("_descriptor", "_thread", "error", "path")

    def __init__(self, descriptor: int, path: str) -> None:
        self.error: OSError | None = None
        self.path = path
        self._descriptor = descriptor
        self._thread: Thread | None = None
        import threading

        self._thread = threading.Thread(target=self._run, name="fsync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self.error = error
        finally:
            os.close(self._descriptor)

    def join(self) -> None:
        """Wait for the end; `error` then says whether it worked."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
