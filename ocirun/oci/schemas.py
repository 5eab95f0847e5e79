"""Documents from outside against the JSON Schemas in /schemas (draft 2020-12, written from the specifications).

jsonschema costs 75 ms to import, so it is loaded by the first check; `run` makes none.
"""

import json
import os

from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

KINDS = (
    "descriptor",
    "index",
    "manifest",
    "image-config",
    "layout",
    "docker-archive",
    "runtime-config",
    "runtime-state",
    "runtime-features",
)
_MAXIMUM_REPORTED = 20
# `anyOf` is only used for "this or null": the violations of `this` are what helps.
_ALTERNATIVES = frozenset(("anyOf", "oneOf"))
_OTHER_KIND = frozenset(("type", "const"))
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "a length of at least",
    "maxLength": "a length of at most",
    "minItems": "a length of at least",
    "maxItems": "a length of at most",
}


def parse_json(data: bytes, what: str) -> "Any":
    """The document in `data`, as strict as RFC 8259. Raises InvalidError that names `what`."""
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidError(f"{what} is not acceptable JSON: it is nested too deeply") from None
    except ValueError as error:
        raise InvalidError(f"{what} is not JSON: {error}") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def check(kind: str, document: "Any", what: str) -> None:
    """Raise InvalidError unless `document` is a valid `kind` (one of KINDS); the message names `what` and the JSON path."""
    found = violations(kind, document)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise InvalidError(f"{what} is not a valid {kind.replace('-', ' ')}: {found[0]}{more}")


def violations(kind: str, document: "Any") -> "list[str]":
    """What is wrong with `document`, each as "JSON path: expected ...", in the order of the document; at most 20."""
    found: dict[str, None] = {}
    try:
        for error in _validator(kind).iter_errors(document):
            for leaf in _leaves(error):
                found[f"{_short(leaf.json_path)}: {_expectation(leaf)}"] = None
            if len(found) >= _MAXIMUM_REPORTED:
                break
    except RecursionError:
        return ["$: nested too deeply"]
    return list(found)[:_MAXIMUM_REPORTED]


def _validator(kind: str) -> "Validator":
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    def retrieve(uri: str) -> "Resource[Any]":
        return Resource.from_contents(load_schema(uri.rpartition(":")[2]))

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg] # attrs alias unknown to mypy
    return Draft202012Validator(load_schema(kind), registry=registry)


def load_schema(kind: str) -> "dict[str, Any]":
    """The schema of one of KINDS."""
    # Beside the package's modules in a wheel; in a checkout a symlink leads there.
    path = os.path.join(os.path.dirname(os.path.dirname(__file__)), "schemas", f"{kind}.json")
    with open(path, "rb") as file:
        schema: dict[str, Any] = json.load(file)
    return schema


def _leaves(error: "ValidationError") -> "list[ValidationError]":
    if error.validator not in _ALTERNATIVES or not error.context:
        return [error]
    # An alternative of which more than the type is wrong is the one that was meant.
    meant = [inner for inner in error.context if inner.path or inner.validator not in _OTHER_KIND]
    return [leaf for inner in meant for leaf in _leaves(inner)] or [error]


def _expectation(error: "ValidationError") -> str:
    value: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    title = str(schema.get("title", ""))
    if error.validator == "required":
        missing = [key for key in value if key not in instance]
        return f"expected the key{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}"
    if error.validator == "dependentRequired":
        return f"expected keys that belong together: {error.message}"
    return f"expected {_wanted(str(error.validator), value, title, error)}, got {_shown(instance)}"


def _wanted(validator: str, value: "Any", title: str, error: "ValidationError") -> str:
    if validator == "const":
        return json.dumps(value)
    if validator == "enum":
        return f"one of {', '.join(json.dumps(item) for item in value)}"
    if title:
        return title
    if validator == "type":
        return value if isinstance(value, str) else " or ".join(value)
    if validator in _ALTERNATIVES:
        return (
            " or ".join(_title(inner.schema) for inner in error.context or () if _title(inner.schema))
            or "another value"
        )
    return f"{_BOUNDS[validator]} {value}" if validator in _BOUNDS else f"another value ({validator})"


def _title(schema: "Any") -> str:
    return str(schema.get("title") or schema.get("type") or "")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _short(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:197]}..."
