"""Containers from plans made by hand, to test the monitor below the engine: a busybox root, a plan, and a session."""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ocirun import native
from ocirun.engine.attach import Session, open_session
from ocirun.runtime.steps import Plan, Step
from tests.system.harness import MODE, SECONDS, until

TERMINAL, INPUT, INPUT_ONCE, ATTACHED, EXEC, USER_NAMESPACE = 1, 2, 4, 8, 16, 32

NEW_MOUNTS, NEW_UTS, NEW_IPC, NEW_USER, NEW_PIDS = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
NAMESPACES = NEW_MOUNTS | NEW_UTS | NEW_IPC | NEW_PIDS | (0 if MODE == "root" else NEW_USER)
MS_REC, MS_SLAVE = 0x4000, 1 << 19
ENVIRONMENT = ("PATH=/bin", "HOME=/root", "TERM=dumb")


def subordinate(path: str) -> tuple[int, int]:
    """First id and number of ids of this user in /etc/subuid or /etc/subgid."""
    import pwd

    names = (pwd.getpwuid(os.getuid()).pw_name, str(os.getuid()))
    for line in Path(path).read_text().splitlines():
        name, start, count = line.split(":")
        if name in names:
            return int(start), int(count)
    raise AssertionError(f"no ids of {names} in {path}")


def id_steps() -> list[Step]:
    """The steps that map ids in this mode."""
    if MODE == "root":
        return []
    user, group = os.getuid(), os.getgid()
    if MODE == "single":
        return [
            Step("deny_setgroups"),
            Step("id_map_write", 0, f"0 {user} 1\n"),
            Step("id_map_write", 1, f"0 {group} 1\n"),
        ]
    steps = []
    for is_gid, name, own, path in ((0, "newuidmap", user, "/etc/subuid"), (1, "newgidmap", group, "/etc/subgid")):
        first, count = subordinate(path)
        numbers = ("0", str(own), "1", "1", str(first), str(count))
        steps.append(Step("id_map_helper", is_gid, str(shutil.which(name)), *numbers))
    return steps


def command_step(words: Sequence[str]) -> Step:
    """The last step of a plan."""
    return Step("command", len(words), 0, *words, *ENVIRONMENT)


class Container:
    """One container of a plan made by hand, below `directory`."""

    def __init__(self, directory: Path, rootfs: Path, name: str = "0123456789abcdef") -> None:
        self.id = name
        self.rootfs = rootfs
        self.directory = directory / "containers" / name
        self.runroot = directory / "run"
        self.directory.mkdir(parents=True)
        (self.runroot / name).mkdir(parents=True)
        self.log = self.directory / "container.log"
        self.state_path = self.directory / "state.json"
        self.socket_path = self.runroot / name / "attach"
        self.pid = 0
        self.monitor = 0
        self.sessions: list[Session] = []

    def plan(
        self, flags: int, log_limits: tuple[int, int], removals: Sequence[str | Step], words: Sequence[str]
    ) -> Plan:
        """Monitor, namespaces, ids, root with /proc, /dev/null and a terminal, command."""
        if MODE != "root":
            flags |= USER_NAMESPACE
        steps = [
            Step("monitor", flags, *log_limits, str(self.log), str(self.state_path), str(self.socket_path)),
            *(Step("after_exit_remove", path) if isinstance(path, str) else path for path in removals),
            Step("clone", NAMESPACES),
            *id_steps(),
            Step("become", 0, 0),
            Step("propagation", MS_REC | MS_SLAVE, "/"),
            Step("open_root", 1, str(self.rootfs)),
            Step("mount", 0, 0, 1, "proc", "proc", "/proc", ""),
            Step("bind_device", "/dev/null", "/dev/null"),
            Step("bind_device", "/dev/zero", "/dev/zero"),
        ]
        if flags & TERMINAL:
            steps.append(Step("mount", 0, 0, 1, "devpts", "devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620"))
            steps.append(Step("console", 24, 80))
        return Plan([*steps, Step("pivot", 0), Step("parent_death_signal", signal.SIGKILL), command_step(words)])

    def spawn(
        self,
        *words: str,
        flags: int = ATTACHED,
        log_limits: tuple[int, int] = (0, 1),
        removals: Sequence[str | Step] = (),
    ) -> Session:
        """Start the monitor, without waiting for the start of the program."""
        return self._spawn(self.plan(flags, log_limits, removals, words), {5: self._take_lock()})

    def _take_lock(self) -> int:
        lock = os.open(self.directory / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock

    def _spawn(self, plan: Plan, descriptors: dict[int, int]) -> Session:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        native.spawn(plan.encode(), "monitor", {4: theirs.fileno(), **descriptors})
        theirs.close()
        for descriptor in descriptors.values():
            os.close(descriptor)
        self.sessions.append(Session(ours))
        return self.sessions[-1]

    def start(self, *words: str, **options: Any) -> Session:
        """Start a program; its session."""
        session = self.spawn(*words, **options)
        self.pid = session.start()
        self.monitor = self.state()["monitor_pid"]
        return session

    def shell(self, script: str, **options: Any) -> Session:
        """Start a shell script."""
        return self.start("sh", "-c", script, **options)

    def execute(self, *words: str, flags: int = ATTACHED) -> Session:
        """Start a program beside the running one."""
        steps = [Step("monitor", flags | EXEC, 0, 0, "", "", ""), Step("join_process", 6, NAMESPACES)]
        if flags & TERMINAL:
            steps.append(Step("console", 0, 0))
        steps += [Step("working_directory", 0, 0, 0, "/"), command_step(words)]
        session = self._spawn(Plan(steps), {6: os.pidfd_open(self.pid)})
        session.start()
        return session

    def attach(self) -> Session:
        """A further client."""
        self.sessions.append(open_session(str(self.runroot), self.id))
        return self.sessions[-1]

    def state(self) -> dict[str, Any]:
        """What the monitor has written."""
        document: dict[str, Any] = json.loads(self.state_path.read_text())
        return document

    def is_locked(self) -> bool:
        """True while the monitor is alive."""
        with open(self.directory / "run.lock", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def log_records(self) -> list[dict[str, str]]:
        """The log, oldest first, of all files."""
        files = sorted(
            self.directory.glob("container.log*"), key=lambda path: int(path.suffix[1:]) if path.suffix != ".log" else 0
        )
        return [json.loads(line) for path in reversed(files) for line in path.read_text().splitlines()]

    def end(self) -> None:
        """Kill what still runs, and wait for the monitor."""
        for pid in filter(None, (self.pid, self.monitor)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for session in self.sessions:
            session.close()
        if self.directory.exists():
            until(lambda: not self.is_locked(), "the monitor's end")


def receive_all(session: Session) -> tuple[bytes, bytes]:
    """Output and error output up to the end."""
    collected: dict[bytes, bytearray] = {b"O": bytearray(), b"e": bytearray()}
    while session.exit_status is None:
        assert select.select([session], [], [], SECONDS)[0], "nothing came"
        message = session.receive()
        if message is None:
            break
        if message[0] in collected:
            collected[message[0]] += message[1]
    return bytes(collected[b"O"]), bytes(collected[b"e"])


def receive_until(session: Session, wanted: bytes) -> bytes:
    """Output up to `wanted`."""
    collected = b""
    while wanted not in collected:
        assert select.select([session], [], [], SECONDS)[0], f"{wanted!r} did not come: {collected!r}"
        message = session.receive()
        assert message is not None, collected
        if message[0] in b"Oe":
            collected += message[1]
    return collected


def has_ended(pid: int) -> bool:
    """Has process `pid` ended? A zombie has, too."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def make_root(archive: Path, directory: Path) -> Path:
    """Unpack a root file system for hand-made plans."""
    directory.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(directory), "--no-same-owner"], check=True)
    return directory
