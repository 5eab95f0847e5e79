"""The index.json of the store: which names lead to which manifests. Pure functions over lists of descriptors.

One descriptor for each name. An image of docker.io has a second one for each name, with the fully qualified name, so that
other tools find it by either. An image without a name keeps one descriptor, so that its blobs stay.
"""

from ocirun.errors import InvalidError
from ocirun.oci.digest import is_digest
from ocirun.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocirun.oci.image_documents import Descriptor

REF_NAME = "org.opencontainers.image.ref.name"
CREATED = "org.opencontainers.image.created"
FULL_NAME = "io.containerd.image.name"
# Ours, so that `images` reads one file. What another tool put into the store lacks them and is read in full.
IMAGE_ID = "io.ocirun.image.id"
LAYER_SIZES = "io.ocirun.layer.sizes"
TAGGED = "io.ocirun.image.tagged"

# Sixteen digits of a diff id are enough to find a size for display.
_SHORT = 16


def annotation(descriptor: "Descriptor", key: str) -> str:
    """The descriptor's annotation `key`, or ""."""
    return (descriptor.get("annotations") or {}).get(key, "")


def name_of(descriptor: "Descriptor") -> "Reference | None":
    """The name that this descriptor gives to its image; None when it gives none that is a reference."""
    return _parse(name_text(descriptor))


def name_text(descriptor: "Descriptor") -> str:
    """The name that the descriptor gives, as text; "" when it gives none.

    buildkit and docker write the tag alone as OCI's name and the whole name as containerd's. umoci copies containerd's to
    images with other names, so that it counts only when it agrees.
    """
    name, full = annotation(descriptor, REF_NAME), annotation(descriptor, FULL_NAME)
    if not name or full.endswith((f":{name}", f"/{name}")):
        return full
    return name


def _parse(text: str) -> "Reference | None":
    if not text:
        return None
    try:
        return Reference.parse(text).with_default_tag()
    except InvalidError:
        return None


def find_name(descriptors: "Iterable[Descriptor]", reference: Reference) -> "Descriptor | None":
    """The descriptor that `reference` (with tag or digest) leads to."""
    # Comparing texts first: parsing a thousand names takes 8 ms, and `run` waits for this.
    familiar, full = reference.familiar, str(reference)
    others = []
    for descriptor in descriptors:
        if name_text(descriptor) in (familiar, full):
            return descriptor
        if _may_be(descriptor, reference):
            others.append(descriptor)
    return next((descriptor for descriptor in others if name_of(descriptor) == reference), None)


def names(descriptors: "Iterable[Descriptor]") -> "list[Reference]":
    """The names that these descriptors give, each once, sorted as text."""
    # Texts first: both entries of a name on docker.io say the same, and parsing is what costs time.
    parsed = map(_parse, {name_text(descriptor) for descriptor in descriptors})
    found = {str(name): name for name in parsed if name is not None}
    return [found[text] for text in sorted(found)]


def named(descriptor: "Descriptor", reference: Reference) -> "list[Descriptor]":
    """The descriptors for an image of that name: the familiar name, and the fully qualified one if it differs."""
    familiar, full = reference.familiar, str(reference)
    made = [_with_names(descriptor, familiar, full)]
    if full != familiar:
        second = _with_names(descriptor, full, full)
        for key in (LAYER_SIZES, TAGGED):
            second["annotations"].pop(key, None)
        made.append(second)
    return made


def unnamed(descriptor: "Descriptor") -> "Descriptor":
    """The descriptor without a name."""
    return _with_names(descriptor, "", "")


def add_name(descriptors: "list[Descriptor]", descriptor: "Descriptor", reference: Reference) -> "list[Descriptor]":
    """The index in which `reference` leads to `descriptor`, whatever it led to before."""
    others = remove_name(descriptors, reference)
    kept = [known for known in others if known["digest"] != descriptor["digest"] or name_text(known)]
    return kept + named(descriptor, reference)


def add_unnamed(descriptors: "list[Descriptor]", descriptor: "Descriptor") -> "list[Descriptor]":
    """The index that holds on to `descriptor`, by a descriptor without a name unless it has one."""
    if any(known["digest"] == descriptor["digest"] for known in descriptors):
        return list(descriptors)
    return [*descriptors, unnamed(descriptor)]


def remove_name(descriptors: "list[Descriptor]", reference: Reference) -> "list[Descriptor]":
    """The index without that name; an image that loses its last name keeps a descriptor without one."""
    kept = []
    gone: list[Descriptor] = []
    for descriptor in descriptors:
        if _may_be(descriptor, reference) and name_of(descriptor) == reference:
            gone.append(descriptor)
        else:
            kept.append(descriptor)
    for descriptor in gone:
        kept = add_unnamed(kept, descriptor)
    return kept


def remove_manifest(descriptors: "list[Descriptor]", digest: str) -> "list[Descriptor]":
    """The index without any descriptor of that manifest."""
    return [descriptor for descriptor in descriptors if descriptor["digest"] != digest]


def _may_be(descriptor: "Descriptor", reference: Reference) -> bool:
    last = reference.path.rpartition("/")[2]
    return last in name_text(descriptor)


def _with_names(descriptor: "Descriptor", ref_name: str, full_name: str) -> "Descriptor":
    annotations = {
        key: value for key, value in (descriptor.get("annotations") or {}).items() if key not in (REF_NAME, FULL_NAME)
    }
    if ref_name:
        annotations = {REF_NAME: ref_name, FULL_NAME: full_name, **annotations}
    return {**descriptor, "annotations": annotations}


def layer_sizes_text(diff_ids: "list[str]", sizes: "list[int]") -> str:
    """The annotation that remembers how many bytes of files each layer has."""
    return " ".join(f"{_short(diff_id)}={size}" for diff_id, size in zip(diff_ids, sizes, strict=True))


def known_layer_sizes(descriptors: "Iterable[Descriptor]") -> "Mapping[str, int]":
    """The remembered sizes of layers by the beginning of their diff ids; ask it with `layer_size`."""
    sizes: dict[str, int] = {}
    for descriptor in descriptors:
        for item in annotation(descriptor, LAYER_SIZES).split():
            key, _, size = item.partition("=")
            if size.isdigit():
                sizes[key] = int(size)
    return sizes


def layer_size(sizes: "Mapping[str, int]", diff_id: str) -> "int | None":
    """The size of the layer with this diff id in bytes, or None when it is not remembered."""
    return sizes.get(_short(diff_id))


def _short(diff_id: str) -> str:
    return diff_id.partition(":")[2][:_SHORT]


def check_descriptors(document: object, path: str) -> "list[Descriptor]":
    """The descriptors of an index.json that was read from our own disk. Raises InvalidError when it has another shape."""
    manifests = document.get("manifests") if isinstance(document, dict) else None
    if not isinstance(manifests, list):
        raise InvalidError(f"{path} is damaged: it has no list of manifests")
    for descriptor in manifests:
        good = (
            isinstance(descriptor, dict)
            and isinstance(descriptor.get("mediaType"), str)
            and isinstance(descriptor.get("size"), int)
            and isinstance(descriptor.get("annotations") or {}, dict)
            and isinstance(descriptor.get("digest"), str)
            and is_digest(descriptor["digest"])
        )
        if not good:
            raise InvalidError(f"{path} is damaged: it has an entry that is no descriptor")
    return manifests
