"""Digests: what is one, and what is not what it says."""

import hashlib

import pytest

from ocirun.errors import DigestMismatchError, InvalidError
from ocirun.oci.digest import Digest, chain_ids, check_bytes, is_digest, sha256_of

HEX = "b5b2b2c507a0944348e0303114d8d93aaaa081732b86451d9bce1f432a537bc7"


def test_parts() -> None:
    digest = Digest(f"sha256:{HEX}")
    assert (digest.algorithm, digest.hex, digest) == ("sha256", HEX, f"sha256:{HEX}")
    assert Digest("sha512:" + 128 * "a").algorithm == "sha512"


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        f"sha256{HEX}",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"md5:{HEX[:32]}",
        "sha256:../" + HEX[3:],
        f"sha256:{HEX[:-1]}\n",
        f"sha256:{HEX[:-1]}\u0661",
    ],
)
def test_what_is_no_digest(text: str) -> None:
    assert not is_digest(text)
    with pytest.raises(InvalidError, match="invalid digest"):
        Digest(text)


@pytest.mark.parametrize("data", [b"", b"x", b"a" * 1000])
def test_sha256_of_is_that_of_hashlib(data: bytes) -> None:
    assert sha256_of(data) == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_check_bytes(algorithm: str) -> None:
    digest = Digest(f"{algorithm}:{hashlib.new(algorithm, b'data').hexdigest()}")
    check_bytes(b"data", digest, "the blob")
    with pytest.raises(DigestMismatchError, match="the blob is altered"):
        check_bytes(b"date", digest, "the blob")


def test_chain_ids_as_the_specification_defines_them() -> None:
    first, second, third = (Digest(f"sha256:{digit * 64}") for digit in "123")
    two = f"sha256:{hashlib.sha256(f'{first} {second}'.encode()).hexdigest()}"
    three = f"sha256:{hashlib.sha256(f'{two} {third}'.encode()).hexdigest()}"
    assert chain_ids([]) == []
    assert chain_ids([first, second, third]) == [first, two, three]
