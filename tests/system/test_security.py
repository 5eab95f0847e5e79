"""What a container may see and reach: an oracle of allowed descriptors, mounts and variables, and known attacks."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, entries

ALLOWED_MOUNTS = {
    "/",
    "/dev",
    "/dev/console",
    "/dev/full",
    "/dev/mqueue",
    "/dev/null",
    "/dev/pts",
    "/dev/random",
    "/dev/shm",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/proc/acpi",
    "/proc/asound",
    "/proc/bus",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/irq",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/cgroup",
}


def shell(ocirun: Ocirun, script: str, *flags: str) -> str:
    return ocirun("run", "--rm", *flags, BUSYBOX, "sh", "-c", script).stdout


@pytest.mark.parametrize("flags", [[], ["-i"], ["--init"], ["--network", "host"]])
def test_no_descriptor_leaks_in(ocirun: Ocirun, flags: list[str]) -> None:
    held = socket.socket()
    script = "for fd in /proc/self/fd/*; do echo ${fd##*/} $(readlink $fd); done"
    process = ocirun("run", "--rm", *flags, BUSYBOX, "sh", "-c", script, pass_fds=[held.fileno()])
    held.close()
    # The shell's own look at the directory has no target any more.
    numbers = {line.split()[0] for line in process.lines if " " in line and "/proc/" not in line}
    assert numbers <= {"0", "1", "2"}, process


def test_no_descriptor_leaks_into_exec(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    lines = ocirun("exec", name, "ls", "-l", "/proc/self/fd").lines
    targets = [line.split(" -> ")[1] for line in lines if " -> " in line]
    assert all(target.startswith(("pipe:", "socket:", "/dev/null", "/proc/")) for target in targets), targets


def test_descriptors_of_process_1_and_the_paths_behind_them(ocirun: Ocirun) -> None:
    links = shell(ocirun, "ls -l /proc/1/fd | sed -n 's/.* -> //p'").split()
    assert not [link for link in links if link.startswith("/") and not link.startswith(("/dev/null", "/proc/"))], links


def test_only_the_mounts_that_are_meant(ocirun: Ocirun) -> None:
    lines = shell(ocirun, "cat /proc/self/mountinfo").splitlines()
    targets = {line.split()[4] for line in lines}
    assert targets <= ALLOWED_MOUNTS, targets - ALLOWED_MOUNTS
    assert {"/", "/proc", "/dev", "/sys", "/dev/pts", "/dev/shm"} <= targets
    assert not [line for line in lines if " shared:" in line]
    for line in lines:
        target, options = line.split()[4:6]
        if target in {"/proc", "/sys", "/dev/shm", "/dev/mqueue"}:
            assert {"nosuid", "nodev", "noexec"} <= set(options.split(",")), line
        if target == "/sys":
            assert "ro" in options.split(","), line


def test_masked_and_read_only_paths(ocirun: Ocirun) -> None:
    script = (
        "head -c 1 /proc/kcore /proc/keys /proc/timer_list 2>&1; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null"
    )
    assert [
        line
        for line in shell(ocirun, script + "; true").splitlines()
        if line and not line.startswith(("==>", "head", "/"))
    ] == []
    for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/overcommit_memory"):
        result = ocirun("run", "--rm", BUSYBOX, "sh", "-c", f"echo 0 >{path}", status=None)
        assert result.status != 0
        assert re.search("Read-only|ermission denied|nonexistent", result.stderr), result


def test_dangerous_system_calls_are_refused(ocirun: Ocirun) -> None:
    for command in (
        "mount -t tmpfs none /tmp",
        "unshare -U true",
        "unshare -m true",
        "dmesg",
        "swapoff -a",
        "date -s 2000-01-01",
    ):
        result = ocirun("run", "--rm", BUSYBOX, "sh", "-c", command, status=None)
        assert result.status != 0 or "not permitted" in result.stderr, command


def test_the_helper_cannot_be_reached_through_proc_self_exe(ocirun: Ocirun, import_tar: Callable[..., str]) -> None:
    """CVE-2019-5736: the entrypoint is /proc/self/exe, or a script whose interpreter it is."""
    image = import_tar({"evil": b"#!/proc/self/exe\n"}, modes={"evil": 0o755})
    for words in (["/proc/self/exe"], ["/evil"]):
        result = ocirun("run", "--rm", image, *words, status=None)
        assert result.status != 0
        assert "ocirun-init" not in result.stdout
    script = "ls -l /proc/1/exe; for i in 1 2 3 4 5; do (echo x >/proc/1/exe) 2>&1; done; true"
    output = shell(ocirun, script, "--init")
    assert "x" not in output.splitlines()[1:]
    assert ocirun("run", "--rm", "--init", BUSYBOX, "echo", "still whole").stdout == "still whole\n"


def test_init_s_own_program_is_sealed(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--init", "--name", name, BUSYBOX, "sleep", "600")
    link = ocirun("exec", name, "readlink", "/proc/1/exe", status=None).stdout
    assert "memfd" in link or link == ""
    result = ocirun("exec", name, "sh", "-c", "cat /bin/busybox >/proc/1/exe", status=None)
    assert result.status != 0


@pytest.mark.parametrize("number", range(3, 10))
def test_working_directory_through_a_descriptor(ocirun: Ocirun, number: int) -> None:
    """CVE-2024-21626: a working directory that is a descriptor of the host."""
    result = ocirun("run", "--rm", "-w", f"/proc/self/fd/{number}", BUSYBOX, "sh", "-c", "pwd; ls /..", status=None)
    assert result.status != 0 or "bin" in result.stdout.split()
    assert "(unreachable)" not in result.stdout


def test_working_directory_link_to_the_host_is_made_inside(ocirun: Ocirun, tmp_path: Path, name: str) -> None:
    """CVE-2026-55686: WORKDIR is a link to a path that exists on the host alone."""
    ocirun("run", "--name", name, BUSYBOX, "ln", "-s", f"{tmp_path}/outside", "/link")
    ocirun("commit", name, "with-link")
    ocirun("run", "--rm", "-w", "/link/made", "with-link", "true", status=None)
    assert entries(tmp_path) == []
    ocirun("rm", name)
    ocirun("rmi", "with-link")


@pytest.mark.parametrize("path", ["/proc", "/sys"])
def test_image_that_replaces_a_mount_point_by_a_link(ocirun: Ocirun, path: str, name: str, tmp_path: Path) -> None:
    """CVE-2019-19921: /proc as a link to elsewhere, so that masks land elsewhere."""
    import io
    import tarfile

    from tests.system.harness import add_file, add_other, busybox_path

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        add_other(archive, "bin", tarfile.DIRTYPE)
        add_other(archive, "elsewhere", tarfile.DIRTYPE)
        add_file(archive, "bin/busybox", Path(busybox_path()).read_bytes(), 0o755)
        add_other(archive, path.lstrip("/"), tarfile.SYMTYPE, "/elsewhere")
    ocirun("import", "-", "linked", input=stream.getvalue())
    result = ocirun("run", "--rm", "linked", "/bin/busybox", "ls", "-ld", path, status=None)
    assert result.status != 0 or result.stdout.startswith("d"), result
    ocirun("rmi", "linked")


def test_sockets_and_stores_are_closed_to_others(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sleep", "600")
    assert ocirun.root.stat().st_mode & 0o077 == 0
    assert ocirun.runroot.stat().st_mode & 0o077 == 0
    assert "@ocirun" not in Path("/proc/net/unix").read_text()


def test_new_privileges(ocirun: Ocirun) -> None:
    look = ("grep", "NoNewPrivs", "/proc/self/status")
    assert ocirun("run", "--rm", BUSYBOX, *look).stdout == "NoNewPrivs:\t0\n"
    limited = ocirun("run", "--rm", "--security-opt", "no-new-privileges", BUSYBOX, *look)
    assert limited.stdout == "NoNewPrivs:\t1\n"
