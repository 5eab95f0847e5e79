"""Archives made by hand, and the extractor of the C core run on them as whoever runs the tests (owners squashed)."""

import io
import os
import tarfile
import threading
from pathlib import Path

from ocirun import native
from ocirun.runtime.steps import Plan, Step

BLOCK = 512
SQUASH = 1
SKIP_DEVICES = 2
# The first descriptor that a step of a task may name.
DESCRIPTOR = 5


def run_step(step: Step, descriptors: "dict[int, int] | None" = None) -> bytes:
    """Run one step in a task without namespaces."""
    plan = Plan([step])
    return native.run_task(plan.encode(), descriptors or {}, lambda number: plan.steps[number].describe())


def untar(archive: bytes, target: Path, *lowers: Path, flags: int = SQUASH | SKIP_DEVICES) -> dict[str, int]:
    """Extract `archive` into `target` and return what was counted. Raises StepError."""
    target.mkdir(exist_ok=True)
    step = Step("untar", DESCRIPTOR, flags, 0, str(target), *map(str, lowers))
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb") as pipe:
            try:
                pipe.write(archive)
            except BrokenPipeError:
                pass

    thread = threading.Thread(target=write)
    thread.start()
    try:
        report = run_step(step, {DESCRIPTOR: ours})
    finally:
        os.close(ours)
        thread.join()
    return {name: int(number) for name, number in (line.split() for line in report.decode().splitlines())}


def extract(descriptor: int, target: str, lowers: list[str]) -> tuple[int, int]:
    """The extractor as unpack_layer wants it."""
    step = Step("untar", DESCRIPTOR, SQUASH | SKIP_DEVICES, 0, target, *lowers)
    words = run_step(step, {DESCRIPTOR: descriptor}).split()
    return int(words[1]), int(words[3])


def member(
    name: str,
    content: bytes = b"",
    *,
    type_: bytes = tarfile.REGTYPE,
    link: str = "",
    mode: int = 0o644,
    mtime: float = 1_600_000_000,
    pax: "dict[str, str] | None" = None,
    device: tuple[int, int] = (0, 0),
    owner: tuple[int, int] = (0, 0),
) -> tuple[tarfile.TarInfo, bytes]:
    """One member for `archive`."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime, info.size = type_, link, mode, mtime, len(content)
    info.devmajor, info.devminor = device
    info.uid, info.gid = owner
    info.pax_headers = pax or {}
    return info, content


def directory(name: str, mode: int = 0o755, *, mtime: float = 1_600_000_000) -> tuple[tarfile.TarInfo, bytes]:
    """A directory for `archive`."""
    return member(name, type_=tarfile.DIRTYPE, mode=mode, mtime=mtime)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link for `archive`."""
    return member(name, type_=tarfile.SYMTYPE, link=target)


def hard_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A hard link for `archive`."""
    return member(name, type_=tarfile.LNKTYPE, link=target)


def archive(*members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.PAX_FORMAT) -> bytes:
    """The members as a tar; names stay as they are, however wrong."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
        for info, content in members:
            # TarFile.gettarinfo would clean the name; addfile does not.
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def raw_header(
    name: bytes, *, type_: bytes = b"0", link: bytes = b"", magic: bytes = b"ustar\x0000", **fields: bytes
) -> bytes:
    """One header block, field by field as given, with a right checksum."""
    block = bytearray(BLOCK)
    places = {
        "mode": (100, b"0000644"),
        "uid": (108, b"0000000"),
        "gid": (116, b"0000000"),
        "size": (124, b"00000000000"),
        "mtime": (136, b"00000000000"),
    }
    block[0 : len(name)] = name
    for field, (place, default) in places.items():
        value = fields.get(field, default)
        block[place : place + len(value)] = value
    block[156:157] = type_
    block[157 : 157 + len(link)] = link
    block[257 : 257 + len(magic)] = magic
    rest = fields.get("rest", b"")
    block[345 : 345 + len(rest)] = rest
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    """The content, filled up to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def pax_header(records: bytes, type_: bytes = b"x") -> bytes:
    """An extended header with these bytes as its records."""
    return raw_header(b"PaxHeaders/x", type_=type_, size=b"%011o" % len(records)) + padded(records)


def record(key: bytes, value: bytes) -> bytes:
    """One pax record, with its length right."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


END = bytes(2 * BLOCK)
