"""`ocirun images`: list images."""

from ocirun.cli.formats import ago, human_size, local_time, short_id
from ocirun.cli.listing import Columns, print_rows
from ocirun.cli.options import Option, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.cli.options import Flags
    from ocirun.engine.context import Engine
    from ocirun.engine.list_images import ListedImage

VERB = Verb(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    maximum=1,
    aliases=("image ls", "image list", "images"),
    options=(
        Option("all", "bool", "Show all images (ocirun keeps no intermediate ones that this would add)", short="a"),
        Option("digests", "bool", "Show the digests of manifests"),
        Option("filter", "filter", "Show only images that fit, such as dangling=true or reference=debian*", short="f"),
        Option("format", "string", "table, 'table TEMPLATE', json, raw, or a Go template"),
        Option("no-trunc", "bool", "Do not shorten ids"),
        Option("quiet", "bool", "Show only the ids", short="q"),
    ),
)

_NONE = "<none>"
_TABLE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}"
_DIGESTS = _TABLE.replace("{{.ID}}", "{{.Digest}}\t{{.ID}}")
_RAW = "repository: {{.Repository}}\ntag: {{.Tag}}\n%simage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n"


class Line:
    """One line of the list: an image under one of its names."""

    __slots__ = ("digest", "image", "repository", "tag", "truncated")

    def __init__(self, image: "ListedImage", repository: str, tag: str, digest: str, *, truncated: bool) -> None:
        self.image = image
        self.repository = repository
        self.tag = tag
        self.digest = digest
        self.truncated = truncated


def execute(engine: "Engine", flags: "Flags", arguments: "list[str]") -> int:
    """Print the images that the options select, a line for each name."""
    from ocirun.engine.list_images import list_images

    filters: dict[str, list[str]] = {}
    for text in flags.values("filter"):
        name, _, value = text.partition("=")
        filters.setdefault(name.strip().lower(), []).append(value.strip())
    if arguments:
        filters.setdefault("reference", []).append(arguments[0])
    wanted, truncated = flags.text("format"), not flags.boolean("no-trunc")
    digests = flags.boolean("digests") or "{{.Digest}}" in wanted
    lines = [
        line for image in list_images(engine, filters) for line in _lines(image, digests=digests, truncated=truncated)
    ]
    table = _DIGESTS if flags.boolean("digests") else _TABLE
    if flags.boolean("quiet") and wanted in ("", "table", "raw"):
        # Other templates win over --quiet here, unlike with ps.
        wanted = "image_id: {{.ID}}" if wanted == "raw" else "{{.ID}}"
    elif wanted == "raw":
        wanted = _RAW % ("digest: {{.Digest}}\n" if flags.boolean("digests") else "")
    print_rows(lines, COLUMNS, wanted, table)
    return 0


def _lines(image: "ListedImage", *, digests: bool, truncated: bool) -> "list[Line]":
    digest = image.manifest_digest if digests else _NONE
    found = [Line(image, name.familiar_name, name.tag, digest, truncated=truncated) for name in image.names if name.tag]
    tagged = {line.repository for line in found}
    found.extend(
        Line(image, name.familiar_name, _NONE, name.digest if digests else _NONE, truncated=truncated)
        for name in image.names
        if name.digest and name.familiar_name not in tagged
    )
    if not found:
        found.append(Line(image, _NONE, _NONE, digest, truncated=truncated))
    return found


def _id(line: Line) -> str:
    return short_id(line.image.id) if line.truncated else line.image.id


# fmt: off
COLUMNS = Columns("*formatter.imageContext", {
    "Containers": ("CONTAINERS", lambda _: "N/A"),
    "CreatedAt": ("CREATED AT", lambda line: local_time(line.image.created)),
    "CreatedSince": ("CREATED", lambda line: ago(line.image.created)),
    "Digest": ("DIGEST", lambda line: line.digest),
    "ID": ("IMAGE ID", _id),
    "Repository": ("REPOSITORY", lambda line: line.repository),
    "SharedSize": ("SHARED SIZE", lambda _: "N/A"),
    "Size": ("SIZE", lambda line: human_size(line.image.size)),
    "Tag": ("TAG", lambda line: line.tag),
    "UniqueSize": ("UNIQUE SIZE", lambda _: "N/A"),
    # An old name, which docker 28 still knows; with one digit more, as ever.
    "VirtualSize": ("SIZE", lambda line: human_size(line.image.size, 4)),
})
# fmt: on
