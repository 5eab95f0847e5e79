"""Every kind of step, when it fails, says which step it was, why, and on what. Each runs in a user namespace of its own.

The plans are made by hand here: what `compile` makes of a config is the business of the unit tests.
"""

import array
import ctypes
import errno
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocirun import native
from ocirun.errors import StepError
from ocirun.runtime.steps import KINDS, Plan, Step

NEW_USER, NEW_MOUNT, NEW_UTS, NEW_PID = 0x10000000, 0x20000, 0x4000000, 0x20000000
PRIVATE_BELOW = 0x44000
PR_SET_CHILD_SUBREAPER = 36
EVERYTHING = 0xFFFFFFFFFFFFFFFF
NAMESPACES = [
    Step("clone", NEW_USER | NEW_MOUNT | NEW_UTS | NEW_PID),
    Step("deny_setgroups"),
    Step("id_map_write", 0, f"0 {os.geteuid()} 1\n"),
    Step("id_map_write", 1, f"0 {os.getegid()} 1\n"),
    Step("become", 0, 0),
    Step("propagation", PRIVATE_BELOW, "/"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to be the root: it has a file, a program that is none, and a link that leads nowhere."""
    (tmp_path / "file").write_text("")
    (tmp_path / "no-program").write_text("neither #! nor ELF")
    (tmp_path / "no-program").chmod(0o755)
    (tmp_path / "directory").mkdir()
    (tmp_path / "proc-link").symlink_to("directory")
    return tmp_path


def failure_of(steps: list[Step]) -> StepError:
    plan = Plan(steps)
    with pytest.raises(StepError) as caught:
        native.run_task(plan.encode(), {}, lambda step: plan.steps[step].describe())
    return caught.value


# The steps before a root is open: the whole plan, of which the last step fails.
BEFORE = {
    "join_namespace": ([Step("join_namespace", 0, "/nonexistent")], errno.ENOENT, "/nonexistent"),
    "join_process": ([Step("join_process", 90, NEW_UTS)], errno.EBADF, ""),
    "clone": ([Step("clone", 0x800)], errno.EINVAL, ""),
    "id_map_write": ([Step("clone", NEW_USER), Step("id_map_write", 0, "no map")], errno.EINVAL, "uid_map"),
    "id_map_helper": (
        [Step("clone", NEW_USER), Step("id_map_helper", 0, "/nonexistent")],
        errno.ENOENT,
        "/nonexistent",
    ),
    "cgroup_enter": ([Step("clone", NEW_USER), Step("cgroup_enter", "/nonexistent")], errno.ENOENT, "/nonexistent"),
    "become": ([*NAMESPACES, Step("become", 77, 77)], errno.EINVAL, ""),
    "propagation": ([*NAMESPACES, Step("propagation", PRIVATE_BELOW, "/nonexistent")], errno.ENOENT, "/nonexistent"),
    "open_root": ([*NAMESPACES, Step("open_root", 1, "/nonexistent")], errno.ENOENT, "/nonexistent"),
    "oom_score": ([Step("clone", NEW_USER), Step("oom_score", 5000)], errno.EINVAL, "5000"),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_a_failed_step_before_the_root(kind: str) -> None:
    steps, number, path = BEFORE[kind]
    error = failure_of(steps)
    assert (error.step, error.errno, error.path) == (len(steps) - 1, number, path)
    assert str(error).startswith(f"{steps[-1].describe()}: {os.strerror(number)}")


def test_deny_setgroups_fails_where_groups_are_in_use() -> None:
    error = failure_of([Step("clone", 0), Step("deny_setgroups")])
    assert (error.step, error.path) == (1, "setgroups")
    assert error.errno in {errno.EPERM, errno.EACCES}


# With the root open. {root} is where it is on this machine.
WITHIN = {
    "overlay": (Step("overlay", 0, 0, "{root}", "", "", "", "/nonexistent"), errno.ENOENT, "/nonexistent"),
    "overlay in the root": (Step("overlay", 0, 1, "/file/x", "", "", "", "{root}"), errno.ENOTDIR, "/file/x"),
    "mount of an unknown type": (Step("mount", 0, 0, 1, "no-such-type", "", "/x", ""), errno.ENODEV, "no-such-type"),
    "mount with an unknown option": (
        Step("mount", 0, 0, 1, "tmpfs", "", "/x", "size=1k,bogus=1"),
        errno.EINVAL,
        "bogus",
    ),
    "mount without its target": (Step("mount", 0, 0, 0, "tmpfs", "", "/missing", ""), errno.ENOENT, "/missing"),
    "mount of proc through a link": (Step("mount", 0, 0, 1, "proc", "", "/proc-link", ""), errno.ELOOP, "/proc-link"),
    "bind": (Step("bind", 5, 0, 0, 0, 0, 0, "/nonexistent", "/x"), errno.ENOENT, "/nonexistent"),
    "bind from the root": (Step("bind", 7, 0, 0, 0, 0, 0, "/missing", "/x"), errno.ENOENT, "/missing"),
    "bind below a file": (Step("bind", 5, 0, 0, 0, 0, 0, "{root}", "/file/x"), errno.ENOTDIR, "/file/x"),
    "mask": (Step("mask", "/file/x"), errno.ENOTDIR, "/file/x"),
    "readonly_path": (Step("readonly_path", "/file/x"), errno.ENOTDIR, "/file/x"),
    "make_symlink": (Step("make_symlink", "x", "/file/x"), errno.ENOTDIR, "/file"),
    "make_node": (Step("make_node", 0o020666, 1, 3, 0, 0, "/null"), errno.EPERM, "/null"),
    "bind_device": (Step("bind_device", "{root}/file", "/null"), errno.ENODEV, "{root}/file"),
    "make_directory": (Step("make_directory", 0o755, -1, -1, "/file/x"), errno.ENOTDIR, "/file/x"),
    "console": (Step("console", 0, 0), errno.ENOENT, "/dev/pts/ptmx"),
    "populate": (Step("populate", "/directory", "/nonexistent"), errno.ENOENT, "/nonexistent"),
    "prepare_directory": (Step("prepare_directory", 0o755, -1, -1, "{root}/file/x"), errno.ENOTDIR, "{root}/file/x"),
    "readonly_root": (Step("readonly_root"), errno.EINVAL, "/"),
    "pivot": (Step("pivot", 0), errno.EINVAL, "/"),
    "hostname": (Step("hostname", "x" * 65), errno.EINVAL, "x" * 65),
    "domainname": (Step("domainname", "x" * 65), errno.EINVAL, "x" * 65),
    "sysctl": (Step("sysctl", "no.such.key", "1"), errno.ENOENT, "no.such.key"),
    "sysctl that climbs": (Step("sysctl", "../../etc/passwd", "1"), errno.EXDEV, "../../etc/passwd"),
    "rlimit": (Step("rlimit", 7, 5, 4), errno.EINVAL, "resource 7"),
    "session_keyring": (Step("session_keyring", "x" * 5000), errno.EINVAL, "x" * 4095),
    "working_directory": (Step("working_directory", 0, 0, 0, "/nonexistent"), errno.ENOENT, "/nonexistent"),
    "credentials of nobody here": (Step("credentials", 77, 0, 0, 0, 0, 0, 0), errno.EINVAL, "uid"),
    "credentials with groups": (Step("credentials", 0, 0, 0, 0, 0, 0, 0, "5"), errno.EPERM, "groups"),
    "credentials with words": (Step("credentials", 0, 0, 0, 0, 0, 0, 0, "wheel"), errno.EINVAL, "wheel"),
    "credentials beyond": (Step("credentials", 0, 0, 0, 0, 0, 0, 1, ""), errno.EINVAL, ""),
    "exec_label": (Step("exec_label", "no-such-attribute", "x"), errno.ENOENT, "no-such-attribute"),
    "exec_label that climbs": (Step("exec_label", "../oom_score_adj", "5"), errno.EXDEV, "../oom_score_adj"),
    "seccomp": (Step("seccomp", 0, b"12345"), errno.EINVAL, "seccomp program"),
    "parent_death_signal": (Step("parent_death_signal", 999), errno.EINVAL, ""),
    "untar": (Step("untar", 90, 0, 0, "{root}/nonexistent"), None, None),
    "tar_changes": (Step("tar_changes", 90, 0, 0, "", "{root}"), None, None),
    "list_changes": (Step("list_changes", 90, 0, 0, "", "{root}"), None, None),
}


def rooted(step: Step, root: Path) -> Step:
    strings = [text.replace("{root}", str(root)) if isinstance(text, str) else text for text in step.strings]
    return Step(step.kind, *step.integers, *strings)


@pytest.mark.parametrize("case", WITHIN)
def test_a_failed_step_with_a_root(case: str, root: Path) -> None:
    step, number, path = WITHIN[case]
    error = failure_of([*NAMESPACES, Step("open_root", 0, str(root)), rooted(step, root)])
    assert error.step == len(NAMESPACES) + 1
    if number is not None and path is not None:
        assert (error.errno, error.path) == (number, path.replace("{root}", str(root)))
    assert error.errno


def test_every_kind_that_can_fail_is_here() -> None:
    shown = {*BEFORE, *(step.kind for step, _, _ in WITHIN.values()), "deny_setgroups", "command"}
    monitors = {"monitor", "after_exit_remove", "after_exit_discard", "after_exit_volume"}
    cannot_fail = {"loopback", "umask", "no_new_privileges", "remove_tree"}
    assert set(KINDS) - shown == monitors | cannot_fail


@pytest.fixture
def _reaper() -> Iterator[None]:
    """Orphans of the helper come to this process, so that it can wait for them."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


def launch(steps: list[Step], more: dict[int, int] | None = None) -> tuple[bytes, bytes, list[int]]:
    """Run the helper's mode `launch`: its answer, the output of the program to its end, descriptors that came along."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output, end = os.pipe()
    with ours, theirs:
        pid = native.spawn(Plan(steps).encode(), "launch", {1: end, 4: theirs.fileno(), **(more or {})})
        os.close(end)
        theirs.close()
        answer, rights, _, _ = ours.recvmsg(8192, 64)
    assert os.waitpid(pid, 0)[1] in {0, 256}
    with open(output, "rb") as stream:
        text = stream.read()
    descriptors = array.array("i")
    for _, _, data in rights:
        descriptors.frombytes(data)
    return answer, text, list(descriptors)


COMMANDS = {
    "not on PATH": ("nonexistent", errno.ENOENT),
    "no such file": ("/nonexistent", errno.ENOENT),
    "an empty word": ("", errno.ENOENT),
    "a directory": ("{root}/directory", errno.EACCES),
    "not executable": ("{root}/file", errno.EACCES),
    "no program": ("{root}/no-program", errno.ENOEXEC),
    "below a file": ("{root}/file/x", errno.ENOTDIR),
}


@pytest.mark.usefixtures("_reaper")
@pytest.mark.parametrize("reaper", [0, 1])
@pytest.mark.parametrize("case", COMMANDS)
def test_a_command_that_cannot_be_executed(case: str, reaper: int, root: Path) -> None:
    word, number = COMMANDS[case]
    word = word.replace("{root}", str(root))
    answer, _, _ = launch([*NAMESPACES, Step("command", 1, reaper, word, "PATH=/usr/bin:/bin")])
    assert answer[:1] == b"F"
    assert int.from_bytes(answer[1:5], "little") == len(NAMESPACES)
    assert (int.from_bytes(answer[5:9], "little"), answer[9:].decode()) == (number, word)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.usefixtures("_reaper")
@pytest.mark.parametrize(("reaper", "expected"), [(0, "1"), (1, "2")])
def test_a_program_sees_nothing_of_the_helper(reaper: int, expected: str, root: Path) -> None:
    script = "echo $$; ls -l /proc/self/fd | wc -l; grep -E '^(SigBlk|SigIgn)' /proc/self/status; pwd; env; umask"
    command = Step("command", 3, reaper, "sh", "-c", script, "PATH=/usr/bin:/bin", "ONE=1")
    mounts = [Step("open_root", 1, "/"), Step("mount", 0, 0, 0, "proc", "", "/proc", "")]
    answer, text, _ = launch([*NAMESPACES, *mounts, Step("working_directory", 0, 0, 0, str(root)), command])
    assert answer[:1] == b"S"
    assert os.waitpid(int.from_bytes(answer[1:5], "little"), 0)[1] == 0
    lines = text.decode().splitlines()
    # "total", 0, 1, 2, and the directory that ls itself reads
    assert lines[:2] == [expected, "5"]
    assert lines[2:4] == ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]
    assert lines[4] == str(root)
    assert {"ONE=1", "PATH=/usr/bin:/bin"} <= set(lines[5:])
    assert lines[-1] == "0022"


@pytest.mark.usefixtures("_reaper")
@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_the_reaper_ends_with_the_status_of_the_program(script: str, status: int) -> None:
    answer, _, _ = launch([*NAMESPACES, Step("command", 3, 1, "sh", "-c", script, "PATH=/usr/bin:/bin")])
    _, found = os.waitpid(int.from_bytes(answer[1:5], "little"), 0)
    assert os.waitstatus_to_exitcode(found) == status


@pytest.mark.usefixtures("_reaper")
def test_the_reaper_passes_signals_on() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    output, end = os.pipe()
    steps = [
        *NAMESPACES,
        Step("command", 3, 1, "sh", "-c", "trap 'exit 42' TERM; echo ready; sleep 100 & wait", "PATH=/usr/bin:/bin"),
    ]
    with ours, theirs:
        helper = native.spawn(Plan(steps).encode(), "launch", {1: end, 4: theirs.fileno()})
        os.close(end)
        pid = int.from_bytes(ours.recv(100)[1:5], "little")
    os.waitpid(helper, 0)
    assert os.read(output, 100) == b"ready\n"
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    os.close(output)


@pytest.mark.usefixtures("_reaper")
def test_a_name_that_is_found_but_not_executable_is_not_called_missing(root: Path) -> None:
    answer, _, _ = launch([*NAMESPACES, Step("command", 1, 0, "file", f"PATH={root}:/nonexistent")])
    assert int.from_bytes(answer[5:9], "little") == errno.EACCES


def test_targets_are_made_below_the_root_behind_dangling_links(root: Path) -> None:
    """/var/run of many images is a link to a /run that they do not have."""
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run/deep")
    (root / "var/up").symlink_to("../../../../../tmp/escape")
    steps = [Step("open_root", 0, str(root))]
    steps += [
        Step("make_directory", 0o750, -1, -1, path) for path in ("/var/run/one", "/var/up/two", "/a/b/c", "/a/../d")
    ]
    native.run_task(Plan([*NAMESPACES, *steps]).encode(), {}, str)
    assert (root / "run/deep/one").is_dir()
    assert (root / "tmp/escape/two").is_dir()
    assert (root / "a/b/c").stat().st_mode & 0o7777 == 0o750
    assert (root / "a/b").stat().st_mode & 0o7777 == 0o755
    assert (root / "d").is_dir()
    assert not Path("/tmp/escape/two").exists()


def test_a_file_is_mounted_behind_a_dangling_link(root: Path) -> None:
    """/etc/resolv.conf of many images is a link to what systemd would have made at boot."""
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolv.conf")
    (root / "content").write_text("nameserver")
    steps = [Step("open_root", 0, str(root)), Step("bind", 4, 0, 0, 0, 0, 0, f"{root}/content", "/etc/resolv.conf")]
    native.run_task(Plan([*NAMESPACES, *steps]).encode(), {}, str)
    assert (root / "run/systemd/resolv.conf").read_text() == ""
    assert (root / "etc/resolv.conf").is_symlink()


def test_a_path_of_two_thousand_components(root: Path) -> None:
    path = "/a" * 2000
    native.run_task(
        Plan([*NAMESPACES, Step("open_root", 0, str(root)), Step("make_directory", 0o755, -1, -1, path)]).encode(),
        {},
        str,
    )
    top = os.open(root, os.O_PATH)
    os.close(native.open_in_root(top, path, os.O_PATH | os.O_DIRECTORY))
    os.close(top)
    subprocess.run(["rm", "-rf", "a"], cwd=root, check=True)


def test_a_link_in_a_circle_ends(root: Path) -> None:
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    error = failure_of([*NAMESPACES, Step("open_root", 0, str(root)), Step("make_directory", 0o755, -1, -1, "/one/x")])
    assert error.errno == errno.ELOOP


def test_what_there_is_is_left_alone(root: Path) -> None:
    (root / "directory").chmod(0o711)
    steps = [
        Step("open_root", 0, str(root)),
        Step("make_directory", 0o755, -1, -1, "/directory"),
        Step("make_symlink", "elsewhere", "/proc-link"),
        Step("mask", "/missing"),
        Step("readonly_path", "/missing"),
        Step("bind", 8, 0, 0, 0, 0, 0, "/nonexistent", "/x"),
        Step("populate", "/missing", "/nonexistent"),
    ]
    native.run_task(Plan([*NAMESPACES, *steps]).encode(), {}, str)
    assert (root / "directory").stat().st_mode & 0o7777 == 0o711
    assert os.readlink(root / "proc-link") == "directory"


# A container on this machine's own files, seen through a clone of the mount tree, with a /dev of its own.
OWN_ROOT = [
    Step("open_root", 1, "/"),
    Step("mount", 0, 0, 0, "proc", "proc", "/proc", ""),
    Step("mount", 0, 0, 1, "tmpfs", "tmpfs", "/dev", "mode=755"),
    Step("mount", 0, 0, 1, "devpts", "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620"),
    Step("bind_device", "/dev/null", "/dev/null"),
    Step("bind_device", "/dev/tty", "/dev/tty"),
]
PATH = "PATH=/usr/bin:/bin"


def read_terminal(master: int) -> str:
    """What is written to a terminal until its last user has gone."""
    text = b""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError as error:
            assert error.errno == errno.EIO  # noqa: PT017 - the end of a terminal is this error
            return text.decode().replace("\r\n", "\n")
        text += data


@pytest.mark.usefixtures("_reaper")
def test_the_terminal_is_the_containers_own() -> None:
    script = "tty; stty size; test -c /dev/console && echo console; echo typed >/dev/tty; ps -o tpgid= -p $$"
    steps = [
        *NAMESPACES,
        *OWN_ROOT,
        Step("console", 24, 80),
        Step("pivot", 0),
        Step("command", 3, 0, "sh", "-c", script, PATH),
    ]
    answer, _, descriptors = launch(steps)
    assert answer[:1] == b"S", answer
    text = read_terminal(descriptors[0])
    assert [line.strip() for line in text.splitlines()] == ["/dev/pts/0", "24 80", "console", "typed", "1"]
    assert os.waitpid(int.from_bytes(answer[1:5], "little"), 0)[1] == 0
    os.close(descriptors[0])


@pytest.mark.usefixtures("_reaper")
@pytest.mark.parametrize("terminal", [False, True])
def test_a_session_joins_all_namespaces_of_a_container(terminal: bool) -> None:  # noqa: FBT001 - a parameter of the test
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        steps = [*NAMESPACES, *OWN_ROOT, Step("pivot", 0), Step("command", 2, 0, "sleep", "1000", PATH)]
        helper = native.spawn(Plan(steps).encode(), "launch", {4: theirs.fileno()})
        container = int.from_bytes(ours.recv(100)[1:5], "little")
        os.waitpid(helper, 0)
    process = os.pidfd_open(container)
    names = ("user", "mnt", "uts", "pid")
    script = f"for name in {' '.join(names)}; do readlink /proc/self/ns/$name; done; echo /proc/[0-9]*; cat /proc/self/oom_score_adj"
    session = [
        Step("join_process", 6, NEW_USER | NEW_MOUNT | NEW_UTS | NEW_PID),
        Step("oom_score", 77),
        Step("become", 0, 0),
        *([Step("console", 24, 80)] if terminal else []),
        Step("command", 3, 0, "sh", "-c", script, PATH),
    ]
    try:
        answer, text, descriptors = launch(session, {6: process})
        assert answer[:1] == b"S", answer
        lines = (read_terminal(descriptors[0]) if terminal else text.decode()).splitlines()
        assert lines[:4] == [os.readlink(f"/proc/{container}/ns/{name}") for name in names]
        # The container's process and the session: of the helper that joined, nothing is left.
        assert lines[4] == "/proc/1 /proc/2"
        assert lines[5] == "77"
        assert os.waitpid(int.from_bytes(answer[1:5], "little"), 0)[1] == 0
        for descriptor in descriptors:
            os.close(descriptor)
    finally:
        os.kill(container, signal.SIGKILL)
        os.waitpid(container, 0)
        os.close(process)


@pytest.mark.usefixtures("_reaper")
def test_mounts_have_their_attributes_and_masks_hide(root: Path) -> None:
    (root / "data").mkdir()
    (root / "data/file").write_text("")
    script = """
        touch /mnt/data/file 2>&1; touch /mnt/new 2>&1
        wc -c </proc/kallsyms; ls /proc/bus 2>&1; echo x 2>&1 >/proc/sys/kernel/domainname
        touch /x 2>&1
        grep -E ' /(mnt|run) ' /proc/self/mounts | cut -d' ' -f2,4 | cut -d, -f1-4
    """
    steps = [
        *OWN_ROOT,
        Step("bind", 1, 0, 0, 1 | 2, 0, 0x44000, str(root), "/mnt"),
        Step("mount", 2 | 4 | 8, 0, 0, "tmpfs", "tmpfs", "/run", "size=1024k,mode=700"),
        Step("mask", "/proc/kallsyms"),
        Step("mask", "/proc/bus"),
        Step("readonly_path", "/proc/sys"),
        Step("pivot", 0),
        Step("readonly_root"),
    ]
    answer, text, _ = launch([*NAMESPACES, *steps, Step("command", 3, 0, "sh", "-c", script, PATH)])
    assert answer[:1] == b"S", answer
    assert os.waitpid(int.from_bytes(answer[1:5], "little"), 0)[1] == 0
    lines = text.decode().splitlines()
    assert lines[0] == "touch: cannot touch '/mnt/data/file': Read-only file system"
    assert lines[1] == "touch: cannot touch '/mnt/new': Read-only file system"
    assert lines[2] == "0"
    assert "Read-only file system" in lines[3]
    assert lines[4] == "touch: cannot touch '/x': Read-only file system"
    assert lines[5].startswith("/mnt ro,nosuid,")
    assert lines[6].startswith("/run rw,nosuid,nodev,noexec")


IMPOSTORS = {
    "a link in the place of /dev/null": (
        Step("make_symlink", "/etc/passwd", "/dev/null"),
        Step("mask", "/etc/hostname"),
        "/dev/null",
    ),
    "another device for /dev/null": (
        Step("bind_device", "/dev/zero", "/dev/null"),
        Step("mask", "/etc/hostname"),
        "/dev/null",
    ),
    "a device for /dev/pts/ptmx": (
        Step("bind_device", "/dev/zero", "/dev/pts/ptmx"),
        Step("console", 0, 0),
        "/dev/pts/ptmx",
    ),
    "a link for /dev/pts/ptmx": (
        Step("make_symlink", "/etc/passwd", "/dev/pts/ptmx"),
        Step("console", 0, 0),
        "/dev/pts/ptmx",
    ),
}


@pytest.mark.parametrize("case", IMPOSTORS)
def test_what_only_looks_like_a_device_is_refused(case: str) -> None:
    """CVE-2025-31133, CVE-2025-52565: a container put something else in the place of a device that the runtime would use."""
    impostor, step, path = IMPOSTORS[case]
    before = [
        Step("open_root", 1, "/"),
        Step("mount", 0, 0, 1, "tmpfs", "tmpfs", "/dev", "mode=755"),
        impostor,
        Step("pivot", 0),
    ]
    error = failure_of([*NAMESPACES, *before, step])
    assert (error.step, error.path) == (len(NAMESPACES) + len(before), path)
    assert error.errno in {errno.ENODEV, errno.EACCES}


def test_a_working_directory_through_a_magic_link_is_refused(root: Path) -> None:
    """CVE-2024-21626: WORKDIR /proc/self/fd/N led to a directory of the machine that the runtime had left open."""
    (root / "directory" / "link").symlink_to("/proc/self/cwd")
    for path in ("/proc/self/fd/3", "/proc/self/cwd", f"{root}/directory/link"):
        error = failure_of([*NAMESPACES, *OWN_ROOT, Step("pivot", 0), Step("working_directory", 0, 0, 0, path)])
        assert error.errno in {errno.ELOOP, errno.ENOENT, errno.ENOTDIR}
        assert error.path == path
