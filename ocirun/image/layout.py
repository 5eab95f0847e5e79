"""An OCI image layout on disk (image-spec image-layout.md): its paths, its making, its index."""

import json
import os

from ocirun.errors import InvalidError, NotFoundError
from ocirun.files import json_bytes, storage_error, write_file, write_json
from ocirun.image.index import check_descriptors
from ocirun.oci.media_types import INDEX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.oci.digest import Digest
    from ocirun.oci.image_documents import Descriptor

LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
LAYOUT_NAME = "oci-layout"
INDEX_NAME = "index.json"


def blob_name(digest: "Digest") -> str:
    """Where the blob is inside a layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def index_document(descriptors: "list[Descriptor]") -> "dict[str, object]":
    """The index.json with these entries."""
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors}


def index_bytes(descriptors: "list[Descriptor]") -> bytes:
    """The index.json with these entries, as it is written."""
    return json_bytes(index_document(descriptors))


def make_layout(directory: str, temporary: str) -> None:
    """Make an empty layout at `directory`; it appears whole, built below `temporary`. Success means there is one.

    Raises StorageError.
    """
    from ocirun.image.staging import Staging

    with Staging(temporary) as staging:
        place = f"{staging.path}/layout"
        try:
            for path in (place, f"{place}/blobs", f"{place}/blobs/sha256"):
                os.mkdir(path, 0o700)
            write_file(f"{place}/{LAYOUT_NAME}", LAYOUT_FILE)
            write_file(f"{place}/{INDEX_NAME}", index_bytes([]))
            os.rename(place, directory)
        except OSError as error:
            # Somebody else was faster: a directory that is not empty is not replaced.
            if not os.path.exists(f"{directory}/{INDEX_NAME}"):
                raise storage_error(error, f"make the image store {directory}") from error


def read_index(directory: str) -> "list[Descriptor]":
    """The entries of the layout's index.json; none when there is no layout yet. Raises InvalidError, StorageError."""
    path = f"{directory}/{INDEX_NAME}"
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error(error, f"read {path}") from error
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"{path} is damaged: {error}") from error
    return check_descriptors(document, path)


def write_index(directory: str, descriptors: "list[Descriptor]") -> None:
    """Replace the layout's index.json at once and durably. Raises StorageError."""
    write_json(f"{directory}/{INDEX_NAME}", index_document(descriptors))


def read_blob(directory: str, digest: "Digest", limit: int) -> bytes:
    """All bytes of a small blob, unverified: what is in the store was verified on its way in.

    Raises NotFoundError when it is missing, InvalidError when it has more than `limit` bytes, StorageError.
    """
    path = f"{directory}/{blob_name(digest)}"
    try:
        with open(path, "rb", buffering=0) as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFoundError(f"the image store lacks the blob {digest}", "load or pull the image again") from None
    except OSError as error:
        raise storage_error(error, f"read {path}") from error
    if len(data or b"") > limit:
        raise InvalidError(f"blob {digest} has more than the {limit} bytes allowed for a document")
    return data or b""
