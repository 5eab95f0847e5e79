"""machine.py [--modes ranges,single,root] [--jobs N] [--sanitize] [pytest's arguments]: runs the system and security tests once in each id mode.

As root, each run gets a machine of its own kind, in a private mount namespace that ends with it: pure cgroup2 on
/sys/fs/cgroup, /dev/net/tun open to users, and for the modes `ranges` and `single` an ordinary user, who has
subordinate ids. In the mode `single` newuidmap is not on PATH. As an ordinary user the modes are those that this
machine offers. The summary counts by mode; the last line counts all.

    machine.py --enter MODE COMMAND...    runs one command in the machine of that mode, to try things by hand
"""

import argparse
import compileall
import ctypes
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
MODES = ("ranges", "single", "root")
USER = "ocirun-test"
SUBORDINATE = (500000, 65536)

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE, MS_BIND = 16384, 1 << 18, 4096
MNT_DETACH = 2
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """One call of the C library; raises OSError when it fails."""
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())


def make_user() -> pwd.struct_passwd:
    """The ordinary user of the tests, with subordinate ids; made when it is not there yet."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
    for path in ("/etc/subuid", "/etc/subgid"):
        present = Path(path).read_text() if os.path.exists(path) else ""
        if not re.search(rf"^{USER}:", present, re.MULTILINE):
            with open(path, "a") as file:
                file.write(f"{USER}:{SUBORDINATE[0]}:{SUBORDINATE[1]}\n")
    return pwd.getpwnam(USER)


def closed_ancestor(path: Path) -> Path | None:
    """The topmost directory above or at `path` that an ordinary user cannot enter."""
    for ancestor in [*reversed(path.parents), path]:
        if ancestor.is_dir() and not ancestor.stat().st_mode & 0o001:
            return ancestor
    return None


def open_the_way(trees: list[Path]) -> None:
    """Make `trees` reachable for an ordinary user under their own paths, in this mount namespace alone.

    A checkout or a Python below a closed directory such as /root is bound onto a tmpfs that hides the rest of it.
    """
    kept = [(tree, os.open(tree, os.O_PATH | os.O_CLOEXEC)) for tree in trees]
    covered: set[Path] = set()
    for tree, descriptor in kept:
        closed = next((parent for parent in [*tree.parents] if parent in covered), closed_ancestor(tree.parent))
        if closed is None:
            continue
        if closed not in covered:
            mount("tmpfs", str(closed), "tmpfs", data="mode=755")
            covered.add(closed)
        tree.mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{descriptor}", str(tree), "", MS_BIND | MS_REC)
    for _, descriptor in kept:
        os.close(descriptor)


def private_machine() -> None:
    """Leave the mount namespace of this machine for one with pure cgroup2 and an open /dev/net/tun."""
    call("unshare", CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    while os.path.ismount("/sys/fs/cgroup"):
        call("umount2", b"/sys/fs/cgroup", MNT_DETACH)
    mount("none", "/sys/fs/cgroup", "cgroup2")
    os.makedirs("/dev/net", exist_ok=True)
    mount("tmpfs", "/dev/net", "tmpfs", data="mode=755")
    os.mknod("/dev/net/tun", 0o020666, os.makedev(10, 200))
    os.chmod("/dev/net/tun", 0o666)


def path_without_newuidmap(directory: str) -> str:
    """A PATH of one directory: links to all programs of this machine but newuidmap and newgidmap."""
    os.chmod(directory, 0o755)
    for place in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"):
        if os.path.isdir(place):
            for name in os.listdir(place):
                if name not in {"newuidmap", "newgidmap"} and not os.path.lexists(f"{directory}/{name}"):
                    os.symlink(f"{place}/{name}", f"{directory}/{name}")
    return directory


def mount_special_disks(scratch: str, uid: int) -> dict[str, str]:
    """A disk of 8 MiB and a read-only one, which only root can make; the variables that name them."""
    small, fixed = f"{scratch}/small-disk", f"{scratch}/read-only-disk"
    for path in (small, fixed):
        os.mkdir(path)
    mount("tmpfs", small, "tmpfs", data=f"size=8m,mode=700,uid={uid}")
    mount("tmpfs", fixed, "tmpfs", flags=1, data=f"size=64k,mode=755,uid={uid}")
    return {"OCIRUN_TEST_SMALL_DISK": small, "OCIRUN_TEST_READ_ONLY_DISK": fixed}


def environment_for(mode: str, home: str, scratch: str) -> dict[str, str]:
    """The environment of a run: little, so that no variable of whoever started it makes a difference."""
    kept = {name: os.environ[name] for name in ("CI", "TERM", "COLUMNS") if name in os.environ}
    kept.update({name: value for name, value in os.environ.items() if name.startswith("OCIRUN_TEST_")})
    kept.update(HOME=home, LANG="C.UTF-8", PYTHONDONTWRITEBYTECODE="1", PYTHONPATH=str(TOP), OCIRUN_TEST_MODE=mode)
    kept["PATH"] = (
        path_without_newuidmap(scratch)
        if mode == "single"
        else "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    return kept


def enter(mode: str, scratch: str) -> dict[str, str]:
    """Become what `mode` needs, for good, and return the environment to run with. Only root changes anything."""
    if os.geteuid() != 0:
        return environment_for(mode, os.environ.get("HOME", scratch), scratch)
    user = None if mode == "root" else make_user()
    private_machine()
    special = tempfile.mkdtemp(prefix="ocirun-disks-", dir="/dev/net")  # inside this mount namespace alone
    os.chmod(special, 0o755)
    os.environ.update(mount_special_disks(special, user.pw_uid if user else 0))
    if user is None:
        return environment_for(mode, "/root", scratch)
    open_the_way([TOP, Path(sys.prefix), Path(os.path.realpath(sys.executable)).parents[1]])
    runtime = f"/run/user/{user.pw_uid}"
    os.makedirs(runtime, exist_ok=True)
    os.chown(runtime, user.pw_uid, user.pw_gid)
    os.chmod(runtime, 0o700)
    environment = environment_for(mode, user.pw_dir, scratch)
    environment.update(USER=USER, XDG_RUNTIME_DIR=runtime)
    os.initgroups(USER, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.chdir(TOP)
    return environment


def start_mode(mode: str, arguments: list[str], scratch: str) -> "subprocess.Popen[bytes]":
    """Start pytest in the machine of `mode`, its output on a pipe."""
    places = [] if any(word.startswith("tests/") for word in arguments) else ["tests/system", "tests/security"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *places, *arguments]
    again = [sys.executable, str(Path(__file__).resolve()), "--scratch", scratch, "--enter", mode, *command]
    return subprocess.Popen(again, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def run_mode(mode: str, arguments: list[str], *, live: bool) -> tuple[int, dict[str, int]]:
    """Run the system tests in one mode and print what they print: as it comes, or at the end in one piece.

    Returns the status and pytest's counts by outcome.
    """
    start = time.monotonic()
    last = ""
    seen = [f"\n===== system tests, id mode {mode} =====\n".encode()]
    with (
        tempfile.TemporaryDirectory(prefix="ocirun-machine-") as scratch,
        start_mode(mode, arguments, scratch) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(line)
            if live:
                sys.stdout.buffer.write(b"".join(seen))
                sys.stdout.buffer.flush()
                seen = []
            if re.search(rb"\d+ (passed|failed|skipped|error|deselected).* in [\d.]+s", line):
                last = line.decode(errors="replace")
    seen.append(f"id mode {mode}: {time.monotonic() - start:.0f} s\n".encode())
    sys.stdout.buffer.write(b"".join(seen))
    sys.stdout.buffer.flush()
    found = re.findall(r"(\d+) (passed|failed|skipped|error)", last)
    return process.returncode, {outcome: int(count) for count, outcome in found}


def possible_modes() -> list[str]:
    """The modes that this user can have here."""
    if os.geteuid() == 0:
        return list(MODES)
    name = pwd.getpwuid(os.geteuid()).pw_name
    lines = Path("/etc/subuid").read_text().splitlines() if os.path.exists("/etc/subuid") else []
    has_ranges = any(line.split(":")[0] in {name, str(os.geteuid())} for line in lines)
    return ["ranges", "single"] if has_ranges and shutil.which("newuidmap") else ["single"]


def run_all(modes: list[str], arguments: list[str], jobs: int) -> int:
    """Run every mode, `jobs` of them at a time, print the counts by mode and the sum; the exit status."""
    totals: dict[str, int] = {}
    rows = []
    failed = False
    # The user of the tests cannot write beside the modules; without this each start would compile them again.
    compileall.compile_dir(TOP / "ocirun", quiet=1)
    if os.geteuid() == 0:
        make_user()
    live = jobs == 1 or len(modes) == 1
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        results = list(pool.map(lambda mode: run_mode(mode, arguments, live=live), modes))
    for mode, (status, counts) in zip(modes, results, strict=True):
        failed = failed or status != 0 or not counts
        rows.append(
            f"{mode:8}"
            + "".join(f"{counts.get(kind, 0):6} {kind}" for kind in ("passed", "failed", "error", "skipped"))
        )
        for kind, count in counts.items():
            totals[kind] = totals.get(kind, 0) + count
    print("\nsystem tests by id mode:\n" + "\n".join(rows))
    for mode in MODES:
        if mode not in modes:
            print(
                f"{mode:8}  not run: {'not asked for' if mode in possible_modes() else 'this user cannot have it here'}"
            )
    wrong = totals.get("failed", 0) + totals.get("error", 0)
    print(f"{totals.get('passed', 0)} passed, {wrong} failed, {totals.get('skipped', 0)} skipped", flush=True)
    return 1 if failed or wrong else 0


def sanitized(arguments: list[str]) -> int:
    """Build the C core with ASan and UBSan in a copy of the checkout, and run the system tests there."""
    with tempfile.TemporaryDirectory(prefix="ocirun-sanitize-") as scratch:
        copy = Path(scratch) / "ocirun"
        left_out = shutil.ignore_patterns(".git", ".venv", "build", "dist", "*.so", "libexec")
        shutil.copytree(TOP, copy, ignore=left_out, symlinks=True)
        os.chmod(scratch, 0o755)
        environment = {**os.environ, "OCIRUN_SANITIZE": "1"}
        subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--inplace"], cwd=copy, env=environment, check=True
        )
        command = [sys.executable, str(copy / "tests/system/machine.py"), *arguments]
        return subprocess.run(command, env={**os.environ, "OCIRUN_TEST_SANITIZE": "1"}, check=False).returncode


def main() -> int:
    """Read the words and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", help="comma-separated (default: all that this user can have)")
    parser.add_argument("--sanitize", action="store_true", help="with the C core under ASan and UBSan")
    parser.add_argument(
        "--jobs", type=int, default=1, help="modes at a time; with more than one each prints at its end"
    )
    parser.add_argument("--scratch", help=argparse.SUPPRESS)
    parser.add_argument("--enter", nargs=argparse.REMAINDER, help="run one command: --enter MODE COMMAND...")
    known, rest = parser.parse_known_args()
    if known.enter:
        scratch = known.scratch or tempfile.mkdtemp(prefix="ocirun-machine-")
        environment = enter(known.enter[0], scratch)
        os.execvpe(known.enter[1], known.enter[1:], environment)
    modes = known.modes.split(",") if known.modes else possible_modes()
    if known.sanitize:
        return sanitized([f"--modes={','.join(modes)}", f"--jobs={known.jobs}", *rest])
    return run_all(modes, rest, known.jobs)


if __name__ == "__main__":
    sys.exit(main())
