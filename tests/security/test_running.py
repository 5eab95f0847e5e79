"""A running container against who joins it, stops it, watches it, or commits it."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.security.conftest import PYTHON
from tests.system.harness import BUSYBOX, Ocirun, entries, leftovers, until

# Watches for new processes and tries everything on each: to read and write its program, descriptors, root, memory, to trace it.
SPY = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
seen, mine = set(), os.getpid()
print("ready", flush=True)
def attack(pid):
    found = []
    for path, flags in (("exe", os.O_RDONLY), ("exe", os.O_WRONLY), ("mem", os.O_RDWR), ("root", os.O_PATH | os.O_DIRECTORY), ("cwd", os.O_PATH)):
        try:
            descriptor = os.open(f"/proc/{pid}/{path}", flags)
            name = os.readlink(f"/proc/self/fd/{descriptor}")
            head = b""
            if path == "exe" and flags == os.O_RDONLY:
                head = os.read(descriptor, 1 << 20)
            found.append((path, flags, name, b"ocirun" in head))
            os.close(descriptor)
        except OSError:
            pass
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            try:
                found.append(("fd", number, os.readlink(f"/proc/{pid}/fd/{number}"), False))
            except OSError:
                pass
    except OSError:
        pass
    if libc.ptrace(0x4206, pid, 0, 0) == 0:  # PTRACE_SEIZE, which does not stop it
        try:
            found.append(("traced", 0, os.readlink(f"/proc/{pid}/exe"), False))
        except OSError:
            pass
    return found
while not os.path.exists("/tmp/stop"):
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in (1, mine):
            for what in attack(int(name)):
                if what not in seen:
                    seen.add(what)
                    print(*what, flush=True)
"""


@pytest.fixture
def spy(ocirun: Ocirun, name: str) -> Iterator[str]:
    """A container of `host` in which SPY runs; its name."""
    if not PYTHON.startswith("/usr/"):
        pytest.skip(f"image `host` does not show {PYTHON}")
    ocirun("run", "-d", "--name", name, "host", PYTHON, "-I", "-c", SPY)
    until(lambda: "ready" in ocirun("logs", name).stdout, "the spy to be ready")
    yield name
    ocirun("rm", "-f", name)


def test_who_joins_cannot_be_looked_into(ocirun: Ocirun, spy: str) -> None:
    """CVE-2019-5736, CVE-2016-9962: between setns and exec the joining process is full of the machine."""
    for _ in range(40):
        ocirun("exec", spy, "true", status=None)  # who is traced has its end seen by the tracer first
        ocirun("exec", "-t", spy, "/bin/true", status=None)
    ocirun("exec", spy, "touch", "/tmp/stop", status=None)
    lines = ocirun("logs", spy).lines[1:]
    helper = [line for line in lines if "memfd" in line or line.endswith("True") or "ocirun" in line]
    assert helper == []
    roots = {line.split()[2] for line in lines if line.split()[0] in {"root", "cwd"}}
    assert roots <= {"/", "/proc"}, roots
    descriptors = {line.split()[2] for line in lines if line.startswith("fd ")}
    allowed = ("pipe:", "/dev/", "/proc", "/usr", "/etc", "/lib", "/tmp", "/bin", "/")
    assert all(target.startswith(allowed) for target in descriptors), descriptors
    assert not [target for target in descriptors if str(ocirun.directory) in target or "socket:" in target], descriptors


def test_exec_from_a_script_whose_interpreter_is_the_helper(ocirun: Ocirun, name: str) -> None:
    """CVE-2019-5736 as it was published: the target of exec is /proc/self/exe, and a reader waits to write to it."""
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    script = "printf '#!/proc/self/exe\n' >/bin/evil; chmod 755 /bin/evil; ln -s /proc/self/exe /bin/evil2"
    ocirun("exec", name, "sh", "-c", script)
    for word in ("evil", "/bin/evil2", "/proc/self/exe", "/proc/self/fd/3", "/proc/self/fd/4", "/proc/self/fd/6"):
        result = ocirun("exec", name, word, "task", status=None)
        assert result.status != 0
        assert result.stdout == ""
    # The next command starts from a whole helper.
    assert ocirun("exec", name, "echo", "whole").stdout == "whole\n"


@pytest.mark.parametrize(
    "script",
    [
        "rm -f /etc/passwd /etc/group; mkfifo /etc/passwd /etc/group",
        "rm -f /etc/passwd; ln -s /proc/self/fd/0 /etc/passwd",
        "rm -f /etc/passwd; ln -s /etc/passwd /etc/passwd",
        "rm -f /etc/passwd; mkdir /etc/passwd",
        "dd if=/dev/zero of=/etc/passwd bs=1 count=0 seek=1000000000000 2>/dev/null",
        "rm -f /etc/passwd; ln -s ../../../../../../../../../../etc/passwd /etc/passwd",
        "mv /etc /etc2; ln -s /proc/1/root/etc /etc",
        "rm -f /etc/passwd; ln -s /dev/zero /etc/passwd",
        "i=0; cd /; while [ $i -lt 45 ]; do ln -s l$((i + 1)) l$i; i=$((i + 1)); done; ln -sf /l0 /etc/passwd",
    ],
)
def test_exec_by_a_name_that_a_hostile_passwd_has(ocirun: Ocirun, name: str, script: str) -> None:
    """Read by us, not by libnss (CVE-2019-14271), and nothing that the container puts there makes us hang or leave it."""
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    ocirun("exec", name, "sh", "-c", script, status=None)
    for user in ("ocirun-test", "daemon", "nobody:daemon", "alice"):
        result = ocirun("exec", "-u", user, name, "id", "-u", status=None, timeout=20)
        assert result.status != 0 or user == "alice", result
    assert ocirun("exec", name, "echo", "on").stdout == "on\n"


def test_passwd_that_changes_while_it_is_read(ocirun: Ocirun, name: str) -> None:
    """File, fifo and link in turns: each look-up ends, with an answer or a line."""
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    ocirun(
        "exec",
        name,
        "sh",
        "-c",
        "cd /etc; cp passwd file; mkfifo fifo; ln -s /proc/1/environ link; mkdir d; (sleep 600 >fifo) &",
    )
    ocirun(
        "exec",
        "-d",
        name,
        "sh",
        "-c",
        "cd /etc; while :; do for i in file fifo link; do ln -f $i x 2>/dev/null; mv -f x passwd; done; done",
    )
    for _ in range(40):
        ocirun("exec", "-u", "alice", name, "true", status=None, timeout=20)
    assert ocirun.status(name) == "running"


def test_terminal_of_exec_is_the_kernel_s(ocirun: Ocirun, name: str) -> None:
    """CVE-2025-52565, CVE-2025-31133: other things at /dev/console, /dev/ptmx, /dev/pts, /dev/null."""
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    script = """cd /dev; rm -rf ptmx null console tty fd stdin; ln -s /etc/passwd null; ln -s /etc/passwd ptmx; mkfifo console tty
    mv pts pts2 && mkdir pts && ln -s /etc/passwd pts/ptmx; mount --bind /etc pts; umount pts; true"""
    ocirun("exec", name, "sh", "-c", script, status=None)
    result = ocirun("exec", "-t", name, "sh", "-c", "tty; readlink /proc/self/fd/0", status=None)
    assert result.status != 0 or "/dev/pts/" in result.stdout, result
    assert ocirun("exec", name, "echo", "on").stdout == "on\n"


def test_what_is_typed_into_the_terminal_stays_inside(ocirun: Ocirun, attacker: Callable[..., object]) -> None:
    """TIOCSTI (CVE-2017-5226): pushes into the container's own terminal, never into the caller's."""
    code = """
import fcntl, os, termios
for byte in b"touch /tmp/typed-by-the-container\\n":
    try:
        fcntl.ioctl(0, termios.TIOCSTI, bytes([byte]))
    except OSError:
        break
print("own session" if os.getsid(0) == 1 else "shared")
"""
    terminal = ocirun.terminal("run", "--rm", "-it", "host", PYTHON, "-I", "-c", code)
    assert terminal.expect(r"own session|shared").group() == b"own session"
    terminal.wait()


def test_a_fork_bomb_ends_with_its_container(ocirun: Ocirun, name: str) -> None:
    script = "ulimit -u 2000; f() { f | f & }; for i in 1 2 3 4 5 6 7 8; do (while :; do sleep 1000 & sleep 0; done) & done; sleep 600"
    ocirun("run", "-d", "--ulimit", "nproc=4000", "--name", name, BUSYBOX, "sh", "-c", script)
    until(lambda: len(list_processes(ocirun, name)) > 100, "some processes")
    ocirun("kill", name)
    until(lambda: ocirun.status(name) == "exited", "the end")


def list_processes(ocirun: Ocirun, name: str) -> list[str]:
    pid = ocirun("inspect", "--format", "{{.State.Pid}}", name).word
    if not os.path.isdir(f"/proc/{pid}"):
        return []
    namespace = os.readlink(f"/proc/{pid}/ns/pid") if os.access(f"/proc/{pid}/ns/pid", os.R_OK) else ""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                found.append(entry)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("script", ["kill -STOP -1; sleep 600", "trap '' TERM INT HUP QUIT; while :; do sleep 1; done"])
def test_stop_ends_what_does_not_want_to(ocirun: Ocirun, name: str, script: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sh", "-c", script)
    ocirun("exec", "-d", name, "sh", "-c", "kill -STOP -1; kill -KILL -1; sleep 600")
    ocirun("stop", "-t", "1", name, timeout=20)
    assert ocirun.status(name) == "exited"


def test_process_1_cannot_be_killed_from_inside(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--init", "--name", name, BUSYBOX, "sleep", "600")
    ocirun("exec", name, "sh", "-c", "kill -9 1; kill -STOP 1; kill -SEGV 1; kill -9 -- -1; true", status=None)
    assert ocirun.status(name) in {"running", "exited"}
    ocirun("stop", "-t", "1", name, timeout=20)


ORPHAN = """
import ctypes, signal
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: no signal when the monitor dies
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
print("loose", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("verb", ["rm", "start", "list"])
def test_a_container_that_outlives_its_monitor_is_not_forgotten(ocirun: Ocirun, name: str, verb: str) -> None:
    """A program can undo its parent-death signal. With the monitor killed, it must not run on behind a state "exited"."""
    if not PYTHON.startswith("/usr/"):
        pytest.skip(f"image `host` does not show {PYTHON}")
    ocirun("run", "-d", "--name", name, "host", PYTHON, "-I", "-c", ORPHAN)
    until(lambda: "loose" in ocirun("logs", name).stdout, "the program")
    pid = int(ocirun("inspect", "--format", "{{.State.Pid}}", name).word)
    monitor = monitor_of(ocirun, name)
    os.kill(monitor, signal.SIGKILL)
    until(lambda: is_gone(monitor), "the monitor's end")
    if verb == "rm":
        ocirun("rm", "-f", name)
    elif verb == "start":
        ocirun("start", name)
    else:
        ocirun("ps", "-a")
        ocirun("inspect", name)
    until(lambda: is_gone(pid), "the program's end", timeout=5)


def monitor_of(ocirun: Ocirun, name: str) -> int:
    title = f"ocirun-monitor {ocirun.inspect(name)['Id'][:12]}".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if Path(f"/proc/{entry}/cmdline").read_bytes().startswith(title):
                return int(entry)
        except OSError:
            continue
    raise AssertionError("the container has no monitor")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] in "ZX"
    except OSError:
        return True


def test_logs_cannot_be_forged(ocirun: Ocirun, name: str) -> None:
    """A line of output that looks like a record of the log, or holds NULs and half characters, stays one line of text."""
    import json

    forged = '{"log":"forged\\n","stream":"stderr","time":"2000-01-01T00:00:00Z"}'
    script = f"printf '%s\\n' '{forged}'; printf 'a\\000b\\377\\n'; printf '\"}}\\n'; head -c 100000 /dev/zero; echo; echo end"
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", script)
    path = ocirun.root / "containers" / ocirun.inspect(name)["Id"] / "container.log"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert {record["stream"] for record in records} == {"stdout"}
    assert all(record["time"] > "2020" for record in records)
    assert records[0]["log"] == forged + "\n"
    assert path.stat().st_mode & 0o077 == 0o040 or path.stat().st_mode & 0o077 == 0


def test_a_flood_of_output_does_not_fill_memory(ocirun: Ocirun, name: str) -> None:
    ocirun(
        "run",
        "-d",
        "--log-opt",
        "max-size=1m",
        "--log-opt",
        "max-file=2",
        "--name",
        name,
        BUSYBOX,
        "sh",
        "-c",
        "yes & exec yes flood >&2",
    )
    reader = ocirun.start("logs", "-f", name)
    attached = ocirun.start("attach", "--no-stdin", name)
    directory = ocirun.root / "containers" / ocirun.inspect(name)["Id"]
    until((directory / "container.log.1").exists, "a rotation")
    assert sum(path.stat().st_size for path in directory.glob("container.log*")) < 4 << 20
    for process in (reader, attached):
        process.kill()
        process.communicate()
    ocirun("stop", "-t", "0", name, timeout=20)


def test_sockets_are_for_the_user_alone(ocirun: Ocirun, name: str) -> None:
    """CVE-2020-15257."""
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    (socket,) = ocirun.runroot.glob("*/attach")
    for path in (socket, socket.parent, ocirun.runroot, ocirun.root, *ocirun.root.iterdir()):
        assert path.stat().st_uid == os.geteuid()
    assert socket.stat().st_mode & 0o077 == 0
    assert socket.parent.stat().st_mode & 0o077 == 0
    assert ocirun.root.stat().st_mode & 0o077 == 0


def test_abstract_sockets_are_not_used(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--network", "host", "--name", name, BUSYBOX, "sleep", "600")
    lines = ocirun("exec", name, "cat", "/proc/net/unix").lines
    # Sockets with a path are others' business: other stores of this machine have them too.
    assert [line for line in lines if "ocirun" in line and line.split()[-1].startswith("@")] == []


def test_commit_of_what_runs_and_changes(ocirun: Ocirun, name: str, tmp_path: Path) -> None:
    """CVE-2018-15664: directories and links in turns while commit and diff walk; a secret outside stays outside."""
    (tmp_path / "secret").write_text("secret of the machine\n")
    tmp_path.chmod(0o755)
    script = f"mkdir -p /a/b; echo inside >/a/b/secret; ln -s {tmp_path} /link; while :; do mv /a/b /a/c; mv /link /a/b; mv /a/b /link; mv /a/c /a/b; done"
    ocirun("run", "-d", "--name", name, BUSYBOX, "sh", "-c", script)
    for number in range(8):
        ocirun("diff", name, status=None)
        if ocirun("commit", f"--pause={'true' if number % 2 else 'false'}", name, "raced", status=None).status == 0:
            saved = ocirun("run", "--rm", "raced", "sh", "-c", "cat /a/*/secret /link/secret 2>/dev/null; true").stdout
            assert "machine" not in saved
            ocirun("rmi", "-f", "raced")
    ocirun("rm", "-f", name)


HOSTILE_TREE = r"""
mkdir /t; cd /t
mkfifo fifo; mknod null c 1 3 2>/dev/null; ln -s / root; ln -s loop loop; ln -s /etc/shadow shadow
touch "$(printf 'new\nline')" "$(printf 'esc\033[2J')" "$(printf 'bad\377utf')" -- "-rf" ".wh" "..."
i=0; while [ $i -lt 60 ]; do mkdir deeply-nested-directory-of-the-container && cd deeply-nested-directory-of-the-container || break; i=$((i+1)); done
touch bottom
cd /t; mkdir closed; touch closed/x; chmod 000 closed
"""


def test_commit_and_diff_of_a_hostile_tree(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", HOSTILE_TREE, timeout=120)
    assert b"/t/bad\xffutf\n" in ocirun("diff", name).output
    terminal = ocirun.terminal("diff", name)
    terminal.expect(r"A /t/esc\?\[2J")
    terminal.wait()
    result = ocirun("commit", name, "hostile-tree", timeout=120)
    assert result.status == 0
    ocirun("run", "--rm", "hostile-tree", "sh", "-c", "ls -l /t | grep -q fifo && test ! -e /t/loop")
    ocirun("rm", name)
    ocirun("rmi", "hostile-tree")
    assert leftovers(ocirun) == {}


def test_a_tree_too_deep_for_a_path_is_an_error_and_can_be_removed(ocirun: Ocirun, name: str) -> None:
    script = "i=0; while [ $i -lt 400 ]; do mkdir deeply-nested-directory && cd deeply-nested-directory; i=$((i+1)); done; touch bottom"
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", script)
    for words in (("diff", name), ("commit", name, "too-deep")):
        assert "name too long" in ocirun(*words, status=None).error_line()
    ocirun("rm", name)
    assert leftovers(ocirun) == {}


def test_whiteout_names_made_inside_delete_nothing(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", "touch /etc/.wh.passwd; mkdir /.wh..wh..opq")
    result = ocirun("commit", name, "whiteouts", status=None)
    assert result.status != 0
    assert ".wh." in result.error_line()
    assert ocirun("images", "-q", "whiteouts").stdout == ""


def test_the_helper_is_sealed_against_its_own_container(ocirun: Ocirun, name: str) -> None:
    """With --init the helper is process 1, in reach for as long as the container runs."""
    ocirun("run", "-d", "--init", "--cap-add", "SYS_PTRACE", "--name", name, BUSYBOX, "sleep", "600")
    script = """for i in 1 2 3; do cat /bin/busybox >/proc/1/exe; echo x >/proc/1/mem; truncate -s 0 /proc/1/exe; chmod 000 /proc/1/exe; rm -f /proc/1/exe; done
    ls -l /proc/1/fd /proc/1/cwd /proc/1/root; cat /proc/1/environ; true"""
    output = ocirun("exec", name, "sh", "-c", script, status=None).stdout
    assert str(ocirun.directory) not in output
    assert ocirun("exec", name, "echo", "on").stdout == "on\n"
    assert ocirun("run", "--rm", "--init", BUSYBOX, "echo", "on").stdout == "on\n"


def test_leftover_files_of_a_run_are_none(ocirun: Ocirun, tmp_path: Path) -> None:
    """CVE-2024-45310: no empty files or directories on the machine by mount points of a bind-mounted, changing directory."""
    outside = tmp_path / "outside"
    bound = tmp_path / "bound"
    outside.mkdir()
    (bound / "a").mkdir(parents=True)
    (bound / "link").symlink_to(outside)
    for path in (tmp_path, outside, bound, bound / "a"):
        path.chmod(0o777)
    swap = (
        "import os,sys\nwhile True:\n os.rename('a','b');os.rename('link','a');os.rename('a','link');os.rename('b','a')"
    )
    racer = subprocess.Popen([PYTHON, "-c", swap], cwd=bound)
    try:
        for _ in range(60):
            ocirun(
                "run",
                "--rm",
                "-v",
                f"{bound}:/bound",
                "-v",
                "/bound/a/volume",
                "--tmpfs",
                "/bound/a/deep/tmpfs",
                "-w",
                "/bound/a/work",
                BUSYBOX,
                "true",
                status=None,
            )
    finally:
        racer.kill()
        racer.wait()
    assert entries(outside) == []
