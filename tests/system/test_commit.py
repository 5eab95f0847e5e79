"""diff and commit: what a container changed, as a list and as a layer; and the image `host`."""

import fcntl
import json
import os
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, until

# _IOWR("f", 11, struct fiemap), which the fcntl module does not know (linux/fs.h).
FS_IOC_FIEMAP = 0xC020660B
CHANGES = "echo new >/new; rm /etc/group; echo more >>/etc/passwd; mkdir -p /dir/sub; touch /dir/sub/x; rm -rf /var; mkdir /var; chmod 700 /home"
LISTED = {"A /new", "C /etc", "D /etc/group", "C /etc/passwd", "A /dir", "A /dir/sub", "A /dir/sub/x", "C /home"}


def test_diff(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", CHANGES)
    lines = ocirun("diff", name).lines
    assert set(lines) >= LISTED
    assert {line[2:] for line in lines} - {line[2:] for line in LISTED} <= {"/var", "/root"}
    ocirun("create", "--name", f"{name}-2", BUSYBOX, "true")
    assert ocirun("diff", f"{name}-2").stdout == ""


def test_commit_then_run(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, BUSYBOX, "sh", "-c", CHANGES)
    identifier = ocirun(
        "commit", "-a", "somebody", "-m", "a message", "-c", 'CMD ["cat", "/new"]', name, "changed:v1"
    ).word
    assert identifier.startswith("sha256:")
    assert ocirun("run", "--rm", "changed:v1").stdout == "new\n"
    script = "test ! -e /etc/group && tail -n 1 /etc/passwd; stat -c %a /home; ls -A /var"
    assert ocirun("run", "--rm", "changed:v1", "sh", "-c", script).stdout == "more\n700\n"
    document = ocirun.inspect("changed:v1")
    assert (document["Author"], document["Comment"], document["Id"]) == ("somebody", "a message", identifier)
    assert len(document["RootFS"]["Layers"]) == 2
    assert "a message" in ocirun("history", "changed:v1").stdout
    assert ocirun("validate", "changed:v1").status == 0
    ocirun("rmi", "changed:v1")


def test_commit_without_a_name_and_of_a_running_container(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "-d", "--name", name, BUSYBOX, "sh", "-c", "echo x >/x; while :; do sleep 0.05; done")
    until(lambda: "A /x" in ocirun("diff", name).lines, "the change")
    for flag in ("--pause=true", "--pause=false"):
        identifier = ocirun("commit", flag, name).word
        assert ocirun.status(name) == "running"
        assert ocirun("run", "--rm", identifier, "cat", "/x").stdout == "x\n"
        ocirun("rmi", identifier)


def test_layer_of_a_commit_is_reproducible(ocirun: Ocirun, name: str) -> None:
    ocirun(
        "run",
        "--name",
        name,
        BUSYBOX,
        "sh",
        "-c",
        "mkdir /d; for i in 3 1 2; do echo $i >/d/$i; done; ln /d/1 /d/hard; mkfifo /d/fifo",
    )
    layers = {
        ocirun.inspect(ocirun("commit", name, f"again:{number}").word)["RootFS"]["Layers"][-1] for number in range(3)
    }
    assert len(layers) == 1
    assert ocirun("run", "--rm", "again:1", "sh", "-c", "stat -c %h /d/hard; test -p /d/fifo && ls /d").lines == [
        "2",
        "1",
        "2",
        "3",
        "fifo",
        "hard",
    ]
    ocirun("rmi", "again:0", "again:1", "again:2")


def test_volumes_and_mounts_are_not_committed(ocirun: Ocirun, name: str, tmp_path: Path) -> None:
    ocirun(
        "run",
        "--name",
        name,
        "-v",
        f"{tmp_path}:/m",
        "--tmpfs",
        "/t",
        BUSYBOX,
        "sh",
        "-c",
        "touch /m/x /t/x /etc/resolv.conf",
    )
    assert [line for line in ocirun("diff", name).lines if line.endswith("/x")] == []


def test_commit_of_nobody_and_to_no_name(ocirun: Ocirun, name: str) -> None:
    assert "No such container: nobody" in ocirun("commit", "nobody", "x", status=1).error_line()
    ocirun("create", "--name", name, BUSYBOX, "true")
    assert ocirun("commit", name, "NOT-LOWER", status=1).error_line()


def test_host_runs_this_machine_s_programs(empty: Ocirun) -> None:
    outside = subprocess.run(
        ["sh", "-c", "id -u root; ls /usr | head -n 3"], capture_output=True, text=True, check=True
    ).stdout
    assert empty("run", "--rm", "host", "sh", "-c", "id -u; ls /usr | head -n 3").stdout == outside


def unflushed(path: Path) -> bool:
    """Whether the file has content that the file system has no place on the disk for yet (FIEMAP's flag DELALLOC)."""
    delayed, everything = 0x4, (1 << 64) - 1
    with path.open("rb") as file:
        request = bytearray(struct.pack("=QQLLLL", 0, everything, 0, 0, 64, 0) + bytes(64 * 56))
        fcntl.ioctl(file, FS_IOC_FIEMAP, request)
    count = struct.unpack_from("=L", request, 20)[0]
    return any(struct.unpack_from("=L", request, 32 + 56 * index + 40)[0] & delayed for index in range(count))


def test_what_host_copies_is_on_disk(empty: Ocirun) -> None:
    """A power cut must not leave empty files under a name that says that they are good."""
    probe = empty.directory / "probe"
    probe.write_bytes(b"x" * 8192)
    try:
        if not unflushed(probe):
            pytest.skip("this file system does not tell what it has flushed")
    except OSError as error:
        pytest.skip(f"this file system does not tell what it has flushed: {error.strerror}")
    empty("run", "--rm", "host", "true")
    layers = empty.root / "layers" / "host"
    copies = [
        path for path in layers.rglob("*") if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)
    ]
    assert any(path.stat().st_size for path in copies)
    assert [path for path in copies if path.stat().st_size and unflushed(path)] == []


def test_host_writes_nothing_to_this_machine(empty: Ocirun, name: str) -> None:
    script = "echo x >/etc/ocirun-was-here; mkdir -p /opt/ocirun-was-here; rm -f /etc/passwd; cd; pwd; ls -A . /tmp; echo t >/tmp/t"
    result = empty("run", "--name", name, "host", "sh", "-c", script)
    assert result.lines[0] == "/root"
    assert not Path("/etc/ocirun-was-here").exists()
    assert not Path("/opt/ocirun-was-here").exists()
    assert Path("/etc/passwd").exists()
    lines = empty("diff", name).lines
    assert {"A /etc/ocirun-was-here", "A /opt/ocirun-was-here", "D /etc/passwd"} <= set(lines)


def test_host_hides_home_and_tmp(empty: Ocirun, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    script = f"ls -A /tmp; test -e {tmp_path}/x && echo seen; test -e {empty.root} && echo seen; ls -A {home}; ls -A ~"
    outside = {"HOME": str(home), "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}
    assert ".ssh" not in empty("run", "--rm", "host", "sh", "-c", script, status=None, env=outside).stdout
    assert empty("run", "--rm", "host", "sh", "-c", script, status=None, env={"HOME": "/home/dev"}).stdout == ""
    empty("run", "--rm", "-v", f"{tmp_path}:{tmp_path}", "host", "sh", "-c", f"touch {tmp_path}/made")
    assert (tmp_path / "made").exists()


def test_host_main_job(empty: Ocirun, tmp_path: Path, name: str) -> None:
    """run, change, diff, commit, save, load into another store, run."""
    empty("run", "--name", name, "host", "sh", "-c", "mkdir -p /opt/made; echo content >/opt/made/file")
    empty("commit", "-m", "made on the host", name, "made:v1")
    archive = tmp_path / "made.tar"
    empty("save", "-o", str(archive), "made:v1")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert {"oci-layout", "index.json", "manifest.json"} <= set(names)
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]  # it is a regular file
    assert manifest[0]["RepoTags"] == ["docker.io/library/made:v1"]
    empty("rm", name)
    empty("rmi", "made:v1")
    assert empty("load", "-i", str(archive)).stdout == "Loaded image: made:v1\n"
    assert empty("run", "--rm", "made:v1", "cat", "/opt/made/file").stdout == "content\n"


def test_host_on_a_terminal(empty: Ocirun) -> None:
    terminal = empty.terminal("run", "--rm", "-it", "host", "sh")
    terminal.expect(r"[#$] ")
    terminal.write("test -t 0 && echo termi''nal; exit 2\r")
    terminal.expect("terminal\r\n")
    assert terminal.wait() == 2


def test_host_is_reserved(empty: Ocirun, busybox_archive: Path) -> None:
    assert "host" in empty("import", str(busybox_archive), "host", status=1).error_line()


@pytest.mark.parametrize("place", ["/var/tmp", "/opt"])
@pytest.mark.root
def test_host_with_a_store_inside_its_own_lowers(place: str) -> None:
    """The kernel refuses an upper inside its lower; a store below /var is the default of root."""
    import shutil
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="ocirun-test-", dir=place))
    try:
        ocirun = Ocirun(directory)
        assert ocirun("run", "--rm", "host", "sh", "-c", f"touch {place}/x && echo works").stdout == "works\n"
        assert not Path(f"{place}/x").exists()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
