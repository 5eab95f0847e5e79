"""Volumes and bind mounts whose content fights back."""

import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.security.conftest import PYTHON, member
from tests.system.harness import BUSYBOX, Ocirun, entries

SWAP = """
import os
while True:
    os.rename("a", "b"); os.rename("link", "a"); os.rename("a", "link"); os.rename("b", "a")
"""


def test_copy_up_keeps_links_as_links(ocirun: Ocirun, load_members: Callable[..., str], tmp_path: Path) -> None:
    """What an image has at a volume's place is copied without following anything out of the image."""
    secret = tmp_path / "secret"
    secret.write_text("of the machine\n")
    tmp_path.chmod(0o755)
    image = load_members(
        member("data", tarfile.DIRTYPE),
        member("data/absolute", tarfile.SYMTYPE, linkname=str(secret)),
        member("data/up", tarfile.SYMTYPE, linkname="../" * 20 + str(secret)[1:]),
        member("data/directory", tarfile.SYMTYPE, linkname=str(tmp_path)),
        member("data/fifo", tarfile.FIFOTYPE),
        member("linked", tarfile.SYMTYPE, linkname=str(tmp_path)),
        member("proc-root", tarfile.SYMTYPE, linkname="/proc/1/root"),
    )
    for place in ("/data", "/linked", "/proc-root"):
        script = f"cat {place}/* {place}/*/* 2>/dev/null; ls -l {place}"
        script = script.replace("cat", "timeout 2 cat")
        output = ocirun("run", "--rm", "-v", place, image, "sh", "-c", script, status=None).stdout
        assert "of the machine" not in output
        assert place != "/data" or f"absolute -> {secret}" in output
    assert entries(tmp_path) == ["secret"]


def test_copy_up_below_a_volume_that_changes(ocirun: Ocirun, tmp_path: Path) -> None:
    """CVE-2021-30465: a second container's volume lies in the first's, where directories and links change places."""
    outside = tmp_path / "outside"
    bound = tmp_path / "bound"
    outside.mkdir()
    (outside / "secret").write_text("of the machine\n")
    (bound / "a" / "volume").mkdir(parents=True)
    (bound / "link").symlink_to(outside)
    for path in (tmp_path, outside, bound, bound / "a", bound / "a" / "volume"):
        path.chmod(0o777)
    racer = subprocess.Popen([PYTHON, "-c", SWAP], cwd=bound)
    try:
        for _ in range(60):
            flags = ("-v", f"{bound}:/bound", "-v", "/bound/a")
            script = "cat /bound/a/secret /bound/*/secret; echo x >/bound/a/written; true"
            assert "machine" not in ocirun("run", "--rm", *flags, BUSYBOX, "sh", "-c", script, status=None).stdout
    finally:
        racer.kill()
        racer.wait()
    assert entries(outside) == ["secret"]


def test_removing_volumes_removes_nothing_else(ocirun: Ocirun, tmp_path: Path) -> None:
    """A volume full of links to the machine, removed by the monitor of --rm and by rm -v."""
    (tmp_path / "kept").write_text("kept\n")
    tmp_path.chmod(0o777)
    script = f"cd /data; ln -s {tmp_path} a; ln -s {tmp_path}/kept b; mkdir c; ln -s / c/root; chmod 000 c"
    ocirun("run", "--rm", "-v", "/data", BUSYBOX, "sh", "-c", script)
    ocirun("run", "--name", "linked", "-v", "/data", BUSYBOX, "sh", "-c", script)
    ocirun("rm", "-v", "linked")
    assert entries(tmp_path) == ["kept"]
    assert ocirun("volume", "ls", "-q").stdout == ""


def test_read_only_means_all_of_it(ocirun: Ocirun, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    script = "echo x >/data/x; mount -o remount,rw /data; echo x >/data/y; chmod 700 /data; true"
    ocirun("run", "--rm", "-v", f"{tmp_path}:/data:ro", BUSYBOX, "sh", "-c", script, status=None)
    assert entries(tmp_path) == []


def test_bind_mounts_cannot_be_left_upwards(ocirun: Ocirun, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret").write_text("of the machine\n")
    tmp_path.chmod(0o755)
    result = ocirun("run", "--rm", "-v", f"{inner}:/data", "-w", "/data", BUSYBOX, "cat", "../secret", status=None)
    assert result.status != 0
    code = (
        "import os\nfd = os.open('/data', os.O_RDONLY)\nos.makedirs('/opt/j', exist_ok=True)\nos.chroot('/opt/j')\nos.fchdir(fd)\n"
        "for _ in range(50): os.chdir('..')\nos.chroot('.')\nprint(sorted(os.listdir('/')))"
    )
    if PYTHON.startswith("/usr/"):
        # The escape of old: chroot with a directory open outside. Where it ends is the container's root.
        out = ocirun("run", "--rm", "-v", f"{inner}:/data", "host", PYTHON, "-I", "-c", code).stdout
        assert "'data'" in out
        assert os.path.basename(tmp_path) not in out
