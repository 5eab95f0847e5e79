"""References in docker's grammar: what they mean, how they are printed, and what is none."""

import pytest

from ocirun.errors import InvalidError
from ocirun.oci.reference import Reference

DIGEST = "sha256:" + 64 * "a"


@pytest.mark.parametrize(
    "text, full, familiar",
    [
        ("debian", "docker.io/library/debian", "debian"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("user/app", "docker.io/user/app", "user/app"),
        ("library/debian:12", "docker.io/library/debian:12", "debian:12"),
        ("docker.io/debian", "docker.io/library/debian", "debian"),
        ("docker.io/library/debian", "docker.io/library/debian", "debian"),
        ("index.docker.io/library/debian:12", "docker.io/library/debian:12", "debian:12"),
        ("index.docker.io/debian", "docker.io/library/debian", "debian"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("localhost:5000/x/y:1", "localhost:5000/x/y:1", "localhost:5000/x/y:1"),
        ("quay.io/x/y", "quay.io/x/y", "quay.io/x/y"),
        ("Host/x", "Host/x", "Host/x"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
        ("[fe80::1]/x", "[fe80::1]/x", "[fe80::1]/x"),
        ("a.b-c.de/x", "a.b-c.de/x", "a.b-c.de/x"),
        ("foo__bar/b-a--z.q_w", "docker.io/foo__bar/b-a--z.q_w", "foo__bar/b-a--z.q_w"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        (f"debian:12@{DIGEST}", f"docker.io/library/debian:12@{DIGEST}", f"debian:12@{DIGEST}"),
        ("x:V1.0_-", "docker.io/library/x:V1.0_-", "x:V1.0_-"),
        ("x:" + 128 * "t", "docker.io/library/x:" + 128 * "t", "x:" + 128 * "t"),
        ("sha256:abc", "docker.io/library/sha256:abc", "sha256:abc"),
    ],
)
def test_full_and_familiar(text: str, full: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert (str(reference), reference.familiar) == (full, familiar)
    assert Reference.parse(full) == Reference.parse(familiar) == reference
    assert hash(Reference.parse(full)) == hash(reference)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":",
        ":tag",
        "x:",
        "/x",
        "x/",
        "x//y",
        "x y",
        "x:a:b",
        "x:-a",
        "x:.a",
        "x:a/b:c:d",
        "-x",
        "x-",
        "x..y",
        "x___y",
        "x._y",
        "_x",
        "x@",
        "x@sha256:12",
        f"x@{DIGEST}@{DIGEST}",
        "a.b:port/x",
        "a..b/x",
        "-a.b/x",
        "[::1/x",
        "[]:5/x",
        "[g::]/x",
        "[::1]5/x",
        "[::1]:/x",
        "../x",
        "./x",
        "\u00fcx",
        "x:\u00fc",
        "x\n",
        "http://x.y/z",
        "x:" + 129 * "t",
        "a" * 256,
        64 * "a",
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidError, match=r"invalid (reference format|digest)"):
        Reference.parse(text)


def test_docker_s_words_for_capitals() -> None:
    with pytest.raises(
        InvalidError, match=r"^invalid reference format: repository name \(library/Foo\) must be lowercase$"
    ):
        Reference.parse("Foo")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("host", True),
        ("host:latest", True),
        ("docker.io/library/host", True),
        ("host:1", False),
        ("quay.io/host", False),
        (f"host@{DIGEST}", False),
        ("hosts", False),
    ],
)
def test_the_reserved_reference(text: str, *, expected: bool) -> None:
    assert Reference.parse(text).is_host is expected


def test_default_tag_and_repository() -> None:
    assert Reference.parse("x").with_default_tag().familiar == "x:latest"
    assert Reference.parse("x:1").with_default_tag().familiar == "x:1"
    assert Reference.parse(f"x@{DIGEST}").with_default_tag().familiar == f"x@{DIGEST}"
    assert Reference.parse("quay.io/a/b:1").name == "quay.io/a/b"


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Reference.parse("x").tag = "y"
    assert repr(Reference.parse("x")) == "Reference.parse('docker.io/library/x')"
    assert Reference.parse("x") != "docker.io/library/x"
