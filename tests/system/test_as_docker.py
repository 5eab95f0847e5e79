"""What docker's users rely on and nobody writes down: exit codes, messages, and what happens when two do the same at once."""

import subprocess
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, COMMAND, Ocirun

OTHERS = 5


def together(ocirun: Ocirun, *commands: tuple[str, ...]) -> list[tuple[int, str]]:
    """The exit status and the errors of commands that run at the same time."""
    processes = [ocirun.start(*words) for words in commands]
    found = []
    for process in processes:
        _, errors = process.communicate(timeout=60)
        found.append((process.returncode, (errors or b"").decode()))
    return found


def shell(ocirun: Ocirun, script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command from a shell that has run `script` before."""
    call = ["sh", "-c", f'{script}; exec "$@"', "sh", *COMMAND, *words]
    return subprocess.run(call, env=ocirun.environment, capture_output=True, text=True, timeout=60, check=False)


def test_all_who_start_a_container_at_once_succeed(ocirun: Ocirun, name: str) -> None:
    ocirun("create", "--name", name, BUSYBOX, "sleep", "1000")
    assert together(ocirun, *[("start", name)] * OTHERS) == [(0, "")] * OTHERS
    assert ocirun("ps", "--format", "{{.Names}}").lines == [name]
    pid = ocirun("inspect", "--format", "{{.State.Pid}}", name).word
    ocirun("start", name)
    assert ocirun("inspect", "--format", "{{.State.Pid}}", name).word == pid


def test_start_while_the_last_run_ends(ocirun: Ocirun, name: str) -> None:
    """Its monitor still holds the lock then, and is waited for."""
    ocirun("create", "--name", name, BUSYBOX, "true")
    for _ in range(10):
        ocirun("start", name)
    ocirun("wait", name)


def test_removed_while_it_is_started(ocirun: Ocirun, name: str) -> None:
    for _ in range(5):
        ocirun("create", "--name", name, BUSYBOX, "sleep", "1000")
        started, removed = together(ocirun, ("start", name), ("rm", "-f", name))
        assert removed == (0, "")
        assert started[0] == 0 or "No such container" in started[1] or "start" in started[1], started
        assert ocirun("ps", "-aq").stdout == ""


@pytest.mark.parametrize(
    ("options", "command", "status", "words"),
    [
        ((), "nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ((), "/nosuch", 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        ((), "/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
        ((), "/etc", 126, 'exec: "/etc": '),
        (
            ("-w", "/missing"),
            "true",
            126,
            'chdir to cwd ("/missing") set in config.json failed: no such file or directory',
        ),
        (("-w", "/etc/passwd"), "true", 126, 'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory'),
        (("-w", "rel"), "true", 126, "Cwd must be an absolute path: rel"),
        (("-u", "nobody-there"), "true", 126, "unable to find user nobody-there: no matching entries in passwd file"),
        (("-u", "0:nobody-there"), "true", 126, "unable to find group nobody-there: no matching entries in group file"),
    ],
)
def test_exec_that_cannot_start(
    ocirun: Ocirun, name: str, options: tuple[str, ...], command: str, status: int, words: str
) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "1000")
    assert words in ocirun("exec", *options, name, command, status=status).error_line()
    # A detached one has no status of its own: docker's client fails as for any other verb.
    detached = ocirun("exec", "-d", *options, name, command, status=1)
    assert words in detached.error_line()
    assert detached.stdout == ""


def test_a_name_without_a_value_takes_the_variable_away(ocirun: Ocirun, name: str, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("PATH2\nPATH3=x\n")
    environment = {key: value for key, value in ocirun.environment.items() if key not in {"GONE", "PATH2", "IMAGED"}}
    ocirun.environment.clear()
    ocirun.environment.update(environment)
    ocirun("create", "--name", name, "-e", "IMAGED=1", BUSYBOX, "sleep", "1000")
    ocirun("commit", "-c", "ENV IMAGED=image PATH2=image", name, "with-env")
    try:
        got = ocirun("run", "--rm", "-e", "IMAGED", "-e", "GONE", "--env-file", str(file), "with-env", "env").lines
        assert not [line for line in got if line.startswith(("IMAGED", "GONE"))]
        assert {"PATH2=image", "PATH3=x"} <= set(got), "a name alone in a file changes nothing"
        again = f"{name}-2"
        ocirun("run", "-d", "--name", again, "-e", "IMAGED", "with-env", "sleep", "1000")
        assert "IMAGED" in ocirun("inspect", "--format", "{{json .Config.Env}}", again).json()
        assert "PATH2=image" not in ocirun("exec", "-e", "PATH2", again, "env").lines
    finally:
        ocirun.remove_all()
        ocirun("rmi", "-f", "with-env")


def test_ps_shows_the_id_of_an_image_that_lost_its_name(ocirun: Ocirun, name: str) -> None:
    image_id = ocirun("inspect", "--format", "{{.Id}}", BUSYBOX).word
    ocirun("tag", BUSYBOX, "second:1")
    ocirun("create", "--name", name, "second:1")
    shown = ("ps", "-a", "--format", "{{.Image}}")
    assert ocirun(*shown).lines == ["second:1"]
    ocirun("rmi", "second:1")
    assert ocirun(*shown).lines == [image_id[7:19]]
    assert ocirun(*shown, "--no-trunc").lines == [image_id]
    assert ocirun("ps", "-aq", "--filter", "ancestor=second:1").lines == []


def test_inspect_of_what_can_be_no_name(ocirun: Ocirun) -> None:
    result = ocirun("inspect", "UPPER/x:::", status=1)
    assert result.stdout == "[]\n"
    assert result.error_line() == "ocirun: Error: No such object: UPPER/x:::"
    result = ocirun("image", "inspect", "UPPER/x:::", status=1)
    assert result.stdout == "[]\n"
    assert "invalid reference format" in result.error_line()
    both = ocirun("inspect", "--format", "{{.Id}}", "UPPER/x:::", BUSYBOX, status=1)
    assert both.word.startswith("sha256:")


@pytest.mark.parametrize(
    "words", [("images",), ("run", "--rm", BUSYBOX, "echo", "x"), ("run", "--rm", "-t", BUSYBOX, "echo", "x")]
)
def test_full_disk_behind_the_output(ocirun: Ocirun, words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        result = ocirun(*words, status=125 if words[0] == "run" else 1, stdout=full)
    assert result.error_line() == (
        "ocirun: write standard output: No space left on device (free space there, or send the output elsewhere)"
    )


@pytest.mark.parametrize("limit", [16, 60, 66])
def test_too_few_open_files(ocirun: Ocirun, limit: int) -> None:
    result = shell(ocirun, f"ulimit -n {limit}", "run", "--rm", BUSYBOX, "true")
    assert result.returncode == 125
    assert result.stderr.startswith("ocirun: ")
    assert result.stderr.endswith("Too many open files (raise the limit of open files: ulimit -n 1024)\n")
    assert result.stderr.count("\n") == 1


def test_umask_that_forbids_everything(empty: Ocirun, busybox_archive: Path, name: str) -> None:
    for words in (
        ("import", str(busybox_archive), BUSYBOX),
        (
            "run",
            "--name",
            name,
            "-v",
            "vol:/v",
            "-v",
            "/anonymous",
            BUSYBOX,
            "/bin/sh",
            "-c",
            "umask; echo x >/v/x; cat /v/x",
        ),
        ("commit", name, "made"),
        ("save", "-o", str(empty.directory / "made.tar"), "made"),
        ("run", "--rm", "-u", "1000", "made", "/bin/sh", "-c", "cat /etc/passwd >/dev/null"),
        ("run", "--rm", "host", "true"),
    ):
        result = shell(empty, "umask 777", *words)
        assert (result.returncode, result.stderr) == (0, ""), words
        if words[0] == "run" and "-v" in words:
            assert result.stdout == "0022\nx\n"
    assert shell(empty, "umask 777", "rm", "-fv", name).returncode == 0


def test_prune_removes_the_lock_of_a_killed_unpack(empty: Ocirun) -> None:
    empty("images")
    key = empty.root / "layers" / "some-map"
    key.mkdir()
    (key / ".x-0123.lock").touch()
    empty("system", "prune", "-f")
    assert list(key.iterdir()) == []


def test_limits_of_layers_are_the_users(empty: Ocirun, busybox_archive: Path) -> None:
    message = empty(
        "import", str(busybox_archive), BUSYBOX, status=1, env={"OCIRUN_LAYER_LIMITS": "entries=2"}
    ).error_line()
    assert "too many members" in message
    assert "$OCIRUN_LAYER_LIMITS" in message
    message = empty(
        "import", str(busybox_archive), BUSYBOX, status=1, env={"OCIRUN_LAYER_LIMITS": "bytes=10k"}
    ).error_line()
    assert "unpacks to more than 10240 bytes" in message
    assert (
        "invalid limit 'x'"
        in empty("import", str(busybox_archive), BUSYBOX, status=1, env={"OCIRUN_LAYER_LIMITS": "x"}).error_line()
    )
    empty("import", str(busybox_archive), BUSYBOX, env={"OCIRUN_LAYER_LIMITS": "entries=1000,bytes=1g"})


def test_old_name_of_the_size(ocirun: Ocirun) -> None:
    assert ocirun("images", "--format", "{{.VirtualSize}}").stdout
    assert ocirun("inspect", "--format", "{{.VirtualSize}}", BUSYBOX).word == "0"
    assert "VirtualSize" not in ocirun("inspect", BUSYBOX).stdout


def test_quiet_images_with_a_format(ocirun: Ocirun) -> None:
    assert ocirun("images", "-q", "--format", "{{.Repository}}", "busybox").lines == ["busybox"]
    assert len(ocirun("images", "-q", "busybox").word) == 12
