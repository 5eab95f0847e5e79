"""Which image of a multi-platform index this machine, or the user, wants."""

from ocirun.errors import InvalidError, NotFoundError
from ocirun.image.index import annotation
from ocirun.oci.digest import Digest
from ocirun.oci.media_types import INDEXES, MANIFESTS
from ocirun.oci.platform import Platform, choose_platform, this_machine
from ocirun.oci.schemas import check, parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocirun.oci.image_documents import Descriptor

# buildkit puts provenance beside the images, as manifests of a platform unknown/unknown with this annotation.
_ATTACHED = "vnd.docker.reference.type"
# Indexes inside each other; one inside another is legal, and more have not been seen.
_DEEPEST = 8


def choose_manifest(
    data: bytes,
    digest: str,
    is_present: "Callable[[Digest], bool]",
    read: "Callable[[Descriptor], bytes]",
    wanted: "Platform | None" = None,
) -> "Descriptor":
    """The manifest of the index `data` for the wanted platform, by default this machine's; the index is validated.

    So are the indexes that are inside of it, which `read` gives (and verifies). An index of which only some images are at
    hand (docker saves such) offers those alone; if the only one at hand is for another platform, and none was asked for, it
    is taken. Raises InvalidError, and NotFoundError that lists the platforms.
    """
    known = {digest}

    def read_new(entry: "Descriptor") -> "bytes | None":
        """The index behind `entry`; None when it is missing or was read before: then each is read once, whoever names it."""
        if entry["digest"] in known or not is_present(Digest(entry["digest"])):
            return None
        known.add(entry["digest"])
        return read(entry)

    return choose_entry(list(_images(data, digest, read_new, 1)), f"index {digest}", is_present, wanted)


def _images(
    data: bytes, digest: str, read_new: "Callable[[Descriptor], bytes | None]", depth: int
) -> "Iterator[Descriptor]":
    """The manifests of images in the index `data` and in those inside of it."""
    if depth > _DEEPEST:
        raise InvalidError(f"index {digest} lies inside more than {_DEEPEST} others, as an attack would")
    document = parse_json(data, f"index {digest}")
    check("index", document, f"index {digest}")
    for entry in document["manifests"]:
        if annotation(entry, _ATTACHED):
            continue
        if entry["mediaType"] in MANIFESTS:
            yield entry
        elif entry["mediaType"] in INDEXES:
            inner = read_new(entry)
            if inner is not None:
                yield from _images(inner, entry["digest"], read_new, depth + 1)


def choose_entry(
    entries: "list[Descriptor]", what: str, is_present: "Callable[[Digest], bool]", wanted: "Platform | None" = None
) -> "Descriptor":
    """The best of `entries`, as choose_manifest says. Raises NotFoundError."""
    present = [entry for entry in entries if is_present(Digest(entry["digest"]))]
    platforms = [_platform_of(entry) for entry in present]
    chosen = choose_platform(platforms, wanted or this_machine())
    if chosen is not None:
        return present[chosen]
    if len(present) == 1 and wanted is None:
        return present[0]
    listed = ", ".join(sorted({str(platform) for platform in platforms})) or "none"
    raise NotFoundError(
        f"{what} has no image for {wanted or this_machine()}", f"it has {listed}; choose with --platform"
    )


def _platform_of(entry: "Descriptor") -> Platform:
    platform = entry.get("platform")
    return Platform.of_document(platform) if platform else this_machine()
