"""`ocirun version`: show the versions of ocirun and of what it uses."""

from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    statuses=(64,),
    options=(Option("format", "string", "json, or a Go template", short="f"),),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the client and the server, which are one program here, as docker shows them."""
    from ocirun.cli.listing import print_document
    from ocirun.cli.output import write
    from ocirun.engine.version import version_document

    del arguments
    document = version_document(engine)
    wanted = flags.text("format")
    if wanted:
        print_document(document, wanted)
        return 0
    client, server = document["Client"], document["Server"]
    rows = [("Version", client["Version"]), ("Python version", client["PythonVersion"])]
    rows += [("OS/Arch", f"{client['Os']}/{client['Arch']}"), ("Context", client["Context"])]
    write(f"Client: {client['Platform']['Name']}\n{_rows(rows, 1)}\n")
    write(f"Server: {server['Platform']['Name']}\n")
    for component in server["Components"]:
        details: dict[str, Any] = component.get("Details") or {}
        lines = [("Version", component["Version"]), *((name, str(value)) for name, value in details.items())]
        write(f" {component['Name']}:\n{_rows(lines, 2)}")
    return 0


def _rows(rows: "list[tuple[str, str]]", depth: int) -> str:
    return "".join(f"{' ' * depth}{(name + ':').ljust(18)} {value}\n" for name, value in rows)
