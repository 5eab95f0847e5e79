"""The keys that leave an attached container running: docker's `--detach-keys`."""

from ocirun.errors import UsageError

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"

# ctrl- with these stands for the bytes 0 to 31
_CONTROL_NAMES = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def parse_detach_keys(text: str) -> bytes:
    r"""The bytes of a comma-separated list of keys: a character, `ctrl-` and one of `@a-z[\]^_`, or `DEL`.

    An empty text means the default, ctrl-p,ctrl-q. Raises UsageError.
    """
    keys = bytearray()
    for name in (text or DEFAULT_DETACH_KEYS).split(","):
        control = name.removeprefix("ctrl-")
        if len(name) == 1 and name.isascii():
            keys += name.encode()
        elif control != name and len(control) == 1 and control in _CONTROL_NAMES:
            keys.append(_CONTROL_NAMES.index(control))
        elif name == "DEL":
            keys.append(127)
        else:
            raise UsageError(
                f"invalid detach keys ({text}): unknown character {name!r}",
                "write them as ctrl-p,ctrl-q: a to z, or @ [ \\ ] ^ _",
            )
    return bytes(keys)


class DetachFilter:
    """Looks for the detach keys in what is typed, over any number of reads.

    Keys that may be the start of the sequence are held back until the next one decides, as docker does.
    """

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> "tuple[bytes, bool]":
        """What is to be sent on of `data` and of what was held, and whether the keys were complete; the rest is dropped."""
        data = self._held + data
        position = data.find(self._keys)
        if position >= 0:
            self._held = b""
            return data[:position], True
        held = min(len(self._keys) - 1, len(data))
        while held and not self._keys.startswith(data[-held:]):
            held -= 1
        self._held = data[len(data) - held :]
        return data[: len(data) - held], False
