"""`ocirun inspect`: show all that is known of containers, images and volumes."""

from ocirun.cli.options import Option, Verb
from ocirun.errors import NotFoundError, UnsupportedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

FORMAT = Option("format", "string", "json, or a Go template", short="f")
SIZE = Option("size", "bool", "Show the size of what a container wrote", short="s")

VERB = Verb(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    minimum=1,
    statuses=(64,),
    options=(FORMAT, SIZE, Option("type", "string", "Look only for a container, an image or a volume")),
)

# In the order in which a name is looked up.
_TYPES = ("container", "image", "volume")
_LATER = frozenset(("config", "network", "node", "plugin", "secret", "service", "task"))


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the documents of all names that are found; the others are one line each, and 1 is the status."""
    kind = flags.text("type")
    if kind in _LATER:
        raise UnsupportedError(f"--type {kind} is not supported yet", f"types are {', '.join(_TYPES)}")
    if kind and kind not in _TYPES:
        raise UsageError(f'unknown type: "{kind}": must be one of ' + ", ".join(f'"{name}"' for name in _TYPES))
    kinds = (kind,) if kind else _TYPES
    return inspect(engine, kinds, arguments, flags.text("format"), size=flags.boolean("size"))


def inspect(engine: "Engine", kinds: "tuple[str, ...]", names: "list[str]", wanted: str, *, size: bool = False) -> int:
    """Print what `names` are, each the first of `kinds` that it fits. Raises InvalidError for the template `wanted`."""
    from ocirun.cli.each import complain
    from ocirun.cli.listing import print_documents

    failures: list[NotFoundError] = []
    print_documents(_documents(engine, kinds, names, size=size, failures=failures), wanted)
    for failure in failures:
        complain(engine, failure)
    return 1 if failures else 0


def _documents(
    engine: "Engine", kinds: "tuple[str, ...]", names: "list[str]", *, size: bool, failures: "list[NotFoundError]"
) -> "Iterator[Any]":
    for name in names:
        for kind in kinds:
            try:
                document = _document(engine, kind, name, size=size)
            except NotFoundError as error:
                missing = error
                continue
            yield document
            break
        else:
            failures.append(missing if len(kinds) == 1 else NotFoundError(f"Error: No such object: {name}"))


def _document(engine: "Engine", kind: str, name: str, *, size: bool) -> "Any":
    if kind == "container":
        from ocirun.engine.inspect import container_document
        from ocirun.engine.records import find_container

        return container_document(engine, find_container(engine, name), size=size)
    if kind == "image":
        return _image_document(engine, name)
    from ocirun.engine.volumes import inspect_volume

    return inspect_volume(engine, name)


def _image_document(engine: "Engine", name: str) -> "Any":
    from ocirun.engine.inspect_image import image_document
    from ocirun.oci.reference import InvalidReferenceError

    try:
        return image_document(engine, name)
    except InvalidReferenceError as error:
        # Nothing can have such a name; that is no reason not to show the others.
        raise NotFoundError(error.what, error.hint) from error
