"""Platforms: spellings, which machine runs what, and which image of an index is the best."""

import pytest

from ocirun.errors import InvalidError
from ocirun.oci.platform import Platform, choose_platform, this_machine


@pytest.mark.parametrize(
    "text, expected",
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("Linux/AMD64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/v5", "linux/arm/v5"),
        ("i686", "linux/386"),
        ("windows/amd64", "windows/amd64"),
        ("linux", f"linux/{this_machine().architecture}"),
    ],
)
def test_parse(text: str, expected: str) -> None:
    assert str(Platform.parse(text)) == expected
    assert Platform.parse(expected) == Platform.parse(text)
    assert hash(Platform.parse(expected)) == hash(Platform.parse(text))


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/../x", "li nux"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(InvalidError, match="invalid platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    "machine, image, expected",
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/amd64", "windows/amd64", False),
        ("linux/amd64", "linux/amd64/v3", True),
        ("linux/amd64/v2", "linux/amd64/v3", False),
        ("linux/arm/v7", "linux/arm/v6", True),
        ("linux/arm/v6", "linux/arm/v7", False),
    ],
)
def test_runs(machine: str, image: str, *, expected: bool) -> None:
    assert Platform.parse(machine).runs(Platform.parse(image)) is expected


def test_choose() -> None:
    candidates = [
        Platform.parse(text) for text in ("linux/arm/v5", "linux/arm/v6", "linux/amd64", "linux/arm/v7", "linux/amd64")
    ]
    assert choose_platform(candidates, Platform.parse("linux/amd64")) == 2
    assert choose_platform(candidates, Platform.parse("linux/arm/v7")) == 3
    assert choose_platform(candidates, Platform.parse("linux/arm/v6")) == 1
    assert choose_platform(candidates, Platform.parse("linux/s390x")) is None


def test_of_document_and_constancy() -> None:
    platform = Platform.of_document({"os": "linux", "architecture": "arm64", "variant": "v8"})
    assert str(platform) == "linux/arm64"
    assert str(Platform.of_document({})) == ""
    assert platform != "linux/arm64"
    assert repr(platform) == "Platform.parse('linux/arm64')"
    with pytest.raises(AttributeError):
        platform.os = "x"
