"""How far a layer may blow up when it is unpacked: what is larger is taken for an attack (a "bomb") and refused."""

from ocirun.errors import InvalidError, UsageError
from ocirun.oci.sizes import parse_size

VARIABLE = "OCIRUN_LAYER_LIMITS"
HINT = f"if you trust it, raise the limits with ${VARIABLE}"
_FORM = "it is bytes=SIZE,ratio=NUMBER,entries=NUMBER, each of them optional: bytes=2t,ratio=1000"
_LARGEST_NUMBER = (1 << 32) - 1


class Limits:
    """The limits of one layer. Sizes are in bytes.

    `largest` is the most that it may unpack to; `ratio` is how many times larger than compressed it may be, which counts
    only beyond `ratio_from` bytes (a small file of zeros is no attack). It may have `entries` files and directories.
    """

    __slots__ = ("entries", "largest", "ratio", "ratio_from")

    def __init__(
        self, largest: int = 1 << 40, ratio: int = 500, ratio_from: int = 4 << 30, entries: int = 1 << 24
    ) -> None:
        self.largest = largest
        self.ratio = ratio
        self.ratio_from = ratio_from
        self.entries = entries

    def check(self, unpacked: int, compressed: int, what: str) -> None:
        """Raise InvalidError when `unpacked` bytes out of `compressed` ones are too many."""
        if unpacked > self.largest:
            raise InvalidError(f"{what} unpacks to more than {self.largest} bytes", HINT)
        if unpacked > self.ratio_from and unpacked > self.ratio * compressed:
            raise InvalidError(f"{what} unpacks to more than {self.ratio} times its size, as an attack would", HINT)


def parse_limits(text: str) -> Limits:
    """The limits that $OCIRUN_LAYER_LIMITS asks for; those it does not name stay. Raises UsageError."""
    values: dict[str, int] = {}
    for word in text.split(","):
        name, _, value = word.strip().partition("=")
        if not word.strip():
            continue
        if name == "bytes":
            try:
                values["largest"] = parse_size(value)
            except ValueError as error:
                raise UsageError(f"{VARIABLE}: {error}", _FORM) from None
        elif name in ("ratio", "entries") and value.isdecimal() and 0 < int(value) <= _LARGEST_NUMBER:
            values[name] = int(value)
        else:
            raise UsageError(f"{VARIABLE}: invalid limit '{word}'", _FORM)
    return Limits(**values)
