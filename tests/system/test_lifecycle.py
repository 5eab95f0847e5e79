"""create, start, ps, logs, exec, attach, stop, kill, wait, rm, inspect: a container through its life."""

import json
import re
import signal
import subprocess

import pytest

from tests.system.harness import BUSYBOX, MODE, SANITIZED, Ocirun, until

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"]


def start_waiting(ocirun: Ocirun, name: str, *flags: str) -> str:
    """A running container that ends at SIGTERM; its id."""
    identifier = ocirun("run", "-d", "--name", name, *flags, BUSYBOX, *FOREVER).word
    until(lambda: "ready" in ocirun("logs", name).stdout, "the trap")
    return identifier


def test_create_then_start(ocirun: Ocirun, name: str) -> None:
    identifier = ocirun("create", "--name", name, BUSYBOX, "echo", "hello").word
    assert re.fullmatch(r"[0-9a-f]{64}", identifier)
    assert ocirun.status(name) == "created"
    assert ocirun("start", name).word == name
    assert ocirun("wait", name).word == "0"
    assert ocirun("logs", name).stdout == "hello\n"


def test_start_attached_gives_output_and_status(ocirun: Ocirun, name: str) -> None:
    ocirun("create", "--name", name, BUSYBOX, "sh", "-c", "echo out; exit 5")
    assert ocirun("start", "-a", name, status=5).stdout == "out\n"
    assert ocirun("start", "-a", name, status=5).stdout == "out\n"
    ocirun("create", "-i", "--name", f"{name}-i", BUSYBOX, "cat")
    assert ocirun("start", "-a", "-i", f"{name}-i", input="through\n").stdout == "through\n"


def test_start_again_keeps_what_was_written(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", "echo x >>/kept; wc -l </kept")
    assert ocirun("start", "-a", name).word == "2"
    assert ocirun("logs", name).stdout == "1\n2\n"


def test_start_of_a_missing_command_is_told_and_the_container_stays(ocirun: Ocirun, name: str) -> None:
    ocirun("create", "--name", name, BUSYBOX, "no-such-program")
    result = ocirun("start", name, status=None)
    assert result.status != 0
    assert "no-such-program" in result.error_line()
    state = ocirun.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 127)


def test_names_ids_and_prefixes_find_a_container(ocirun: Ocirun, name: str) -> None:
    identifier = ocirun("create", "--name", name, BUSYBOX, "true").word
    for reference in (name, identifier, identifier[:12], identifier[:4], f"/{name}"):
        assert ocirun("inspect", "--format", "{{.Id}}", reference).word == identifier


@pytest.mark.parametrize("verb", ["start", "stop", "kill", "rm", "logs", "wait", "attach", "diff", "exec"])
def test_no_such_container(ocirun: Ocirun, verb: str) -> None:
    words = ["true"] if verb == "exec" else []
    assert "No such container: nobody" in ocirun(verb, "nobody", *words, status=1).error_line()


def test_ps_columns_and_flags(ocirun: Ocirun, name: str) -> None:
    running = start_waiting(ocirun, name, "--label", "kind=test")
    ended = ocirun("create", "--name", f"{name}-2", BUSYBOX, "true").word
    ocirun("start", "-a", ended)
    header = ocirun("ps").lines[0].split()
    assert header == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    row = ocirun("ps").lines[1]
    assert row.startswith(running[:12])
    assert " Up " in row
    assert len(ocirun("ps").lines) == 2
    assert len(ocirun("ps", "-a").lines) == 3
    assert "Exited (0)" in ocirun("ps", "-a", "--filter", "status=exited").lines[1]
    assert ocirun("ps", "-q", "--no-trunc").word == running
    assert ocirun("ps", "-l", "-q").word == ended[:12]
    assert ocirun("ps", "-n", "1", "-q").word == ended[:12]
    assert ocirun("ps", "-aq").lines == [ended[:12], running[:12]]
    assert "SIZE" in ocirun("ps", "-s").lines[0]
    assert "virtual" in ocirun("ps", "-s").lines[1]


def test_ps_filters(ocirun: Ocirun, name: str) -> None:
    running = start_waiting(ocirun, name, "--label", "kind=test")[:12]
    created = ocirun("create", "--name", "another", "--label", "kind", BUSYBOX, "true").word[:12]

    def found(*filters: str) -> list[str]:
        return ocirun("ps", "-aq", *[word for text in filters for word in ("--filter", text)]).lines

    assert found("status=running") == [running]
    assert found("status=created") == [created]
    assert found("label=kind=test") == [running]
    assert sorted(found("label=kind")) == sorted([running, created])
    assert found("name=anoth") == [created]
    assert found(f"id={running}") == [running]
    assert sorted(found("ancestor=busybox")) == sorted([running, created])
    assert found("status=running", "name=another") == []
    assert found(f"before={name}") == []
    assert found(f"since={name}") == [created]
    assert ocirun("ps", "--filter", "nonsense=1", status=1).error_line()


def test_ps_formats(ocirun: Ocirun, name: str) -> None:
    identifier = start_waiting(ocirun, name, "--label", "kind=test")
    template = '{{.ID}}|{{.Names}}|{{.Image}}|{{.State}}|{{.Label "kind"}}|{{upper .State}}|{{json .Names}}'
    expected = f'{identifier[:12]}|{name}|{BUSYBOX}|running|test|RUNNING|"{name}"'
    assert ocirun("ps", "--format", template).word == expected.replace(BUSYBOX, "busybox:latest")
    document = json.loads(ocirun("ps", "--format", "json").word)
    assert (document["Names"], document["State"], document["ID"]) == (name, "running", identifier[:12])
    table = ocirun("ps", "--format", "table {{.Names}}\t{{.Status}}").lines
    assert table[0].split() == ["NAMES", "STATUS"]
    assert table[1].startswith(name)
    assert ocirun("ps", "--format", "{{.NoSuchField}}", status=1).error_line()


def test_inspect_has_docker_s_fields(ocirun: Ocirun, name: str) -> None:
    identifier = start_waiting(ocirun, name, "-e", "A=b", "--hostname", "box", "-w", "/tmp")
    document = ocirun.inspect(name)
    assert document["Id"] == identifier
    assert document["Path"] == "sh"
    assert document["Args"] == FOREVER[1:]
    state = document["State"]
    assert state["Running"] is True
    assert state["Pid"] > 1
    assert (state["Paused"], state["Restarting"], state["Dead"], state["Error"]) == (False, False, False, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", state["StartedAt"])
    config = document["Config"]
    assert (config["Hostname"], config["WorkingDir"], config["Tty"], config["OpenStdin"]) == (
        "box",
        "/tmp",
        False,
        False,
    )
    assert "A=b" in config["Env"]
    assert config["Image"] == "busybox:latest"
    assert document["Image"].startswith("sha256:")
    assert ocirun("inspect", "--format", "{{.State.Pid}} {{len .Args}} {{json .Config.Cmd}}", name).word.startswith(
        str(state["Pid"])
    )


def test_inspect_of_nothing(ocirun: Ocirun) -> None:
    result = ocirun("inspect", "nothing", status=1)
    assert result.word == "[]"
    assert "No such object: nothing" in result.stderr


def test_logs(ocirun: Ocirun, name: str) -> None:
    ocirun(
        "run",
        "--name",
        name,
        BUSYBOX,
        "sh",
        "-c",
        "for i in 1 2 3 4; do echo line $i; done; echo wrong >&2; printf last",
    )
    result = ocirun("logs", name)
    assert result.stdout == "line 1\nline 2\nline 3\nline 4\nlast"
    assert result.stderr == "wrong\n"
    assert ocirun("logs", "--tail", "3", name).stdout == "line 4\nlast"
    assert ocirun("logs", "-n", "0", name).stdout == ""
    stamped = ocirun("logs", "-t", name).lines
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", line) for line in stamped)
    assert ocirun("logs", "--since", "1h", name).stdout == result.stdout
    assert ocirun("logs", "--since", "2100-01-01T00:00:00Z", name).stdout == ""
    assert ocirun("logs", "--until", "2000-01-01", name).stdout == ""


def test_log_file_is_docker_s_json(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", r"printf 'a<b>&\t\042\\\n'; printf '\377\n' >&2")
    path = ocirun.inspect(name)["LogPath"]
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert sorted((line["stream"], line["log"]) for line in lines) == [
        ("stderr", "\ufffd\n"),
        ("stdout", 'a<b>&\t"\\\n'),
    ]
    assert all(set(line) == {"log", "stream", "time"} for line in lines)


def test_logs_are_rotated(ocirun: Ocirun, name: str) -> None:
    flags = ["--log-opt", "max-size=10k", "--log-opt", "max-file=3"]
    ocirun(
        "run",
        "--name",
        name,
        *flags,
        BUSYBOX,
        "sh",
        "-c",
        "i=0; while [ $i -lt 2000 ]; do echo number $i; i=$((i+1)); done",
    )
    shown = ocirun("logs", name).lines
    assert shown[-1] == "number 1999"
    assert 100 < len(shown) < 600
    first = int(shown[0].split()[1])
    assert shown == [f"number {number}" for number in range(first, 2000)]


def test_logs_follow_to_the_end(ocirun: Ocirun, name: str) -> None:
    start_waiting(ocirun, name)
    follower = ocirun.start("logs", "-f", name)
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"ready\n"
    ocirun("exec", name, "sh", "-c", "echo more >/proc/1/fd/1")
    assert follower.stdout.readline() == b"more\n"
    ocirun("stop", name)
    assert follower.communicate(timeout=30)[0] == b""
    assert follower.returncode == 0


def test_exec(ocirun: Ocirun, name: str) -> None:
    start_waiting(ocirun, name, "-e", "A=of the container", "-w", "/tmp")
    assert ocirun("exec", name, "sh", "-c", "echo $A; pwd").stdout == "of the container\n/tmp\n"
    assert ocirun("exec", "-e", "A=mine", "-w", "/etc", name, "sh", "-c", "echo $A; pwd").stdout == "mine\n/etc\n"
    ocirun("exec", name, "sh", "-c", "exit 33", status=33)
    assert ocirun("exec", "-i", name, "cat", input="through\n").stdout == "through\n"
    assert ocirun("exec", name, "cat", input="not given").stdout == ""
    result = ocirun("exec", name, "sh", "-c", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    if MODE != "single":
        assert ocirun("exec", "-u", "alice", name, "id", "-un").stdout == "alice\n"


def test_exec_errors(ocirun: Ocirun, name: str) -> None:
    start_waiting(ocirun, name)
    assert "no-such" in ocirun("exec", name, "no-such", status=127).error_line()
    assert ocirun("exec", name, "/etc/not-executable", status=126).error_line()
    ocirun("stop", name)
    assert "is not running" in ocirun("exec", name, "true", status=1).error_line()


def test_exec_detached_and_its_place_in_the_container(ocirun: Ocirun, name: str) -> None:
    start_waiting(ocirun, name)
    ocirun("exec", "-d", name, "sh", "-c", "echo done >/tmp/by-exec")
    until(lambda: ocirun("exec", name, "cat", "/tmp/by-exec", status=None).stdout == "done\n", "the detached command")
    script = "for n in ipc mnt net pid uts user cgroup; do readlink /proc/self/ns/$n; done; grep -E 'Cap|Seccomp:|NoNew' /proc/self/status"
    first = ocirun("exec", name, "sh", "-c", script).stdout
    other = ocirun("exec", name, "sh", "-c", script.replace("self", "1")).stdout
    assert first == other


def test_attach_gets_output_and_status(ocirun: Ocirun, name: str) -> None:
    script = "read line; echo got $line; exit 8"
    ocirun("run", "-d", "-i", "--name", name, BUSYBOX, "sh", "-c", script)
    result = ocirun("attach", name, input="words\n", status=8)
    assert result.stdout == "got words\n"
    assert "stopped container" in ocirun("attach", name, status=1).error_line()


def test_stop_asks_then_kills(ocirun: Ocirun, name: str) -> None:
    start_waiting(ocirun, name)
    assert ocirun("stop", name).word == name
    assert ocirun.inspect(name)["State"]["ExitCode"] == 0
    ocirun(
        "run",
        "-d",
        "--name",
        f"{name}-2",
        BUSYBOX,
        "sh",
        "-c",
        "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    )
    until(lambda: ocirun("logs", f"{name}-2").stdout, "the trap")
    ocirun("stop", "-t", "1", f"{name}-2")
    assert ocirun.inspect(f"{name}-2")["State"]["ExitCode"] == 137
    assert ocirun("stop", f"{name}-2").word == f"{name}-2"


def test_stop_signal_of_the_container(ocirun: Ocirun, name: str) -> None:
    script = "trap 'exit 11' USR1; echo ready; while :; do sleep 0.05; done"
    ocirun("run", "-d", "--name", name, "--stop-signal", "USR1", BUSYBOX, "sh", "-c", script)
    until(lambda: ocirun("logs", name).stdout, "the trap")
    ocirun("stop", name)
    assert ocirun.inspect(name)["State"]["ExitCode"] == 11


@pytest.mark.parametrize("word", ["KILL", "SIGKILL", "9"])
def test_kill(ocirun: Ocirun, name: str, word: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    assert ocirun("kill", "-s", word, name).word == name
    assert ocirun("wait", name).word == str(128 + signal.SIGKILL)
    assert ocirun.status(name) == "exited"
    assert "is not running" in ocirun("kill", name, status=1).error_line()


def test_kill_with_a_signal_that_is_none(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    assert "NONSENSE" in ocirun("kill", "-s", "NONSENSE", name, status=1).error_line()


def test_a_signal_that_is_survived_leaves_the_state_alone(ocirun: Ocirun, name: str) -> None:
    ocirun(
        "run",
        "-d",
        "--name",
        name,
        BUSYBOX,
        "sh",
        "-c",
        "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done",
    )
    until(lambda: ocirun("logs", name).stdout, "the trap")
    ocirun("kill", "-s", "HUP", name)
    until(lambda: "hup" in ocirun("logs", name).stdout, "the signal")
    assert ocirun.status(name) == "running"


def test_wait_for_several(ocirun: Ocirun, name: str) -> None:
    for number in (3, 4):
        ocirun("run", "-d", "--name", f"{name}-{number}", BUSYBOX, "sh", "-c", f"sleep 0.2; exit {number}")
    assert ocirun("wait", f"{name}-3", f"{name}-4").lines == ["3", "4"]


def test_rm(ocirun: Ocirun, name: str) -> None:
    start_waiting(ocirun, name)
    refused = ocirun("rm", name, status=1).error_line()
    assert "container is running" in refused
    assert name in refused
    assert ocirun("rm", "-f", name).word == name
    assert ocirun("ps", "-aq").stdout == ""
    assert "No such container" in ocirun("rm", name, status=1).error_line()
    assert ocirun("rm", "-f", name, status=None).status in {0, 1}


def test_the_monitor_survives_the_cli(ocirun: Ocirun, name: str) -> None:
    """A starter killed right after it printed the id takes nothing along."""
    process = ocirun.start(
        "run", "-d", "--name", name, BUSYBOX, "sh", "-c", "sleep 0.3; echo after", start_new_session=True
    )
    process.communicate(timeout=30)
    assert ocirun("wait", name).word == "0"
    assert ocirun("logs", name).stdout == "after\n"


def test_no_python_stays_and_the_monitor_is_small(ocirun: Ocirun, name: str) -> None:
    identifier = start_waiting(ocirun, name)
    pid = ocirun.inspect(name)["State"]["Pid"]
    with open(f"/proc/{pid}/status") as file:
        parent = int(re.findall(r"PPid:\s+(\d+)", file.read())[0])
    with open(f"/proc/{parent}/cmdline", "rb") as file:
        assert b"python" not in file.read()
    with open(f"/proc/{parent}/smaps_rollup") as file:
        kilobytes = int(re.findall(r"^Pss:\s+(\d+)", file.read(), re.MULTILINE)[0])
    assert kilobytes < 1024 or SANITIZED
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in listed.splitlines() if "python" in line and identifier in line]


def test_info_and_version(ocirun: Ocirun) -> None:
    assert ocirun("info", "--format", "{{.DockerRootDir}}").word == str(ocirun.root)
    document = ocirun("info", "--format", "json").json()
    assert document["Driver"]
    assert {"ranges": "ranges", "single": "single", "root": "rootful"}[MODE] in ocirun("info").stdout
    if MODE == "single":
        assert "newuidmap" in ocirun("info").stdout
    version = ocirun("version", "--format", "json").json()
    assert version["Client"]["Version"]
    assert ocirun("version").stdout
