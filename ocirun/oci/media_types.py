"""Media types of the OCI image spec (media-types.md) and of docker's schema 2, and what follows from them."""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
LAYER_ZSTD = LAYER + "+zstd"
FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"

INDEXES = frozenset((INDEX, DOCKER_INDEX))
MANIFESTS = frozenset((MANIFEST, DOCKER_MANIFEST))
CONFIGS = frozenset((CONFIG, DOCKER_CONFIG))

_LAYERS = (LAYER, FOREIGN_LAYER, DOCKER_LAYER, DOCKER_FOREIGN_LAYER)
# How a layer type says its compression: "+gzip" in OCI, ".gzip" in docker's; some tools write docker's "+zstd" form.
_SUFFIXES = {"": "", "+gzip": "gzip", ".gzip": "gzip", "+zstd": "zstd", ".zstd": "zstd"}
_COMPRESSIONS = {base + suffix: name for base in _LAYERS for suffix, name in _SUFFIXES.items()}


def layer_compression(media_type: str) -> "str | None":
    """How a layer of this type is compressed: "gzip", "zstd" or "" (not at all); None when it is no layer type."""
    return _COMPRESSIONS.get(media_type)


def layer_type(compression: str) -> str:
    """The OCI layer type for "gzip", "zstd" or ""."""
    return {"": LAYER, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}[compression]
