"""-v, --mount, --tmpfs: what is mounted, how, and who keeps it."""

import os
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, MODE, Ocirun, entries


def shell(ocirun: Ocirun, script: str, *flags: str) -> str:
    return ocirun("run", "--rm", *flags, BUSYBOX, "sh", "-c", script).stdout


def test_bind_is_seen_from_both_sides(ocirun: Ocirun, tmp_path: Path) -> None:
    (tmp_path / "from-outside").write_text("hello\n")
    assert shell(ocirun, "cat /m/from-outside; echo back >/m/from-inside", "-v", f"{tmp_path}:/m") == "hello\n"
    assert (tmp_path / "from-inside").read_text() == "back\n"
    assert (tmp_path / "from-inside").stat().st_uid == os.getuid()


def test_bind_of_a_file(ocirun: Ocirun, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one\n")
    assert shell(ocirun, "cat /etc/one", "-v", f"{file}:/etc/one:ro") == "one\n"


@pytest.mark.parametrize(
    "flags", [["-v", "{}:/m:ro"], ["--mount", "type=bind,source={},target=/m,readonly"], ["-v", "{}:/m:ro,z"]]
)
def test_read_only_bind(ocirun: Ocirun, tmp_path: Path, flags: list[str]) -> None:
    words = [word.format(tmp_path) for word in flags]
    result = ocirun("run", "--rm", *words, BUSYBOX, "touch", "/m/new", status=1)
    assert "Read-only file system" in result.stderr
    result = ocirun(
        "run", "--rm", "--cap-add", "ALL", *words, BUSYBOX, "mount", "-o", "remount,rw,bind", "/m", status=None
    )
    assert entries(tmp_path) == []


def test_bind_makes_the_source_and_mount_does_not(ocirun: Ocirun, tmp_path: Path) -> None:
    assert shell(ocirun, "ls -A /m", "-v", f"{tmp_path}/made:/m") == ""
    assert (tmp_path / "made").is_dir()
    result = ocirun("run", "--rm", "--mount", f"type=bind,src={tmp_path}/missing,dst=/m", BUSYBOX, "true", status=125)
    assert f"{tmp_path}/missing" in result.error_line()
    assert not (tmp_path / "missing").exists()


def test_named_volume_is_kept_and_filled_from_the_image(ocirun: Ocirun, name: str) -> None:
    assert shell(ocirun, "ls /etc; echo more >/etc/more", "-v", f"{name}:/etc").split()[0] == "group"
    assert shell(ocirun, "cat /v/more /v/passwd | head -n 2", "-v", f"{name}:/v").startswith("more\nroot:")
    assert name in ocirun("volume", "ls", "-q").lines
    result = ocirun("run", "--rm", "-v", f"{name}:/v", BUSYBOX, "ls", "-n", "/v/more")
    assert result.stdout.split()[2] == "0"
    assert ocirun("volume", "rm", name).word == name
    assert entries(ocirun.root / "volumes") == []


def test_volume_in_use_is_not_removed(ocirun: Ocirun, name: str) -> None:
    ocirun("create", "--name", name, "-v", f"{name}:/v", BUSYBOX, "true")
    assert "volume is in use" in ocirun("volume", "rm", name, status=1).error_line()
    ocirun("rm", name)
    ocirun("volume", "rm", name)


def test_nocopy(ocirun: Ocirun, name: str) -> None:
    assert shell(ocirun, "ls -A /etc | grep -c passwd || true", "-v", f"{name}:/etc:nocopy").strip() == "0"
    ocirun("volume", "rm", name)


def test_anonymous_volume_goes_with_rm(ocirun: Ocirun, name: str) -> None:
    assert shell(ocirun, "touch /v/x; ls /v", "-v", "/v") == "x\n"
    assert entries(ocirun.root / "volumes") == []
    ocirun("run", "--name", name, "-v", "/v", BUSYBOX, "touch", "/v/x")
    assert len(entries(ocirun.root / "volumes")) == 1
    mount = ocirun.inspect(name)["Mounts"][0]
    assert (mount["Type"], mount["Destination"], mount["RW"]) == ("volume", "/v", True)
    ocirun("rm", "-v", name)
    assert entries(ocirun.root / "volumes") == []


def test_mounts_in_inspect(ocirun: Ocirun, tmp_path: Path, name: str) -> None:
    ocirun("create", "--name", name, "-v", f"{tmp_path}:/m:ro", BUSYBOX, "true")
    mount = ocirun.inspect(name)["Mounts"][0]
    assert (mount["Type"], mount["Source"], mount["Destination"], mount["RW"]) == ("bind", str(tmp_path), "/m", False)


def test_mount_over_a_symlink_stays_inside(ocirun: Ocirun, tmp_path: Path, name: str) -> None:
    """A target that is a link to a path of the host is that path inside the container."""
    ocirun("run", "--name", name, BUSYBOX, "ln", "-s", f"{tmp_path}/outside", "/link")
    ocirun("commit", name, "with-link")
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("inside\n")
    result = ocirun(
        "run", "--rm", "-v", f"{source}:/link", "with-link", "cat", "/link/file", f"{tmp_path}/outside/file"
    )
    assert result.stdout == "inside\ninside\n"
    assert not (tmp_path / "outside").exists()
    ocirun("rm", name)
    ocirun("rmi", "with-link")


def test_propagation_word_is_taken(ocirun: Ocirun, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert shell(ocirun, "ls /m", "-v", f"{tmp_path}:/m:rslave") == "x\n"
    script = "grep ' /m ' /proc/self/mountinfo"
    assert "shared:" not in shell(ocirun, script, "-v", f"{tmp_path}:/m:rprivate")


def test_bind_source_with_colon_by_mount(ocirun: Ocirun, tmp_path: Path) -> None:
    odd = tmp_path / "with:colon and space"
    odd.mkdir()
    (odd / "x").touch()
    assert shell(ocirun, "ls /m", "--mount", f"type=bind,source={odd},target=/m") == "x\n"


def test_tmpfs_by_mount(ocirun: Ocirun) -> None:
    line = shell(ocirun, "grep ' /t ' /proc/mounts", "--mount", "type=tmpfs,target=/t,tmpfs-size=65536,tmpfs-mode=700")
    assert "size=64k" in line


@pytest.mark.rootless
def test_files_of_the_container_belong_to_the_mapped_ids(ocirun: Ocirun, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    if MODE == "single":
        ocirun("run", "--rm", "-v", f"{tmp_path}:/m", BUSYBOX, "touch", "/m/file")
        assert (tmp_path / "file").stat().st_uid == os.getuid()
        return
    ocirun("run", "--rm", "-u", "1000", "-v", f"{tmp_path}:/m", BUSYBOX, "touch", "/m/file")
    assert (tmp_path / "file").stat().st_uid not in {os.getuid(), 1000}
    assert shell(ocirun, "ls -n /m/file; rm /m/file", "-v", f"{tmp_path}:/m").split()[2] == "1000"
