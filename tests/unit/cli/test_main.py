"""The entry: which module runs, what is printed, and with which status it ends."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ocirun import __version__
from ocirun.cli import failures
from ocirun.cli.commands import COMMANDS, GROUPS, LATER, SYNONYMS
from ocirun.cli.main import main
from ocirun.errors import CommandNotFoundError, NotFoundError, OcirunError


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    return ["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run")]


def command(*words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    call = [sys.executable, "-m", "ocirun", *words]
    return subprocess.run(call, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("words", [["-v"], ["--version"]])
def test_version(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capfd.readouterr().out == f"ocirun version {__version__}\n"


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_help_names_every_command(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    text = capfd.readouterr().out
    assert text.startswith("Usage:  ocirun [OPTIONS] COMMAND")
    for name, (_, sentence) in COMMANDS.items():
        assert f"  {name} " in text
        assert sentence in text
    for name in GROUPS:
        assert f"  {name} " in text


def every_verb() -> list[list[str]]:
    verbs = [[name] for name in COMMANDS]
    verbs += [[group, member] for group, (_, members) in GROUPS.items() for member in members]
    return verbs + [[group, name] for group, names in SYNONYMS.items() for name in names]


@pytest.mark.parametrize("words", every_verb(), ids=" ".join)
def test_every_verb_has_help(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    text = capfd.readouterr().out
    name = SYNONYMS.get(words[0], {}).get(words[-1], words[-1])
    assert text.startswith(f"Usage:  ocirun {' '.join([*words[:-1], name])}")
    assert main(["help", *words]) == 0
    assert capfd.readouterr().out == text
    assert max(map(len, text.splitlines())) <= 132


@pytest.mark.parametrize("group", GROUPS)
def test_group_alone_shows_its_members(group: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([group]) == 0
    text = capfd.readouterr().out
    for member in GROUPS[group][1]:
        assert f"  {member} " in text


@pytest.mark.parametrize(
    "words, status, line",
    [
        (["foo"], 1, "ocirun: unknown command: ocirun foo (see 'ocirun --help')"),
        (["inspekt"], 1, "ocirun: unknown command: ocirun inspekt (did you mean 'ocirun inspect'?)"),
        (["--foo"], 125, "ocirun: unknown flag: --foo (see 'ocirun --help')"),
        (["container", "foo"], 1, "ocirun: unknown command: ocirun container foo (see 'ocirun container --help')"),
        (["container", "--foo"], 125, "ocirun: unknown flag: --foo (see 'ocirun container --help')"),
        (
            ["-H", "x", "ps"],
            125,
            "ocirun: --host is not supported: there is no daemon to connect to (see 'ocirun --help')",
        ),
        (["pull", "x"], 125, "ocirun: 'ocirun pull' is not supported yet (see 'ocirun --help' for what is)"),
        (["ps", "x"], 1, "ocirun: 'ocirun ps' accepts no arguments (see 'ocirun ps --help')"),
        (["run"], 1, "ocirun: 'ocirun run' requires at least 1 argument (see 'ocirun run --help')"),
        (["exec", "a"], 1, "ocirun: 'ocirun exec' requires at least 2 arguments (see 'ocirun exec --help')"),
        (["run", "--foo", "x"], 125, "ocirun: unknown flag: --foo (see 'ocirun run --help')"),
        (["help", "foo"], 1, "ocirun: unknown command: ocirun foo (see 'ocirun --help')"),
        (["foo\x1b[2J"], 1, "ocirun: unknown command: ocirun \"foo\\x1b[2J\" (see 'ocirun --help')"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words(words: list[str], status: int, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == status
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err == f"{line}\n"


def test_what_docker_has_is_known() -> None:
    docker = """run exec ps build pull push images login logout search version info attach commit cp create diff events export history
    import inspect kill load logs pause port rename restart rm rmi save start stats stop tag top unpause update wait""".split()
    assert set(docker) <= set(COMMANDS) | LATER


def test_missing_container(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    for verb in ("stop", "kill", "wait", "rm", "start", "diff", "logs", "attach"):
        assert main([*place, verb, "nosuch"]) == 1
        assert capfd.readouterr().err == "ocirun: No such container: nosuch\n"


def test_rm_force_forgives_a_missing_container(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, "rm", "-f", "nosuch"]) == 0
    assert capfd.readouterr().err == "ocirun: No such container: nosuch\n"


def test_each_name_is_tried(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, "stop", "one", "two"]) == 1
    assert capfd.readouterr().err == "ocirun: No such container: one\nocirun: No such container: two\n"


def test_conflicting_options_of_run(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, "run", "-d", "-a", "stdout", "x"]) == 1
    assert capfd.readouterr().err == "ocirun: conflicting options: cannot specify both --attach and --detach\n"


def test_terminal_is_wanted_and_there_is_none(place: list[str]) -> None:
    result = command(*place, "run", "-it", "x", stdin=subprocess.DEVNULL)
    assert result.returncode == 1
    assert result.stderr == "ocirun: the input device is not a TTY\n"


def test_old_id_file_is_kept(place: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "id"
    path.write_text("old")
    assert main([*place, "run", "--cidfile", str(path), "x"]) == 125
    assert "container ID file found, make sure the other container isn't running or delete" in capfd.readouterr().err
    assert path.read_text() == "old"


def test_id_file_goes_when_there_is_no_container(
    place: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "id"
    assert main([*place, "run", "--cidfile", str(path), "nosuch"]) == 125
    line = capfd.readouterr().err
    assert line.startswith("ocirun: Unable to find image 'nosuch:latest' locally (pulling is not supported yet: ")
    assert line.count("\n") == 1
    assert not path.exists()


def test_missing_image_that_must_not_be_pulled(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, "run", "--pull=never", "nosuch"]) == 125
    assert capfd.readouterr().err == "ocirun: No such image: nosuch:latest\n"


@pytest.mark.parametrize(
    "words, line",
    [
        (["--pull", "foo"], 'ocirun: invalid pull option: \'foo\': must be one of "always", "missing" or "never"'),
        (["--security-opt", "foo"], 'ocirun: Invalid --security-opt: "foo" (it is name=value, or no-new-privileges)'),
        (["--network", "a", "--network", "b"], "ocirun: a container has one network: a, b (give --network once)"),
        (["--env-file", "/none/x"], "ocirun: open /none/x: no such file or directory"),
        (["-v", ":"], "ocirun: invalid volume specification: ':' (it is [SOURCE:]TARGET[:MODE])"),
    ],
)
def test_wrong_options_of_run(words: list[str], line: str, place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, "run", *words, "x"]) == 125
    assert capfd.readouterr().err == f"{line}\n"


def test_wrong_option_of_create_is_125_and_other_errors_are_1(
    place: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*place, "create", "--security-opt", "foo", "x"]) == 125
    assert main([*place, "create", "nosuch"]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_root_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OCIRUN_ROOT", str(tmp_path / "here"))
    monkeypatch.setenv("OCIRUN_RUNROOT", str(tmp_path / "run"))
    assert main(["volume", "create", "data"]) == 0
    assert (tmp_path / "here" / "volumes" / "data" / "_data").is_dir()
    assert main(["--root", str(tmp_path / "there"), "volume", "ls", "-q"]) == 0
    assert capfd.readouterr().out == "data\n"


@pytest.mark.parametrize(
    "error, statuses, status, line",
    [
        (OcirunError("it failed", "do this"), None, 125, "ocirun: it failed (do this)"),
        (NotFoundError("no x"), (), 1, "ocirun: no x"),
        (NotFoundError("no x"), (125, 126, 127), 125, "ocirun: no x"),
        (CommandNotFoundError("no sh"), (126, 127), 127, "ocirun: no sh"),
        (CommandNotFoundError("no sh"), (), 1, "ocirun: no sh"),
        (OcirunError("two\nlines\x1b[2J"), (), 1, "ocirun: two; lines?[2J"),
        (FileNotFoundError(2, "No such file or directory", "/x"), (), 1, "ocirun: /x: No such file or directory"),
        (MemoryError(), (125,), 125, "ocirun: out of memory (free some, or ask for less at a time)"),
        (RecursionError(), (), 1, "ocirun: the input is nested too deeply"),
    ],
)
def test_error_becomes_one_line_and_a_status(
    error: Exception, statuses: tuple[int, ...] | None, status: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert failures.report(error, debug=False, path="ocirun x", statuses=statuses) == status
    assert capfd.readouterr().err == f"{line}\n"


def test_our_own_mistake_is_one_line_that_asks_for_a_report(capfd: pytest.CaptureFixture[str]) -> None:
    assert failures.report(KeyError("x"), debug=False, path="ocirun ps", statuses=()) == 1
    line = capfd.readouterr().err
    assert line.startswith("ocirun: unexpected KeyError in 'ocirun ps': 'x' (this is a bug of ocirun: please report it")
    assert line.count("\n") == 1


def test_debug_shows_the_traceback(place: list[str]) -> None:
    result = command("--debug", *place, "rm", "nosuch")
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("ocirun: No such container: nosuch\n")
    assert "Traceback" not in command(*place, "rm", "nosuch").stderr


def test_interrupt_is_130(capfd: pytest.CaptureFixture[str]) -> None:
    assert failures.report(KeyboardInterrupt(), debug=False, path="ocirun logs", statuses=()) == 130
    assert capfd.readouterr().err == ""


def test_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    call = [sys.executable, "-m", "ocirun", "--help"]
    try:
        result = subprocess.run(call, stdout=writing, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(writing)
    assert result.stderr == b""
    assert result.returncode == 141


def test_output_that_cannot_be_written() -> None:
    with open("/dev/full", "wb") as full:
        call = [sys.executable, "-m", "ocirun", "--version"]
        result = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode != 0
    assert result.stderr == (
        "ocirun: write standard output: No space left on device (free space there, or send the output elsewhere)\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--root", "rel", "ps"],
        ["--runroot=rel", "ps"],
        ["run", "-v", "./rel:/x", "host"],
        ["run", "--mount", "type=bind,src=./rel,dst=/x", "host"],
    ],
)
def test_current_directory_that_has_been_removed(words: list[str], place: list[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$PWD" && exec "$@"'
    call = ["sh", "-c", script, "sh", sys.executable, "-m", "ocirun", *place, *words]
    result = subprocess.run(call, cwd=gone, capture_output=True, text=True, check=False)
    assert result.returncode == 125
    name = "rel" if "root" in words[0] else "./rel"
    assert result.stderr == (
        f"ocirun: {name}: the current directory has been removed (change to another one, or give an absolute path)\n"
    )


def test_limit_of_open_files_names_the_way_out(capfd: pytest.CaptureFixture[str]) -> None:
    error = OSError(errno.EMFILE, "Too many open files", "/some/file")
    assert failures.report(error, debug=False, path="ocirun run", statuses=None) == 125
    assert capfd.readouterr().err == (
        "ocirun: /some/file: Too many open files (raise the limit of open files: ulimit -n 1024)\n"
    )


def test_umask_that_forbids_everything(place: list[str], tmp_path: Path) -> None:
    """Root may write where it may not, so the modes are looked at."""
    call = ["sh", "-c", 'umask 777; exec "$@"', "sh", sys.executable, "-m", "ocirun", *place, "volume", "create", "vol"]
    result = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    made = [path for path in (tmp_path / "root").rglob("*") if not path.is_symlink()]
    assert len(made) > 5
    assert [path for path in made if path.stat().st_mode & 0o600 != 0o600] == []


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams(closed: str, place: list[str]) -> None:
    call = f'"$@" {closed}'
    words = ["sh", "-c", call, "sh", sys.executable, "-m", "ocirun", *place, "volume", "ls"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_names_that_are_no_utf8_pass_through(place: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "ocirun", *place, "rm", b"\xff\xfe"], capture_output=True, check=False
    )
    assert result.stderr == b"ocirun: No such container: \xff\xfe\n"


@pytest.mark.parametrize("verb", ["attach", "exec", "run", "start"])
def test_wrong_detach_keys_are_told_before_anything_starts(
    verb: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--root",
        str(tmp_path / "root"),
        "--runroot",
        str(tmp_path / "run"),
        verb,
        "--detach-keys",
        "foo",
        "a",
        "b",
    ]
    assert main(words) == 125
    assert capfd.readouterr().err.startswith("ocirun: invalid detach keys (foo): unknown character 'foo'")
