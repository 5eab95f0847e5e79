"""`ocirun info`: show this machine and this store as ocirun sees them."""

from ocirun.cli.formats import binary_size
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine

VERB = Verb(
    "[OPTIONS]",
    maximum=0,
    aliases=("system info", "info"),
    statuses=(64,),
    options=(Option("format", "string", "json, or a Go template", short="f"),),
)

_LINES = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
)
_MACHINE = (
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
)


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the document as text in the order of docker's, or through --format."""
    from ocirun.cli.listing import parse_template, print_document
    from ocirun.cli.output import write, write_error
    from ocirun.engine.info import info_document

    del arguments
    wanted = flags.text("format")
    if wanted and wanted != "json":
        parse_template(wanted)
    document = info_document(engine)
    if wanted:
        print_document(document, wanted)
        return 0
    write(_text(document))
    for warning in document.get("Warnings") or []:
        write_error(f"WARNING: {warning}\n")
    return 0


def _text(document: "dict[str, Any]") -> str:
    lines = [f" {name}: {document[key]}" for name, key in _LINES]
    lines += [f"  {name}: {value}" for name, value in document.get("DriverStatus") or []]
    lines.append(f" Logging Driver: {document['LoggingDriver']}")
    lines.append(f" Cgroup Driver: {document['CgroupDriver']}")
    lines.append(f" Cgroup Version: {document['CgroupVersion']}")
    lines.append(" Plugins:")
    for kind in ("Volume", "Network", "Log"):
        lines.append(f"  {kind}: {' '.join((document.get('Plugins') or {}).get(kind) or [])}")
    lines.append(f" Runtimes: {' '.join(document['Runtimes'])}")
    lines.append(f" Default Runtime: {document['DefaultRuntime']}")
    lines.append(f" Init Binary: {document['InitBinary']}")
    lines.append(" Security Options:")
    lines += _security(document.get("SecurityOptions") or [])
    lines += [f" {name}: {document[key]}" for name, key in _MACHINE]
    lines.append(f" Total Memory: {binary_size(document['MemTotal'])}")
    lines.append(f" Name: {document['Name']}")
    lines.append(f" ID: {document['ID']}")
    lines.append(f" Docker Root Dir: {document['DockerRootDir']}")
    lines += _own(document.get("Ocirun") or {})
    return "Server:\n" + "".join(f"{line}\n" for line in lines)


def _security(options: "list[str]") -> "list[str]":
    """The name of each option, its other words in lines below it, as docker shows them."""
    lines = []
    for option in options:
        for word in option.split(","):
            key, _, value = word.partition("=")
            lines.append(f"  {value}" if key == "name" else f"   {key.title()}: {value}")
    return lines


def _own(document: "dict[str, Any]") -> "list[str]":
    """What only ocirun has: how ids are mapped and why, where it runs, what the machine gives it."""
    lines = [f" Run Root: {document.get('RunRoot', '')}", f" Id Mode: {document.get('IdMode', '')}"]
    for name, key in (("Reason", "IdModeReason"), ("Way Out", "IdModeRemedy")):
        if document.get(key):
            lines.append(f"  {name}: {document[key]}")
    controllers = document.get("CgroupControllers")
    lines.append(f" Cgroup: {document.get('Cgroup', '')}")
    if controllers:
        lines.append(f"  Controllers: {' '.join(controllers) if isinstance(controllers, list) else controllers}")
    lines.append(f"  Writable: {str(document.get('CgroupWritable', False)).lower()}")
    lines.append(f" Libseccomp: {document.get('Libseccomp') or 'none'}")
    return lines
