"""Which image of a multi-platform index this machine, or the user, wants."""

from ocirun.errors import InvalidError, NotFoundError
from ocirun.image.index import annotation
from ocirun.oci.digest import Digest
from ocirun.oci.media_types import INDEXES, MANIFESTS
from ocirun.oci.platform import Platform, choose_platform, this_machine
from ocirun.oci.schemas import check, parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocirun.oci.image_documents import Descriptor

# buildkit puts provenance beside the images, as manifests of a platform unknown/unknown with this annotation.
_ATTACHED = "vnd.docker.reference.type"


def choose_manifest(
    data: bytes, digest: str, is_present: "Callable[[Digest], bool]", wanted: "Platform | None" = None
) -> "Descriptor":
    """The manifest of the index `data` for the wanted platform, by default this machine's; the index is validated.

    An index of which only some images are at hand (docker saves such) offers those alone; if the only one at hand is for
    another platform, and none was asked for, it is taken. Raises InvalidError, and NotFoundError that lists the platforms.
    """
    document = parse_json(data, f"index {digest}")
    check("index", document, f"index {digest}")
    images = [entry for entry in document["manifests"] if _is_image(entry, digest)]
    return choose_entry(images, f"index {digest}", is_present, wanted)


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


def _is_image(entry: "Descriptor", digest: str) -> bool:
    if entry["mediaType"] in INDEXES:
        # Legal, but nobody makes them, and one that names itself would never end.
        raise InvalidError(f"index {digest} has an index inside, which is not supported")
    return entry["mediaType"] in MANIFESTS and not annotation(entry, _ATTACHED)


def _platform_of(entry: "Descriptor") -> Platform:
    platform = entry.get("platform")
    return Platform.of_document(platform) if platform else this_machine()
