"""Runs the command line as a user does, and knows what must not be left behind.

`Ocirun` calls the CLI with a store of its own. `Terminal` is a command on a pseudo terminal. `leftovers` lists
the processes, mounts, files and locks of a store that outlived what was asked for.
"""

import errno
import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

MODE = os.environ.get("OCIRUN_TEST_MODE") or (
    "root" if os.geteuid() == 0 else "ranges" if shutil.which("newuidmap") else "single"
)
COMMAND = os.environ.get("OCIRUN_TEST_COMMAND", "").split() or [sys.executable, "-m", "ocirun"]
SECONDS = 60.0
# A helper with sanitizers keeps its standard error to the end, for their reports: a pipe would never come to its end.
SANITIZED = bool(os.environ.get("OCIRUN_TEST_SANITIZE"))
REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:")
BUSYBOX = "busybox:latest"

PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
GROUP = "root:x:0:\nwheel:x:10:alice\nalice:x:1000:\nnogroup:x:65534:\n"


class Result:
    """What a finished command left: its exit status and its output, as text and as bytes."""

    def __init__(self, arguments: Sequence[str], status: int, output: bytes, errors: bytes) -> None:
        self.arguments = list(arguments)
        self.status = status
        self.output = output
        self.stdout = output.decode(errors="replace")
        self.stderr = errors.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines of the standard output."""
        return self.stdout.splitlines()

    @property
    def word(self) -> str:
        """The standard output without the white space around it."""
        return self.stdout.strip()

    def json(self) -> Any:
        """The standard output as one JSON document."""
        return json.loads(self.stdout)

    def error_line(self) -> str:
        """The one line that an error of the user's makes; asserts that it is one line in the house's form."""
        lines = self.stderr.strip().splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("ocirun: "), self.stderr
        return lines[0]

    def __repr__(self) -> str:
        return (
            f"ocirun {' '.join(self.arguments)} -> {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


def check_no_traceback(result: Result) -> None:
    """No user ever sees a traceback, or the report of a sanitizer."""
    for word in ("Traceback (most recent call last)", "this is a bug of ocirun", *REPORTS):
        assert word not in result.stderr, repr(result)


class Ocirun:
    """The CLI with its own root and runroot below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.runroot = directory / "run"
        self.kept_errors: list[str] = []
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_DATA_HOME"}},
            "OCIRUN_ROOT": str(self.root),
            "OCIRUN_RUNROOT": str(self.runroot),
            "HOME": str(directory),
        }

    def start(
        self, *arguments: str, stdin: int | None = subprocess.DEVNULL, **options: Any
    ) -> "subprocess.Popen[bytes]":
        """Start a command whose output is on pipes."""
        environment = {**self.environment, **options.pop("env", {})}
        if SANITIZED and "stderr" not in options:
            options["stderr"] = self.errors_file()
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([*COMMAND, *arguments], stdin=stdin, env=environment, **options)

    def __call__(
        self,
        *arguments: str,
        status: int | None = 0,
        input: bytes | str | None = None,
        timeout: float = SECONDS,
        **options: Any,
    ) -> Result:
        """Run a command to its end and assert its exit status (None: any)."""
        data = input.encode() if isinstance(input, str) else input
        with self.errors_file() as errors:
            options = {"stderr": errors, **options}
            process = self.start(*arguments, stdin=subprocess.DEVNULL if data is None else subprocess.PIPE, **options)
            try:
                output, _ = process.communicate(data, timeout)
            except subprocess.TimeoutExpired as late:
                process.kill()
                process.wait()
                text = Path(errors.name).read_bytes()
                raise AssertionError(
                    f"after {timeout} s: {Result(arguments, -1, late.output or b'', text)!r}"
                ) from None
            result = Result(arguments, process.returncode, output or b"", Path(errors.name).read_bytes())
        check_no_traceback(result)
        if status is not None:
            assert result.status == status, repr(result)
        return result

    def errors_file(self) -> "IO[bytes]":
        """A file for standard error. A monitor with sanitizers may write its report long after the command has ended."""
        file = tempfile.NamedTemporaryFile(prefix="ocirun-stderr-", delete=not SANITIZED)  # noqa: SIM115  closed by who asked
        if SANITIZED:
            self.kept_errors.append(file.name)
        return file

    def late_reports(self) -> list[str]:
        """What sanitizers have reported since the last call."""
        texts = [Path(name).read_text(errors="replace") for name in self.kept_errors]
        for name in self.kept_errors:
            os.unlink(name)
        self.kept_errors.clear()
        return [text for text in texts if any(word in text for word in REPORTS)]

    def terminal(self, *arguments: str, rows: int = 24, columns: int = 80) -> "Terminal":
        """Start a command on a terminal of its own."""
        return Terminal([*COMMAND, *arguments], self.environment, rows, columns)

    def inspect(self, name: str) -> Any:
        """The document of one container or image."""
        return self("inspect", name).json()[0]

    def status(self, name: str) -> str:
        """The state of a container in docker's word."""
        return self("inspect", "--format", "{{.State.Status}}", name).word

    def remove_all(self) -> None:
        """Remove every container, by force."""
        identifiers = self("ps", "-aq").lines
        if identifiers:
            self("rm", "-f", "-v", *identifiers)


class Terminal:
    """A process on a pseudo terminal, with its screen as the bytes that it wrote."""

    def __init__(self, command: list[str], environment: dict[str, str], rows: int, columns: int) -> None:
        self.seen = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size; the foreground process gets SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def write(self, text: str | bytes) -> None:
        """Type `text`."""
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def expect(self, pattern: str, timeout: float = SECONDS) -> "re.Match[bytes]":
        """Wait until the screen matches; what was matched is forgotten. Fails with what was seen instead."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern.encode(), self.seen)
            if found:
                self.seen = self.seen[found.end() :]
                return found
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} did not come; seen: {self.seen!r}")

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        self.seen += data
        return bool(data)

    def wait(self, timeout: float = SECONDS) -> int:
        """Read to the end and return the exit status."""
        end = time.monotonic() + timeout
        while self._read(end - time.monotonic()):
            pass
        status = wait_for_exit(self.pid, end - time.monotonic())
        os.close(self.master)
        assert b"Traceback" not in self.seen, self.seen
        return status


def wait_for_exit(pid: int, timeout: float) -> int:
    """The exit status of a child of ours; kills it and fails when it outlives `timeout` seconds."""
    descriptor = os.pidfd_open(pid)
    try:
        ready = select.select([descriptor], [], [], max(0.0, timeout))[0]
    finally:
        os.close(descriptor)
    if not ready:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise AssertionError(f"process {pid} did not end")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(condition: Callable[[], Any], what: str, timeout: float = SECONDS) -> Any:
    """Ask again and again until `condition` is true, for what the kernel tells to nobody but who asks."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        select.select([], [], [], 0.02)


def processes_of(directory: Path, newer_than: int = 0) -> list[str]:
    """Processes that have a file, a mount or a directory below `directory` open, and are not ours to have.

    Only those with a pid above `newer_than`: to look at all takes longer than a container lives.
    """
    found = []
    wanted = str(directory)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    for pid in [pid for pid in pids if pid > newer_than and pid != os.getpid()]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
            links.append(os.readlink(f"/proc/{pid}/cwd"))
            mounts = Path(f"/proc/{pid}/mountinfo").read_text(errors="replace")
        except OSError:
            continue
        if any(link.startswith(wanted) for link in links) or wanted in mounts or wanted in command:
            found.append(f"{pid}: {command}")
    return found


def locks_held(directory: Path) -> list[str]:
    """Lock files below `directory` that somebody still holds."""
    held = []
    for base, _, names in os.walk(directory):
        for name in [name for name in names if name.endswith("lock")]:
            with open(os.path.join(base, name), "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held.append(os.path.join(base, name))
    return held


def entries(directory: Path) -> list[str]:
    """The names in a directory; none where it does not exist."""
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def leftovers(ocirun: Ocirun) -> dict[str, list[str]]:
    """What a store still holds of containers that are gone; empty when all is clean."""
    processes: list[str] = []
    try:
        # A monitor ends right after its last message, or removes what nobody sees any more; give it the time.
        until(lambda: not processes_of(ocirun.directory), "processes to end", timeout=5)
    except AssertionError:
        processes = processes_of(ocirun.directory)
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {ocirun.directory}" in line]
    found = {
        "mounts": mounts,
        "containers": entries(ocirun.root / "containers"),
        "names": entries(ocirun.root / "names"),
        "staging": entries(ocirun.root / "tmp"),
        "runroot": entries(ocirun.runroot),
        "locks": locks_held(ocirun.root),
        "reports": ocirun.late_reports(),
        "processes": processes,
    }
    return {kind: names for kind, names in found.items() if names}


def busybox_path() -> str:
    """A statically linked busybox of this machine, or "" where there is none."""
    path = shutil.which("busybox") or ""
    if path and b"/ld-" in Path(path).read_bytes()[:4096]:
        return ""
    return path


def add_file(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Add a regular file to a tar."""
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.uid, member.gid, member.mtime = len(data), mode, uid, gid, 1_700_000_000
    archive.addfile(member, io.BytesIO(data))


def add_other(
    archive: tarfile.TarFile, name: str, kind: bytes, target: str = "", mode: int = 0o755, uid: int = 0
) -> None:
    """Add a directory, a link or a fifo to a tar."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode, member.uid, member.gid = kind, target, mode, uid, uid
    member.mtime = 1_700_000_000
    archive.addfile(member)


def busybox_tar() -> bytes:
    """A root file system of busybox and its applets, as a tar."""
    path = busybox_path()
    applets = subprocess.run([path, "--list"], check=True, capture_output=True, text=True).stdout.split()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("bin", "etc", "home", "proc", "root", "sys", "dev", "usr", "usr/bin", "var"):
            add_other(archive, name, tarfile.DIRTYPE)
        add_other(archive, "tmp", tarfile.DIRTYPE, mode=0o1777)
        add_other(archive, "home/alice", tarfile.DIRTYPE, uid=1000)
        add_file(archive, "bin/busybox", Path(path).read_bytes(), 0o755)
        for applet in applets:
            if applet != "busybox":
                add_other(archive, f"bin/{applet}", tarfile.SYMTYPE, "/bin/busybox")
        add_file(archive, "etc/passwd", PASSWD.encode())
        add_file(archive, "etc/group", GROUP.encode())
        add_file(archive, "etc/not-executable", b"just text\n")
        add_file(archive, "home/alice/hers", b"hers\n", 0o600, 1000, 1000)
    return stream.getvalue()


def make_tar(members: Sequence[tuple[str, bytes]], path: Path | None = None) -> bytes:
    """A tar of plain files; also written to `path` when one is given."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            add_file(archive, name, data)
    if path:
        path.write_bytes(stream.getvalue())
    return stream.getvalue()


def new_directory() -> Path:
    """A directory for a store, closed to others; not pytest's tmp_path, which cannot remove files of other ids."""
    return Path(tempfile.mkdtemp(prefix="ocirun-test-"))


def remove_directory(directory: Path) -> None:
    """Remove a store with all that the user's subordinate ids own in it."""
    if MODE == "ranges":
        command = ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(directory)]
        subprocess.run(command, check=False, capture_output=True)
    subprocess.run(["chmod", "-R", "u+rwX", str(directory)], check=False, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)
