"""The option --detach-keys, of every verb that can connect a terminal."""

from ocirun.cli.options import Option


def _keys(text: str) -> str:
    """The text as it is. Raises UsageError for keys that there are not, before anything is made or started."""
    from ocirun.engine.detach_keys import parse_detach_keys

    parse_detach_keys(text)
    return text


DETACH_KEYS = Option(
    "detach-keys", "string", "Keys that leave it running, without you (default ctrl-p,ctrl-q)", check=_keys
)
