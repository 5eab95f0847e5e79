"""References: the names of images, in docker's grammar and with docker's defaults.

    reference  name [":" tag] ["@" digest]
    name       [domain "/"] component {"/" component}

The first part is a domain when it has a dot, a colon or a capital letter, or is "localhost"; otherwise the image is on
docker.io, and there one with a single component is below "library/". The *familiar* form leaves those defaults away.
"""

from ocirun.errors import InvalidError
from ocirun.oci.digest import Digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
# The image that needs no download: this machine's own file system.
HOST = "host"

_LEGACY_DEFAULT_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
_MAXIMUM_NAME = 255
_MAXIMUM_TAG = 128
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_WORD = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TAG = _WORD | frozenset("_.-")
_HEX = frozenset("0123456789abcdef")


class InvalidReferenceError(InvalidError):
    """A text that nothing can be named by."""


class Reference:
    """One parsed reference; it cannot be changed. `str()` is the fully qualified form."""

    __slots__ = ("digest", "domain", "path", "tag")

    digest: "Digest | None"
    domain: str
    path: str
    tag: str

    def __init__(self, domain: str, path: str, tag: str = "", digest: "Digest | None" = None) -> None:
        """Take parts that have been checked; text goes through `parse`."""
        put = object.__setattr__
        put(self, "domain", domain)
        put(self, "path", path)
        put(self, "tag", tag)
        put(self, "digest", digest)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a reference cannot be changed: {name}")

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """The reference that `text` means. Raises InvalidReferenceError with docker's words and the rule that is broken."""
        if len(text) == 64 and _HEX.issuperset(text):
            raise _invalid(text, f"repository name ({text}) cannot be 64 hexadecimal digits")
        rest, at, digest_text = text.partition("@")
        digest = _digest(digest_text) if at else None
        # A colon belongs to the tag only after the last slash; before it, it is that of a port.
        slash = rest.rfind("/")
        colon = rest.find(":", slash + 1)
        name, tag = (rest, "") if colon < 0 else (rest[:colon], rest[colon + 1 :])
        if colon >= 0:
            _check_tag(text, tag)
        domain, path = _split_domain(name)
        _check_name(text, domain, path)
        return cls(domain, path, tag, digest)

    @property
    def name(self) -> str:
        """Domain and path, without tag and digest."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as docker prints it: without docker.io and library/."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        if self.path.startswith(_OFFICIAL) and self.path.count("/") == 1:
            return self.path[len(_OFFICIAL) :]
        return self.path

    @property
    def familiar(self) -> str:
        """The whole reference as docker prints it."""
        return self.familiar_name + self._suffix()

    @property
    def is_host(self) -> bool:
        """Whether this is the reserved reference `host`."""
        return self.familiar_name == HOST and self.tag in ("", DEFAULT_TAG) and self.digest is None

    def with_default_tag(self) -> "Reference":
        """The same reference, with the tag `latest` if it has neither tag nor digest."""
        if self.tag or self.digest:
            return self
        return Reference(self.domain, self.path, DEFAULT_TAG)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix()

    def __repr__(self) -> str:
        return f"Reference.parse({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _digest(text: str) -> Digest:
    try:
        return Digest(text)
    except InvalidError as error:
        raise InvalidReferenceError(error.what, error.hint) from None


def _invalid(text: str, rule: str) -> InvalidReferenceError:
    return InvalidReferenceError(
        f"invalid reference format: {rule}" if rule else f"invalid reference format: {text[:300]!r}"
    )


def _split_domain(name: str) -> "tuple[str, str]":
    first, slash, rest = name.partition("/")
    is_domain = slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first)
    domain, path = (first, rest) if is_domain else (DEFAULT_DOMAIN, name)
    if domain == _LEGACY_DEFAULT_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = _OFFICIAL + path
    return domain, path


def _check_name(text: str, domain: str, path: str) -> None:
    if path.lower() != path:
        raise _invalid(text, f"repository name ({path[:300]}) must be lowercase")
    # Most names are plain: a listing parses thousands.
    if domain != DEFAULT_DOMAIN and not _is_domain(domain):
        raise _invalid(text, "")
    for part in path.split("/"):
        if not (part and _LOWER.issuperset(part)) and not _is_component(part):
            raise _invalid(text, "")
    if len(domain) + 1 + len(path) > _MAXIMUM_NAME:
        raise _invalid(text, f"repository name must not be more than {_MAXIMUM_NAME} characters")


def _check_tag(text: str, tag: str) -> None:
    if not tag or not _TAG.issuperset(tag) or tag[0] in ".-":
        raise _invalid(text, "")
    if len(tag) > _MAXIMUM_TAG:
        raise _invalid(text, f"a tag must not be more than {_MAXIMUM_TAG} characters")


def _is_domain(domain: str) -> bool:
    if domain.startswith("["):
        address, bracket, port = domain[1:].partition("]")
        if not bracket or not address or not frozenset("0123456789abcdefABCDEF:").issuperset(address):
            return False
        return not port or (port[0] == ":" and _is_port(port[1:]))
    host, colon, port = domain.partition(":")
    if colon and not _is_port(port):
        return False
    return all(_is_domain_component(part) for part in host.split("."))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_domain_component(part: str) -> bool:
    return part != "" and (_WORD | {"-"}).issuperset(part) and part[0] != "-" and part[-1] != "-"


def _is_component(part: str) -> bool:
    """Runs of lowercase letters and digits, separated by one dot, one or two underscores, or any number of dashes."""
    if not part or part[0] not in _LOWER or part[-1] not in _LOWER:
        return False
    separator = ""
    for character in part:
        if character not in _LOWER:
            separator += character
        elif separator:
            if separator not in (".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
    return True
