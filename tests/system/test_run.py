"""`run`: the program's output and status, and the flags that shape its world."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, MODE, Ocirun, until


def shell(ocirun: Ocirun, script: str, *flags: str) -> str:
    """The output of a shell script in a fresh container."""
    return ocirun("run", "--rm", *flags, BUSYBOX, "sh", "-c", script).stdout


def test_output_and_errors_are_kept_apart(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_the_image_s_command_is_the_default(ocirun: Ocirun) -> None:
    assert ocirun("run", "--rm", "-i", BUSYBOX, input="echo read by sh\n").stdout == "read by sh\n"


@pytest.mark.parametrize("status", [0, 1, 3, 42, 255])
def test_exit_status_is_the_program_s(ocirun: Ocirun, status: int) -> None:
    ocirun("run", "--rm", BUSYBOX, "sh", "-c", f"exit {status}", status=status)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV])
def test_exit_status_of_a_signal_is_128_and_its_number(ocirun: Ocirun, number: signal.Signals) -> None:
    ocirun("run", "--rm", "--init", BUSYBOX, "sh", "-c", f"kill -{number.value} $$", status=128 + number)


def test_missing_command_is_127(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", BUSYBOX, "no-such-program", status=127)
    assert "no-such-program" in result.error_line()
    assert ocirun("run", "--rm", BUSYBOX, "/no/such/program", status=127).error_line()


@pytest.mark.parametrize("path", ["/etc/not-executable", "/etc"])
def test_not_executable_is_126(ocirun: Ocirun, path: str) -> None:
    assert path in ocirun("run", "--rm", BUSYBOX, path, status=126).error_line()


@pytest.mark.parametrize(
    "words",
    [
        ["--no-such-flag", BUSYBOX],
        ["no-such-image", "true"],
        ["--network", "no-such-network", BUSYBOX, "true"],
        ["-v", "relative/path:/x", BUSYBOX, "true"],
        ["--cap-add", "NO_SUCH_CAPABILITY", BUSYBOX, "true"],
        ["--ulimit", "nonsense", BUSYBOX, "true"],
        ["-u", "no-such-user", BUSYBOX, "true"],
        ["--tmpfs", "relative", BUSYBOX, "true"],
        ["-w", "relative", BUSYBOX, "true"],
        ["--name", "not/allowed", BUSYBOX, "true"],
        ["--security-opt", "no-such-option=1", BUSYBOX, "true"],
    ],
)
def test_errors_of_ocirun_itself_are_125_and_one_line(ocirun: Ocirun, words: list[str]) -> None:
    result = ocirun("run", "--rm", *words, status=125)
    lines = [
        line
        for line in result.stderr.splitlines()
        if line and not line.startswith(("See ", "Usage:", "Run ", "Unable to find"))
    ]
    assert len(lines) == 1, result
    assert lines[0].startswith("ocirun: "), result


def test_flag_that_is_not_supported_says_so_instead_of_being_ignored(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", "--gpus", "all", BUSYBOX, "true", status=125)
    assert "--gpus" in result.stderr


def test_environment(ocirun: Ocirun, tmp_path: Path) -> None:
    file = tmp_path / "variables"
    file.write_text("# a comment\nFROM_FILE=yes\nPASSED_ON\n\nWITH_SPACES=a b  c\n")
    process_environment = {"PASSED_ON": "from outside", "ALSO": "passed"}
    flags = ["-e", "A=1", "-e", "ALSO", "-e", "NOT_SET_ANYWHERE", "--env-file", str(file), "--hostname", "box"]
    lines = ocirun("run", "--rm", *flags, BUSYBOX, "env", env=process_environment).lines
    assert {"A=1", "ALSO=passed", "FROM_FILE=yes", "PASSED_ON=from outside", "WITH_SPACES=a b  c"} <= set(lines)
    assert {"HOSTNAME=box", "HOME=/root", "PATH=/bin:/usr/bin"} <= set(lines)
    assert not [line for line in lines if line.startswith(("NOT_SET", "OCIRUN_", "XDG_", "PYTHON"))]


def test_nothing_of_the_caller_s_environment_goes_in(ocirun: Ocirun) -> None:
    lines = ocirun("run", "--rm", BUSYBOX, "env", env={"SECRET_TOKEN": "x"}).lines
    assert {line.split("=")[0] for line in lines} <= {"PATH", "HOME", "HOSTNAME", "PWD", "SHLVL"}


def test_working_directory(ocirun: Ocirun) -> None:
    assert shell(ocirun, "pwd") == "/\n"
    assert shell(ocirun, "pwd", "-w", "/tmp") == "/tmp\n"
    assert shell(ocirun, "pwd; ls -ld . | cut -c1-10", "-w", "/made/for/this") == "/made/for/this\ndrwxr-xr-x\n"


def test_user_by_name_number_and_group(ocirun: Ocirun) -> None:
    assert shell(ocirun, "id -u; id -g; id -G") == "0\n0\n" + shell(ocirun, "id -G")
    if MODE == "single":
        assert shell(ocirun, "id -u; id -g", "-u", "1000") == "1000\n1000\n"
        return
    assert shell(ocirun, "id -u; id -g; id -G; echo $HOME", "-u", "alice") == "1000\n1000\n1000 10\n/home/alice\n"
    assert shell(ocirun, "id -u; id -g; id -G", "-u", "1234:5678") == "1234\n5678\n5678\n"
    assert shell(ocirun, "id -u; id -g", "-u", "alice:wheel") == "1000\n10\n"
    assert shell(ocirun, "cat /home/alice/hers", "-u", "alice") == "hers\n"


def test_user_is_kept_from_what_is_root_s(ocirun: Ocirun) -> None:
    if MODE == "single":
        pytest.skip("with a single id all files belong to it")
    result = ocirun("run", "--rm", "-u", "1000", BUSYBOX, "touch", "/etc/new", status=1)
    assert "Permission denied" in result.stderr


def test_entrypoint(ocirun: Ocirun) -> None:
    assert ocirun("run", "--rm", "--entrypoint", "echo", BUSYBOX, "a", "b").stdout == "a b\n"
    assert ocirun("run", "--rm", "--entrypoint", "/bin/pwd", BUSYBOX).stdout == "/\n"


def test_hostname_and_files_of_the_network(ocirun: Ocirun) -> None:
    assert shell(ocirun, "hostname; cat /etc/hostname", "--hostname", "box") == "box\nbox\n"
    first = shell(ocirun, "hostname").strip()
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    assert "127.0.0.1" in shell(ocirun, "cat /etc/hosts")


def test_name_label_and_cidfile(ocirun: Ocirun, tmp_path: Path, name: str) -> None:
    cidfile = tmp_path / "cid"
    ocirun("run", "--name", name, "--label", "a=b", "--label", "bare", "--cidfile", str(cidfile), BUSYBOX, "true")
    document = ocirun.inspect(name)
    assert document["Name"] == f"/{name}"
    assert document["Id"] == cidfile.read_text()
    assert document["Config"]["Labels"] == {"a": "b", "bare": ""}
    result = ocirun("run", "--cidfile", str(cidfile), BUSYBOX, "true", status=125)
    assert str(cidfile) in result.error_line()


def test_a_name_is_used_once(ocirun: Ocirun, name: str) -> None:
    ocirun("create", "--name", name, BUSYBOX, "true")
    result = ocirun("run", "--name", name, BUSYBOX, "true", status=125)
    assert "is already in use by container" in result.error_line()
    assert name in result.stderr
    assert len(ocirun("ps", "-aq").lines) == 1


def test_detached_prints_the_id_and_goes_on(ocirun: Ocirun) -> None:
    identifier = ocirun("run", "-d", BUSYBOX, "sleep", "60").word
    assert re.fullmatch(r"[0-9a-f]{64}", identifier)
    assert ocirun.status(identifier) == "running"


def test_rm_leaves_nothing(ocirun: Ocirun) -> None:
    ocirun("run", "--rm", BUSYBOX, "touch", "/new")
    assert ocirun("ps", "-aq").stdout == ""
    identifier = ocirun("run", "--rm", "-d", BUSYBOX, "sleep", "0.2").word
    until(lambda: not ocirun("ps", "-aq").stdout, f"--rm of {identifier}")


def test_without_rm_the_container_stays(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", "exit 7", status=7)
    state = ocirun.inspect(name)["State"]
    assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == ("exited", 7, False, 0)


def test_read_only(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", "--read-only", BUSYBOX, "touch", "/new", status=1)
    assert "Read-only file system" in result.stderr
    assert (
        shell(ocirun, "touch /scratch/x /dev/shm/y && echo written", "--read-only", "--tmpfs", "/scratch")
        == "written\n"
    )


def test_tmpfs_with_options(ocirun: Ocirun) -> None:
    line = shell(
        ocirun, "grep ' /scratch ' /proc/mounts; ls -ld /scratch", "--tmpfs", "/scratch:size=1m,mode=1750,noexec"
    )
    assert "tmpfs /scratch tmpfs" in line
    assert {"size=1024k", "noexec", "nosuid", "nodev"} <= set(re.split(r"[ ,]", line.splitlines()[0]))
    assert line.splitlines()[1].startswith("drwxr-x--T")


def test_shared_memory_and_devices(ocirun: Ocirun) -> None:
    output = shell(ocirun, "ls /dev; echo x >/dev/null && head -c 3 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c")
    assert output.splitlines()[-2:] == ["3", "4"]
    wanted = {
        "fd",
        "full",
        "mqueue",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
        "core",
    }
    assert set(output.splitlines()[:-2]) == wanted
    assert "size=65536k" in shell(ocirun, "grep ' /dev/shm ' /proc/mounts")


def test_init_reaps_and_forwards(ocirun: Ocirun, name: str) -> None:
    assert shell(ocirun, "cat /proc/1/comm; echo $$", "--init").splitlines()[0] != "sh"
    assert shell(ocirun, "echo $$") == "1\n"
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    ocirun("run", "-d", "--init", "--name", name, BUSYBOX, "sh", "-c", script)
    until(lambda: "ready" in ocirun("logs", name).stdout, "the trap")
    ocirun("stop", name)
    assert ocirun("logs", name).stdout == "ready\ncaught\n"
    assert ocirun.inspect(name)["State"]["ExitCode"] == 9


def capabilities(text: str) -> dict[str, int]:
    return {key: int(value, 16) for key, value in re.findall(r"Cap(\w+):\s+([0-9a-f]+)", text)}


# Docker's set; root's containers lack CAP_MKNOD, bit 27 (docs/decisions/0009).
DOCKER_DEFAULT = 0xA00425FB if MODE == "root" else 0xA80425FB


def test_default_capabilities_are_docker_s(ocirun: Ocirun) -> None:
    found = capabilities(shell(ocirun, "cat /proc/self/status"))
    assert found == {"Inh": 0, "Prm": DOCKER_DEFAULT, "Eff": DOCKER_DEFAULT, "Bnd": DOCKER_DEFAULT, "Amb": 0}


def test_cap_add_and_drop(ocirun: Ocirun) -> None:
    script = "cat /proc/self/status"
    assert capabilities(shell(ocirun, script, "--cap-drop", "ALL"))["Bnd"] == 0
    assert capabilities(shell(ocirun, script, "--cap-drop", "all", "--cap-add", "CHOWN"))["Eff"] == 1
    assert capabilities(shell(ocirun, script, "--cap-drop", "cap_chown"))["Bnd"] == DOCKER_DEFAULT & ~1
    assert capabilities(shell(ocirun, script, "--cap-add", "SYS_ADMIN"))["Eff"] == DOCKER_DEFAULT | 1 << 21
    if MODE != "single":
        user = capabilities(shell(ocirun, script, "-u", "1000"))
        assert (user["Eff"], user["Prm"], user["Inh"], user["Amb"]) == (0, 0, 0, 0)
        assert user["Bnd"] == DOCKER_DEFAULT


def test_security_options(ocirun: Ocirun) -> None:
    script = "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status"
    assert "Seccomp:\t2" in shell(ocirun, script)
    assert "NoNewPrivs:\t1" in shell(ocirun, script, "--security-opt", "no-new-privileges")
    assert "Seccomp:\t0" in shell(ocirun, script, "--security-opt", "seccomp=unconfined")


def test_seccomp_profile_of_the_user(ocirun: Ocirun, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": '
        '[{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}'
    )
    result = ocirun("run", "--rm", "--security-opt", f"seccomp={profile}", BUSYBOX, "mkdir", "/x", status=1)
    assert "not supported" in result.stderr


def test_ulimit(ocirun: Ocirun) -> None:
    assert shell(ocirun, "ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=100:200") == "100\n200\n"
    assert shell(ocirun, "ulimit -Sc; ulimit -Hc", "--ulimit", "core=0") == "0\n0\n"


def test_network_none_and_host(ocirun: Ocirun) -> None:
    script = "ls /sys/class/net; readlink /proc/self/ns/net"
    none = shell(ocirun, script, "--network", "none").split()
    host = shell(ocirun, "readlink /proc/self/ns/net", "--network", "host").strip()
    assert none[:-1] == ["lo"]
    assert shell(ocirun, "ip -o link show lo", "--network", "none").count("LOOPBACK,UP") == 1
    assert host == str(Path("/proc/self/ns/net").readlink())
    assert none[-1] != host


def test_namespaces_are_the_container_s_own(ocirun: Ocirun) -> None:
    kinds = ["ipc", "mnt", "pid", "uts", "cgroup"] + (["user"] if MODE != "root" else [])
    inside = shell(ocirun, "".join(f"readlink /proc/self/ns/{kind};" for kind in kinds)).split()
    outside = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds]
    assert set(inside) & set(outside) == set()


@pytest.mark.rootless
def test_userns_keep_id(ocirun: Ocirun, tmp_path: Path) -> None:
    import os

    output = shell(ocirun, "id -u; touch /mine/file", "--userns", "keep-id", "-v", f"{tmp_path}:/mine")
    assert output == f"{os.getuid()}\n"
    assert (tmp_path / "file").stat().st_uid == os.getuid()


def test_stdin_from_a_pipe_to_its_end(ocirun: Ocirun) -> None:
    data = bytes(range(256)) * 8192
    assert ocirun("run", "--rm", "-i", BUSYBOX, "cat", input=data).output == data
    assert ocirun("run", "--rm", BUSYBOX, "cat", input=b"not given without -i").output == b""


def test_much_output_arrives_whole(ocirun: Ocirun) -> None:
    assert len(ocirun("run", "--rm", BUSYBOX, "head", "-c", "20000000", "/dev/zero").output) == 20_000_000


def test_a_reader_that_goes_away_does_not_hang_the_program(ocirun: Ocirun) -> None:
    process = ocirun.start(
        "run", "--rm", BUSYBOX, "sh", "-c", "yes | head -n 200000; exit 0", stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    process.wait(30)
    until(lambda: not ocirun("ps", "-q").stdout, "the container to end")


def test_signals_are_passed_on(ocirun: Ocirun, name: str) -> None:
    script = "trap 'exit 5' INT; trap 'exit 6' USR1; echo ready; while :; do sleep 0.05; done"
    for number, status in ((signal.SIGINT, 5), (signal.SIGUSR1, 6)):
        process = ocirun.start("run", "--rm", "--name", name, BUSYBOX, "sh", "-c", script)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(30) == status
        process.stdout.close()
        if process.stderr:
            process.stderr.close()


def test_dry_run_prints_the_plan_and_does_nothing(ocirun: Ocirun) -> None:
    output = ocirun("run", "--dry-run", "--rm", BUSYBOX, "echo", "hello").stdout
    assert "pivot into the root" in output
    assert "execute" in output
    assert "hello" in output
    assert ocirun("ps", "-aq").stdout == ""


def test_quick_help_and_version(ocirun: Ocirun) -> None:
    assert "Usage:" in ocirun("run", "--help").stdout
    assert "ocirun" in ocirun("--version").stdout
    assert ocirun("version", "--format", "{{.Client.Version}}").word == ocirun("--version").stdout.split()[2].rstrip(
        ","
    )
