"""Digests: names of bytes, `algorithm:hex` (image-spec descriptor.md#digests), and checking bytes against them.

A Digest that exists has been checked, so its parts may be used in a path without further thought.
"""

from ocirun.errors import DigestMismatchError, InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from hashlib import _Hash

# Only what the image spec registers and every tool reads; the value is the number of hexadecimal digits.
_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdef")


class Digest(str):
    """A digest in its written form; making one from wrong text raises InvalidError."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Digest":
        """Check `text`. Raises InvalidError."""
        algorithm, colon, encoded = text.partition(":")
        if not colon or len(encoded) != _LENGTHS.get(algorithm) or not _HEX.issuperset(encoded):
            known = " or ".join(f"{name}:<{count} lowercase hexadecimal digits>" for name, count in _LENGTHS.items())
            raise InvalidError(f"invalid digest {text[:160]!r}: expected {known}")
        return str.__new__(cls, text)

    @property
    def algorithm(self) -> str:
        """The name of the hash function."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The digits after the colon."""
        return self.partition(":")[2]


def is_digest(text: str) -> bool:
    """Whether `text` is a digest that ocirun can check."""
    try:
        Digest(text)
    except InvalidError:
        return False
    return True


def sha256_of(data: bytes) -> Digest:
    """The sha256 digest of a small document, without the 3 ms that importing hashlib (OpenSSL) costs."""
    return Digest(f"sha256:{_light_sha256()(data).hexdigest()}")


def _light_sha256() -> "Callable[[bytes], _Hash]":
    # The interpreter's own implementations, which hashlib falls back to; their modules changed names in 3.12.
    import sys

    module = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
    try:
        function: Callable[[bytes], _Hash] = __import__(module).sha256
    except ImportError:
        import hashlib

        return hashlib.sha256
    return function


def check_bytes(data: bytes, digest: Digest, what: str) -> None:
    """Raise DigestMismatchError unless `digest` is that of `data`; `what` names the data in the message."""
    if digest.algorithm == "sha256":
        actual = sha256_of(data)
    else:
        import hashlib

        actual = Digest(f"{digest.algorithm}:{hashlib.new(digest.algorithm, data).hexdigest()}")
    if actual != digest:
        raise DigestMismatchError(f"{what} is altered: its digest is {actual}, expected {digest}")


def chain_ids(diff_ids: "Sequence[str]") -> "list[Digest]":
    """The chain id of each layer and all below it, bottom first (image-spec config.md#layer-chainid)."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(sha256_of(f"{chain[-1]} {diff_id}".encode()) if chain else Digest(diff_id))
    return chain
