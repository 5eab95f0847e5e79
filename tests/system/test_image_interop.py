"""Other tools read what we write, and we read what they write."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, Ocirun, make_tar, new_directory, remove_directory
from tests.system.test_images import check_layout, names_of, need, output_of

FULL = f"docker.io/library/{BUSYBOX}"


class Podman:
    """podman with a store of its own."""

    def __init__(self, directory: Path) -> None:
        program = need("podman")
        # It resolves its home, which for the tests does not exist.
        self.environment = {**os.environ, "HOME": str(directory)}
        self.command = [
            program,
            "--root",
            f"{directory}/podman",
            "--runroot",
            f"{directory}/podman-run",
            "--storage-driver",
            "vfs",
        ]

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*self.command, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)

    def names(self) -> set[str]:
        return set(self("images", "--format", "{{.Repository}}:{{.Tag}}").split())


@pytest.fixture
def podman() -> Iterator[Podman]:
    # podman wants its runroot to be at most 50 characters long, which tmp_path is not.
    directory = new_directory()
    peer = Podman(directory)
    works = peer.run("info")
    if works.returncode:
        remove_directory(directory)
        pytest.skip(f"podman does not work here: {works.stderr.strip()[-200:]}")
    yield peer
    remove_directory(directory)


@pytest.mark.parametrize("form", ["oci-archive", "docker-archive"])
def test_podman_reads_what_save_writes_under_the_same_names(
    fresh: Ocirun, podman: Podman, tmp_path: Path, form: str
) -> None:
    fresh("tag", BUSYBOX, "example.org/team/app:v1")
    fresh("import", "-", "small:v1", input=make_tar([("x", b"1")]))
    fresh("save", "--format", form, "-o", str(tmp_path / "one.tar"), BUSYBOX)
    podman("load", "-q", "-i", str(tmp_path / "one.tar"))
    assert podman.names() == {FULL}
    fresh("save", "--format", form, "-o", str(tmp_path / "all.tar"), "example.org/team/app:v1", "small:v1")
    podman("load", "-q", "-i", str(tmp_path / "all.tar"))
    assert podman.names() == {FULL, "example.org/team/app:v1", "docker.io/library/small:v1"}
    identifier = podman("inspect", "--format", "{{.Id}}", FULL).strip()
    assert fresh.inspect(BUSYBOX)["Id"] == f"sha256:{identifier}"


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_load_reads_what_podman_writes(fresh: Ocirun, podman: Podman, tmp_path: Path, form: str) -> None:
    fresh("save", "-o", str(tmp_path / "one.tar"), BUSYBOX)
    podman("load", "-q", "-i", str(tmp_path / "one.tar"))
    podman("save", "-q", "--format", form, "-o", str(tmp_path / "written"), FULL)
    before = fresh.inspect(BUSYBOX)
    fresh("rmi", BUSYBOX)
    assert fresh("load", "-i", str(tmp_path / "written")).stdout == f"Loaded image: {BUSYBOX}\n"
    after = fresh.inspect(BUSYBOX)
    assert (after["Id"], after["RootFS"]) == (before["Id"], before["RootFS"])
    assert fresh("run", "--rm", BUSYBOX, "echo", "works").stdout == "works\n"


def test_load_reads_several_images_of_podman(fresh: Ocirun, podman: Podman, tmp_path: Path) -> None:
    fresh("import", "-", "small:v1", input=make_tar([("x", b"1")]))
    fresh("save", "-o", str(tmp_path / "all.tar"), BUSYBOX, "small:v1")
    podman("load", "-q", "-i", str(tmp_path / "all.tar"))
    podman("save", "-q", "-m", "-o", str(tmp_path / "written.tar"), FULL, "docker.io/library/small:v1")
    fresh("rmi", BUSYBOX, "small:v1")
    lines = fresh("load", input=(tmp_path / "written.tar").read_bytes()).lines
    assert sorted(lines) == [f"Loaded image: {BUSYBOX}", "Loaded image: small:v1"]


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_skopeo_copies_every_compression_there_and_back(empty: Ocirun, tmp_path: Path, compression: str) -> None:
    skopeo = need("skopeo")
    data = make_tar([("hello", b"hello\n" * 100)], tmp_path / "plain.tar")
    if compression:
        output_of(need(compression), "-q" if compression == "zstd" else "-f", "-k", str(tmp_path / "plain.tar"))
    suffix = {"": "", "gzip": ".gz", "zstd": ".zst"}[compression]
    empty("import", f"{tmp_path}/plain.tar{suffix}", "packed:v1")
    empty("save", "-o", str(tmp_path / "saved.tar"), "packed:v1")
    for source in (f"oci:{empty.root}/images:packed:v1", f"oci-archive:{tmp_path}/saved.tar"):
        target = tmp_path / "copied"
        output_of(skopeo, "--tmpdir", str(tmp_path), "copy", "--insecure-policy", source, f"oci:{target}:packed:v1")
        check_layout(target)
        assert empty("load", "-i", str(target)).stdout == "Loaded image: packed:v1\n"
        shutil.rmtree(target)
    assert empty("validate", "packed:v1").stdout == "packed:v1: image packed:v1: valid\n"
    assert len(data) > 0


def test_what_skopeo_puts_into_the_store_is_there(fresh: Ocirun, tmp_path: Path) -> None:
    skopeo = need("skopeo")
    fresh("save", "--format", "oci-dir", "-o", str(tmp_path / "layout"), BUSYBOX)
    target = f"oci:{fresh.root}/images:from-skopeo:v1"
    output_of(skopeo, "--tmpdir", str(tmp_path), "copy", "--insecure-policy", f"oci:{tmp_path}/layout", target)
    assert set(names_of(fresh)) == {BUSYBOX, "from-skopeo:v1"}
    assert fresh("run", "--rm", "from-skopeo:v1", "echo", "works").stdout == "works\n"
    assert fresh("rmi", "from-skopeo:v1").lines == ["Untagged: from-skopeo:v1"]
    assert names_of(fresh) == [BUSYBOX]


def test_umoci_changes_our_layout_and_we_read_it(fresh: Ocirun, tmp_path: Path) -> None:
    umoci = need("umoci")
    fresh("save", "--format", "oci-dir", "-o", str(tmp_path / "layout"), BUSYBOX)
    image = f"{tmp_path}/layout:{FULL}"
    assert "LAYER" in output_of(umoci, "stat", "--image", image)
    output_of(umoci, "config", "--image", image, "--tag", "changed", "--config.env", "COLOR=green")
    assert "Loaded image: changed:latest" in fresh("load", "-i", str(tmp_path / "layout")).lines
    assert fresh("run", "--rm", "changed", "sh", "-c", "echo $COLOR").stdout == "green\n"


def test_save_to_a_pipe_and_load_from_one(fresh: Ocirun) -> None:
    """The way of `ocirun save x | ssh there ocirun load`, with a reader that is slow to start."""
    with fresh.start("save", BUSYBOX) as saving:
        assert saving.stdout is not None
        with fresh.start("load", stdin=saving.stdout.fileno()) as loading:
            saving.stdout.close()
            assert loading.stdout is not None
            assert loading.stdout.read() == f"Loaded image: {BUSYBOX}\n".encode()
            assert (saving.wait(60), loading.wait(60)) == (0, 0)


def test_save_to_a_reader_that_goes_away(fresh: Ocirun) -> None:
    with fresh.start("save", BUSYBOX, stderr=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        saving.stdout.close()
        assert saving.stderr is not None
        errors = saving.stderr.read().decode()
        assert saving.wait(60) != 0
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 1
