"""Stores, layers and archives of images for tests, made by hand; nothing needs privileges."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

from ocirun.image.copy import copy_image
from ocirun.image.layers import Layers
from ocirun.image.load import open_images
from ocirun.image.store import Store
from ocirun.image.store_sink import StoreSink
from tests.unit.image.archives import extract

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
TAR = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blob(data: bytes) -> str:
    """Where a layout has these bytes."""
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"


def tar_of(files: dict[str, bytes]) -> bytes:
    """A layer's tar."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


class Made:
    """An image made by hand: change its documents before `files` gives the files of its layout."""

    def __init__(self, *layers: bytes, compress: bool = True, **config: Any) -> None:
        self.tars = list(layers)
        self.blobs = [gzip.compress(data, mtime=0) if compress else data for data in layers]
        self.config: dict[str, Any] = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"], "Labels": {"color": "red"}},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in layers]},
            "history": [{"created": "2026-01-02T03:04:05Z", "created_by": "made"} for _ in layers],
            **config,
        }
        self.manifest_changes: dict[str, Any] = {}
        self.layer_type = GZIP if compress else TAR

    @property
    def config_bytes(self) -> bytes:
        return json.dumps(self.config).encode()

    @property
    def manifest_bytes(self) -> bytes:
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(self.config_bytes, CONFIG),
            "layers": [descriptor(data, self.layer_type) for data in self.blobs],
        }
        return json.dumps({**manifest, **self.manifest_changes}).encode()

    @property
    def id(self) -> str:
        return digest_of(self.config_bytes)

    def entry(self, name: str = "", **more: Any) -> dict[str, Any]:
        """The entry of an index."""
        annotations = {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}
        return descriptor(self.manifest_bytes, MANIFEST, **annotations, **more)

    def blob_files(self) -> dict[str, bytes]:
        return {blob(data): data for data in (self.manifest_bytes, self.config_bytes, *self.blobs)}

    def docker_files(self, tags: list[str] | None, prefix: str = "") -> tuple[dict[str, Any], dict[str, bytes]]:
        """The entry of manifest.json and the members of an archive in docker's old form."""
        config = f"{self.id.partition(':')[2]}.json"
        layers = {f"{prefix}{number}/layer.tar": data for number, data in enumerate(self.blobs)}
        return {"Config": config, "RepoTags": tags, "Layers": list(layers)}, {config: self.config_bytes, **layers}


def layout(*entries: dict[str, Any], files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of an OCI layout."""
    index = {"schemaVersion": 2, "manifests": list(entries)}
    return {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode(), **files}


def layout_of(image: Made, name: str = "") -> dict[str, bytes]:
    return layout(image.entry(name), files=image.blob_files())


def write_tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    """An archive of these files in their order, then symlinks."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


def write_directory(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


class Machine:
    """A store and its unpacked layers below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "tmp").mkdir(parents=True, exist_ok=True)
        self.store = Store(f"{directory}/images", f"{directory}/tmp", f"{directory}/lock")
        self.layers = Layers(f"{directory}/layers", extract, shutil.rmtree)

    def load(self, archive: Any, **options: Any) -> list[str]:
        """Load all images of an open archive; their names, or ids when they have none."""
        found = []
        with self.store.transaction() as transaction:
            sink = StoreSink(transaction, self.layers)
            for source in open_images(archive, **options):
                documents = copy_image(source, sink)
                found += [reference.familiar for reference in source.references] or [documents.image_id]
            archive.finish()
            transaction.commit()
        return found

    def add(self, image: Made, name: str = "") -> None:
        """Put an image into the store through a layout directory."""
        from ocirun.image.archive import DirectoryArchive

        place = self.directory / f"layout-{digest_of(image.manifest_bytes)[7:19]}"
        write_directory(place, layout_of(image, name))
        self.load(DirectoryArchive(str(place)))
        shutil.rmtree(place)

    def blobs(self) -> set[str]:
        """The names of the blobs in place."""
        place = self.directory / "images/blobs/sha256"
        return {f"sha256:{path.name}" for path in place.iterdir()} if place.exists() else set()

    def staged(self) -> list[str]:
        """What lies about in the staging directory."""
        return [path.name for path in (self.directory / "tmp").iterdir()]

    def unpacked(self) -> set[str]:
        """The unpacked layers, and what is half unpacked."""
        place = self.directory / "layers"
        return {path.name for path in place.iterdir() if path.is_dir()} if place.exists() else set()

    def state(self) -> tuple[bytes, set[str], set[str]]:
        """All of the store that could be half made."""
        index = self.directory / "images/index.json"
        return index.read_bytes() if index.exists() else b"", self.blobs(), self.unpacked()
