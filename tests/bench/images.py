"""The images of the benchmarks: busybox as a plain tar, and a Debian system of some 11,000 files as a gzip image."""

import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.system.harness import add_file, busybox_tar

CACHE = Path("/var/tmp/ocirun-bench")  # outlives one run on purpose
SOURCES = "/etc/apt/sources.list.d/debian.sources"


def busybox(work: Path) -> Path:
    """A tar of a root file system with busybox."""
    path = work / "busybox.tar"
    if not path.exists():
        path.write_bytes(busybox_tar())
    return path


def prepare_as_root() -> None:
    """Make the Debian tree once, with mmdebstrap from this machine's own sources, where that is possible."""
    rootfs = CACHE / "debian.tar"
    if rootfs.exists() or not shutil.which("mmdebstrap") or not os.path.exists(SOURCES):
        return
    CACHE.mkdir(exist_ok=True)
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    command = ["mmdebstrap", "-q", "--variant=important", release["VERSION_CODENAME"]]
    subprocess.run([*command, str(CACHE / "unfinished.tar"), SOURCES], check=True)
    os.rename(CACHE / "unfinished.tar", rootfs)


def tree_of_this_machine() -> bytes:
    """The first 11,000 files below /usr as a tar, where there is no mmdebstrap."""
    stream = io.BytesIO()
    count = 0
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for place in ("/usr/bin", "/usr/share", "/usr/lib"):
            for base, _, names in os.walk(place):
                for name in sorted(names):
                    path = os.path.join(base, name)
                    if count < 11_000 and os.access(path, os.R_OK) and os.path.getsize(path) < 1_000_000:
                        archive.add(path, recursive=False)
                        count += 1
    return stream.getvalue()


def debian(work: Path) -> tuple[Path, str]:
    """A docker-archive with one gzip layer, and a phrase that describes it."""
    path = work / "debian-image.tar"
    description = work / "debian-image.txt"
    if not path.exists():
        cached = CACHE / "debian.tar"
        layer = cached.read_bytes() if cached.exists() else tree_of_this_machine()
        layer = with_busybox(layer, work)
        packed = gzip.compress(layer, 6)
        write_archive(path, layer, packed)
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            files = sum(1 for _ in archive)
        kind = "Debian by mmdebstrap" if cached.exists() else "files of this machine"
        description.write_text(f"{kind}, {files:,} entries, {len(layer) >> 20} MiB, gzip {len(packed) >> 20} MiB")
    return path, description.read_text()


def with_busybox(layer: bytes, work: Path) -> bytes:
    """The layer with /bench/busybox added, so that every tree has a program to run that needs no library."""
    with tarfile.open(busybox(work)) as archive:
        program = archive.extractfile("bin/busybox")
        assert program is not None
        data = program.read()
    stream = io.BytesIO()
    stream.write(layer)
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="a") as archive:
        add_file(archive, "bench/true", data, 0o755)
    return stream.getvalue()


def write_archive(path: Path, layer: bytes, packed: bytes) -> None:
    """An image archive that every engine loads: an OCI layout with docker's manifest.json."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    config = json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "config": {"Cmd": ["/bench/true"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
    ).encode()
    names = {data: "blobs/sha256/" + hashlib.sha256(data).hexdigest() for data in (config, packed)}

    def descriptor(kind: str, data: bytes) -> dict[str, object]:
        return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", packed)],
        }
    ).encode()
    index = {"schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", manifest)]}
    index["manifests"][0]["annotations"] = {  # type: ignore[index]  # a list of one dict
        "org.opencontainers.image.ref.name": "debian:bench",
        "io.containerd.image.name": "docker.io/library/debian:bench",
    }
    docker = [{"Config": names[config], "RepoTags": ["debian:bench"], "Layers": [names[packed]]}]
    with tarfile.open(path, "w") as archive:
        add_file(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        add_file(archive, "index.json", json.dumps(index).encode())
        add_file(archive, "manifest.json", json.dumps(docker).encode())
        for data in (config, packed):
            add_file(archive, names[data], data)
        add_file(archive, "blobs/sha256/" + hashlib.sha256(manifest).hexdigest(), manifest)
