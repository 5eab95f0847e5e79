"""Listings: rows through `--format`, which is a table, a table with a template of one's own, JSON lines, or a template."""

from ocirun.cli.go_values import GoMap, Row
from ocirun.cli.output import write
from ocirun.errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ocirun.cli.templates import Template

JSON = "{{json .}}"


class Columns:
    """What a listing can show: per field its header and its function of the listed object.

    `methods` are fields with an argument. `type_name` is docker's name of a line's type, for messages.
    """

    __slots__ = ("fields", "headers", "methods", "type_name")

    def __init__(
        self,
        type_name: str,
        columns: "dict[str, tuple[str, Callable[[Any], Any]]]",
        methods: "dict[str, Callable[[Any, str], Any]] | None" = None,
    ) -> None:
        self.type_name = type_name
        self.headers = {name: header for name, (header, _) in columns.items()}
        self.fields = {name: function for name, (_, function) in columns.items()}
        self.methods = methods or {}


def print_rows(subjects: "Iterable[Any]", columns: Columns, wanted: str, table: str) -> None:
    """Print one line for each of `subjects`.

    `wanted` is the text of --format; "" and "table" stand for `table` (a template with tabs), "json" for one object a line,
    "table TEMPLATE" for an aligned one with headers. Raises TemplateError.
    """
    aligned = wanted in ("", "table") or wanted.startswith("table ")
    text = table if wanted in ("", "table") else wanted.removeprefix("table") if aligned else wanted
    text = JSON if wanted == "json" else text.strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    template = parse_template(text, "failed to parse template")
    lines = []
    for subject in subjects:
        row = Row(subject, columns.fields, columns.methods, columns.type_name)
        lines.append(apply(template, row) + "\n")
    if aligned:
        from ocirun.cli.tables import align

        write(align(_headers(template, columns) + "\n" + "".join(lines)), controls=has_controls(text))
    else:
        write("".join(lines), controls=has_controls(text))


def check_fields(columns: Columns, wanted: str) -> None:
    """Raise InvalidError when the template `wanted` asks for what `columns` do not have, be there lines or not."""
    template = parse_template(wanted, "failed to parse template")
    fields = {name: _constant(header) for name, header in columns.headers.items()}
    apply(template, Row(GoMap(), fields, dict.fromkeys(columns.methods, _label_header), columns.type_name))


def has_controls(text: str) -> bool:
    """Whether the user's own template colours what it prints: then all control characters may pass."""
    return "\x1b" in text or "\\x1b" in text or "\\033" in text or "\\u001b" in text


def _headers(template: "Template", columns: Columns) -> str:
    from ocirun.cli.template_functions import HEADER_FUNCTIONS

    fields = {name: _constant(header) for name, header in columns.headers.items()}
    methods = dict.fromkeys(columns.methods, _label_header)
    return template.execute(Row(GoMap(), fields, methods, columns.type_name), HEADER_FUNCTIONS)


def _constant(header: str) -> "Callable[[Any], str]":
    return lambda _: header


def _label_header(_: "Any", name: str) -> str:
    """The head of a label's column: the last part of its name, its signs turned into blanks, as docker has it."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


class TemplateTextError(InvalidError):
    """The text of --format is no template; docker's inspect leaves with 64 then."""

    exit_code = 64


def parse_template(text: str, context: str = "template parsing error") -> "Template":
    """The template in `text`. Raises TemplateTextError that begins with `context`."""
    from ocirun.cli.template_lexer import TemplateError
    from ocirun.cli.templates import Template

    try:
        return Template(text)
    except TemplateError as error:
        raise TemplateTextError(f"{context}: {error}", "--format takes a Go template or 'json'") from None


def apply(template: "Template", value: "Any", context: str = "failed to execute template") -> str:
    """What `template` makes of `value`. Raises InvalidError that begins with `context`."""
    from ocirun.cli.template_lexer import TemplateError

    try:
        return template.execute(value)
    except TemplateError as error:
        raise InvalidError(f"{context}: {error}") from None


def print_documents(documents: "Iterable[Any]", wanted: str) -> None:
    """Print JSON documents as inspect does: all in one list ("json": in one line), or each through the template `wanted`.

    Raises InvalidError for the template; the documents before the one it does not fit have been printed.
    """
    from ocirun.cli.go_text import go_json
    from ocirun.cli.go_values import plain, typed

    if wanted in ("", "json"):
        values = [typed(document) for document in documents]
        write(go_json(values, indent=None if wanted else 4, default=plain) + "\n")
        return
    template = parse_template(wanted)
    printed = False
    try:
        for document in documents:
            write(apply(template, typed(document), "template parsing error") + "\n", controls=has_controls(wanted))
            printed = True
    finally:
        if not printed:
            write("\n")


def print_document(document: "Any", wanted: str) -> None:
    """Print one document through the template `wanted` ("json": as one line). Raises InvalidError."""
    from ocirun.cli.go_values import typed

    template = parse_template(JSON if wanted == "json" else wanted)
    write(apply(template, typed(document)) + "\n", controls=has_controls(wanted))
