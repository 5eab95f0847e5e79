"""Media types of layers, and the compression that they say."""

import pytest

from ocirun.oci.media_types import DOCKER_LAYER, LAYER, LAYER_GZIP, LAYER_ZSTD, layer_compression, layer_type


@pytest.mark.parametrize(
    "media_type, expected",
    [
        (LAYER, ""),
        (LAYER_GZIP, "gzip"),
        (LAYER_ZSTD, "zstd"),
        (DOCKER_LAYER, ""),
        (DOCKER_LAYER + ".gzip", "gzip"),
        (DOCKER_LAYER + ".zstd", "zstd"),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "gzip"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "gzip"),
        (LAYER + "+bzip2", None),
        ("application/json", None),
        ("", None),
    ],
)
def test_compression(media_type: str, expected: str | None) -> None:
    assert layer_compression(media_type) == expected


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_there_and_back(compression: str) -> None:
    assert layer_compression(layer_type(compression)) == compression
