"""Text of images and containers that would move the cursor, change the title, or forge lines of a table."""

import io
import json
import tarfile
from collections.abc import Callable

import pytest

from tests.system.harness import BUSYBOX, Ocirun, make_tar

HOSTILE = "x\x1b[2J\x1b]0;title\x07\x9b31m\r\u202eevil"


def screen_of(ocirun: Ocirun, *words: str) -> bytes:
    """All that a command writes to a terminal."""
    terminal = ocirun.terminal(*words, columns=200)
    terminal.expect(r"evil|\}")
    terminal.wait()
    return terminal.seen


@pytest.fixture
def hostile(ocirun: Ocirun, import_tar: Callable[..., str], name: str) -> str:
    """A container whose labels, command and environment are hostile."""
    image = import_tar({}, "-c", "LABEL " + json.dumps(HOSTILE, ensure_ascii=False) + "=evil", "-m", HOSTILE)
    ocirun("create", "--name", name, "-l", f"evil={HOSTILE}", "-e", f"EVIL={HOSTILE}", image, "echo", HOSTILE)
    return image


@pytest.mark.parametrize(
    "words",
    [
        ("ps", "-a", "--no-trunc"),
        ("ps", "-a", "--format", "{{.Command}} {{.Labels}}"),
        ("inspect", "NAME"),
        ("inspect", "--format", "{{.Config.Labels}} {{.Config.Env}} {{.Args}} evil", "NAME"),
        ("inspect", "IMAGE"),
        (
            "inspect",
            "--format",
            "{{range $key, $value := .Config.Labels}}{{$key}}{{$value}}{{end}} {{.Comment}}",
            "IMAGE",
        ),
        ("history", "--no-trunc", "IMAGE"),
        ("images", "--format", "{{.Repository}} evil"),
        ("run", "--rm", "-w", f"/{HOSTILE}/..", BUSYBOX, f"/evil{HOSTILE}"),
        ("run", "--rm", f"image{HOSTILE}", "evil"),
        ("exec", f"name{HOSTILE}", "evil"),
        ("diff", f"name{HOSTILE}"),
    ],
    ids=lambda words: " ".join(words)[:30].encode("ascii", "replace").decode(),
)
def test_no_control_character_reaches_the_terminal(
    ocirun: Ocirun, hostile: str, name: str, words: tuple[str, ...]
) -> None:
    command = [word.replace("NAME", name).replace("IMAGE", hostile) for word in words]
    terminal = ocirun.terminal(*command, columns=300)
    seen = b""
    while terminal._read(30):
        continue
    seen = terminal.seen
    terminal.wait()
    assert b"evil" in seen, seen
    for sequence in (b"\x1b", b"\x07", b"\xc2\x9b", "\u202e".encode()):
        assert sequence not in seen, seen
    assert b"\r" not in seen.replace(b"\r\n", b""), seen


def test_templates_of_the_user_may_colour(ocirun: Ocirun, hostile: str, name: str) -> None:
    terminal = ocirun.terminal("ps", "-a", "--format", "\x1b[1m{{.Names}}")
    terminal.expect(r"\x1b\[1m" + name)
    terminal.wait()


def test_names_in_archives_are_shown_harmlessly(ocirun: Ocirun) -> None:
    for data in (make_tar([("manifest.json", b"[]"), (f"../{HOSTILE}", b"")]), make_tar([(HOSTILE, b"")])):
        result = ocirun("load", input=data, status=None)
        assert result.status != 0
        assert "\x1b" not in result.stderr
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        header = tarfile.TarInfo(f"../../{HOSTILE}")
        archive.addfile(header)
    result = ocirun("import", "-", "evil", input=stream.getvalue(), status=None)
    assert result.status != 0
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("bad", ["a\nb", "../x", "a b", "-x", ".hidden", "a/b", "é", "x" * 300, "a\x1b[2J"])
def test_names_of_containers_and_volumes(ocirun: Ocirun, bad: str) -> None:
    for words in (
        ("create", "--name", bad, BUSYBOX),
        ("volume", "create", f"--name={bad}"),
        ("volume", "create", "--", bad),
    ):
        assert ocirun(*words, status=None).status != 0


@pytest.mark.parametrize(
    "flags",
    [
        ("--hostname", "a\nb"),
        ("--hostname", "x" * 65),
        ("--add-host", "evil\n127.0.0.1 good:10.0.0.1"),
        ("--hostname", "a b\t127.0.0.1"),
    ],
)
def test_host_names_forge_no_lines(ocirun: Ocirun, flags: tuple[str, str]) -> None:
    result = ocirun("run", "--rm", *flags, BUSYBOX, "cat", "/etc/hosts", status=None)
    if result.status == 0:
        assert not [line for line in result.lines if line.startswith(("127.0.0.1 good", "b"))], result
