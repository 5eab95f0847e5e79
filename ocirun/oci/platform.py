"""Platforms: operating system, architecture and variant, in Go's words (image-spec image-index.md)."""

from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What uname and people write -> architecture and variant.
_SPELLINGS = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
    "ppc64el": ("ppc64le", ""),
}
_SYSTEMS = frozenset(("linux", "windows", "freebsd", "darwin", "solaris", "netbsd", "openbsd", "android", "wasi"))
# The variant that every machine of the architecture has, and which therefore goes without saying.
_IMPLIED = {"amd64": "v1", "arm64": "v8"}
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Platform:
    """One platform, normalised; it cannot be changed. `str()` is os/architecture[/variant]."""

    __slots__ = ("architecture", "os", "variant")

    architecture: str
    os: str
    variant: str

    def __init__(self, system: str, architecture: str, variant: str = "") -> None:
        architecture, implied = _SPELLINGS.get(architecture, (architecture, ""))
        variant = variant or implied
        if architecture == "arm" and not variant:
            variant = "v7"
        if _IMPLIED.get(architecture) == variant:
            variant = ""
        put = object.__setattr__
        put(self, "os", system)
        put(self, "architecture", architecture)
        put(self, "variant", variant)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a platform cannot be changed: {name}")

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """The platform that `text` means: os/architecture[/variant], or one of the two alone. Raises InvalidError."""
        parts = text.lower().split("/")
        if not 1 <= len(parts) <= 3 or not all(_is_word(part) for part in parts):
            raise InvalidError(f"invalid platform {text!r}", "expected os[/architecture[/variant]], as in linux/amd64")
        if len(parts) == 1:
            only = parts[0]
            return cls(only, this_machine().architecture) if only in _SYSTEMS else cls("linux", only)
        return cls(*parts)

    @classmethod
    def of_document(cls, document: "Mapping[str, object]") -> "Platform":
        """The platform that a descriptor's `platform` or an image's config names."""
        system, architecture, variant = (document.get(key) for key in ("os", "architecture", "variant"))
        return cls(str(system or ""), str(architecture or ""), str(variant or ""))

    def runs(self, image: "Platform") -> bool:
        """Whether a machine of this platform runs an image for `image`.

        A variant that is not named fits all; a later ARM version runs programs of the earlier ones.
        """
        if (self.os, self.architecture) != (image.os, image.architecture):
            return False
        if not image.variant or not self.variant:
            return True
        mine, theirs = self.variant[1:], image.variant[1:]
        if self.architecture == "arm" and mine.isdigit() and theirs.isdigit():
            return int(theirs) <= int(mine)
        return self.variant == image.variant

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def __repr__(self) -> str:
        return f"Platform.parse({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Platform) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def _is_word(part: str) -> bool:
    return part[:1].isalnum() and _WORD.issuperset(part)


def this_machine() -> Platform:
    """The platform of the machine that runs this."""
    import os

    return Platform("linux", os.uname().machine)


def choose_platform(candidates: "Sequence[Platform]", wanted: Platform) -> "int | None":
    """The index of the best candidate for `wanted`, or None: the very same first, then the latest variant, then the order."""
    fitting = [index for index, candidate in enumerate(candidates) if wanted.runs(candidate)]
    if not fitting:
        return None
    return max(fitting, key=lambda index: (candidates[index] == wanted, candidates[index].variant, -index))
