"""`--filter name=value`: several of one name widen the choice, different names narrow it, as docker has it."""

from ocirun.errors import UsageError


class Filters:
    """The filters of a command line, by name in lower case."""

    __slots__ = ("_values",)

    def __init__(self, texts: "list[str]", allowed: "frozenset[str]") -> None:
        """Raises UsageError for a name that is not in `allowed`."""
        self._values: dict[str, list[str]] = {}
        for text in texts:
            name, _, value = text.partition("=")
            name = name.strip().lower()
            if name not in allowed:
                raise UsageError(f"invalid filter '{name}'", f"known are: {', '.join(sorted(allowed))}")
            self._values.setdefault(name, []).append(value.strip())

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def values(self, name: str) -> "list[str]":
        """All values given for `name`."""
        return self._values.get(name, [])

    def single(self, name: str) -> str:
        """The last value given for `name`, or ""."""
        values = self.values(name)
        return values[-1] if values else ""

    def boolean(self, name: str, default: "bool | None" = None) -> "bool | None":
        """The truth of `name`, or `default`. Raises UsageError for a value that is neither true nor false."""
        if name not in self:
            return default
        value = self.single(name)
        if value.lower() in ("1", "t", "true"):
            return True
        if value.lower() in ("0", "f", "false"):
            return False
        raise UsageError(f"invalid filter '{name}={value}'", "it is true or false")

    def matches(self, name: str, text: str) -> bool:
        """Whether there is no filter `name`, or one of its values equals `text` or is a regular expression found in it."""
        values = self.values(name)
        if not values or text in values:
            return True
        import re

        for value in values:
            try:
                if re.search(value, text):
                    return True
            except re.error:
                continue
        return False

    def matches_labels(self, labels: "dict[str, str]", name: str = "label") -> bool:
        """Whether `labels` have all the keys, or pairs key=value, of the filter."""
        for wanted in self.values(name):
            key, equals, value = wanted.partition("=")
            if key not in labels or (equals and labels[key] != value):
                return False
        return True
