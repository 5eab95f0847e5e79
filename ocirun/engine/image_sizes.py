"""Sizes of images, as docker counts them: the bytes of the files of each layer, whether shared with other images or not."""

from ocirun.image import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocirun.image.image import Image
    from ocirun.oci.image_documents import Descriptor


def layer_sizes(image: "Image", known: "Mapping[str, int]") -> "list[int]":
    """The size of each layer in bytes, bottom first; of an image that another tool put into the store the compressed size.

    `known` comes from image.index.known_layer_sizes.
    """
    sizes = []
    for descriptor, diff_id in zip(image.layers, image.diff_ids, strict=True):
        size = index.layer_size(known, diff_id)
        sizes.append(descriptor["size"] if size is None else size)
    return sizes


def image_size(image: "Image", descriptors: "Iterable[Descriptor]") -> int:
    """The size of the whole image in bytes, as `docker images` shows it."""
    return sum(layer_sizes(image, index.known_layer_sizes(descriptors)))
