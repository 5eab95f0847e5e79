"""The pipeline that unpacks a layer: what it verifies, what it says when something is wrong, and that it leaves nothing behind."""

import errno
import gzip
import hashlib
import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pyzstd

from ocirun.errors import DigestMismatchError, InvalidError, OcirunError, StepError, StorageError
from ocirun.image.layers import Layers
from ocirun.image.limits import Limits
from ocirun.image.unpack import UnpackedLayer, unpack_layer
from ocirun.oci.media_types import DOCKER_LAYER, LAYER, LAYER_GZIP, LAYER_ZSTD
from ocirun.runtime.steps import Step
from tests.unit.image.archives import archive, directory, extract, hard_link, member, run_step

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

TAR = archive(directory("d"), member("d/a", b"a" * 300_000), member("b", bytes(range(256)) * 5000), hard_link("c", "b"))
DIFF_ID = f"sha256:{hashlib.sha256(TAR).hexdigest()}"


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """No thread and no descriptor outlives the call."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name in {"layer", "extract"}] == []
    assert set(os.listdir("/proc/self/fd")) == before


class Slowly(io.BytesIO):
    """A stream that gives a few bytes at a time, as a pipe may."""

    def read(self, size: "int | None" = -1, /) -> bytes:
        return super().read(min(size or 0, 997))


def unpack(data: bytes, target: Path, media_type: str = LAYER, **options: object) -> UnpackedLayer:
    target.mkdir(exist_ok=True)
    stream = options.pop("stream", io.BytesIO(data))
    arguments = {"sink": None, "extract": extract, "lowers": [], **options}
    return unpack_layer(stream, media_type=media_type, target=str(target), **arguments)  # type: ignore[arg-type]


FORMS = {
    "plain": (LAYER, TAR),
    "docker's": (DOCKER_LAYER + ".gzip", gzip.compress(TAR)),
    "gzip": (LAYER_GZIP, gzip.compress(TAR)),
    "members": (LAYER_GZIP, b"".join(gzip.compress(TAR[at : at + 100_000]) for at in range(0, len(TAR), 100_000))),
    "zeros after gzip": (LAYER_GZIP, gzip.compress(TAR) + bytes(700_000)),
    "empty member": (LAYER_GZIP, gzip.compress(b"") + gzip.compress(TAR)),
    "zstd": (LAYER_ZSTD, pyzstd.compress(TAR)),
    "frames": (LAYER_ZSTD, pyzstd.compress(TAR[:70_000]) + pyzstd.compress(TAR[70_000:])),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("stream", [io.BytesIO, Slowly])
def test_every_form(form: str, stream: type[io.BytesIO], tmp_path: Path) -> None:
    media_type, data = FORMS[form]
    sink = io.BytesIO()
    expected = {"digest": digest(data), "size": len(data), "diff_id": DIFF_ID}
    layer = unpack(data, tmp_path / "layer", media_type, stream=stream(data), sink=sink, **expected)
    assert (layer.digest, layer.size, layer.diff_id) == tuple(expected.values())
    assert (layer.files, layer.unpacked_size) == (4, 300_000 + 256 * 5000)
    assert sink.getvalue() == data
    assert (tmp_path / "layer" / "c").read_bytes() == bytes(range(256)) * 5000


def test_digests_are_found_out_when_they_are_not_known(tmp_path: Path) -> None:
    layer = unpack(gzip.compress(TAR, mtime=0), tmp_path / "layer", LAYER_GZIP)
    assert (layer.digest, layer.diff_id) == (digest(gzip.compress(TAR, mtime=0)), DIFF_ID)


def test_other_hash_functions(tmp_path: Path) -> None:
    layer = unpack(TAR, tmp_path / "layer", digest=digest(TAR, "sha512"), diff_id=digest(TAR, "sha512"))
    assert layer.diff_id == layer.digest == digest(TAR, "sha512")


def test_only_verified(tmp_path: Path) -> None:
    layer = unpack(TAR, tmp_path / "layer", extract=None, diff_id=DIFF_ID)
    assert (layer.diff_id, layer.files) == (DIFF_ID, 0)
    assert os.listdir(tmp_path / "layer") == []
    with pytest.raises(DigestMismatchError):
        unpack(TAR[:-1], tmp_path / "layer", extract=None, diff_id=DIFF_ID)


WRONG = digest(b"something else")
PACKED = gzip.compress(TAR)
ALTERED = PACKED[:1000] + b"\xff\x00" + PACKED[1002:]
HOSTILE = archive(member("../x", b"x"))

# (data, media type, options) -> (error, words)
BAD: "dict[str, tuple[bytes, str, dict[str, object], type[OcirunError], str]]" = {
    "wrong digest": (TAR, LAYER, {"digest": WRONG}, DigestMismatchError, "is altered"),
    "too short": (TAR, LAYER, {"digest": digest(TAR), "size": len(TAR) + 1}, DigestMismatchError, "instead of"),
    "too long": (TAR, LAYER, {"digest": digest(TAR), "size": len(TAR) - 1}, DigestMismatchError, "longer than"),
    "wrong diff id": (TAR, LAYER, {"diff_id": WRONG}, DigestMismatchError, "other bytes than its image says"),
    "altered": (ALTERED, LAYER_GZIP, {"digest": digest(PACKED)}, DigestMismatchError, "is altered"),
    "altered plain": (b"x" + TAR[1:], LAYER, {"digest": digest(TAR)}, DigestMismatchError, "is altered"),
    "cut off": (PACKED[:-9], LAYER_GZIP, {}, InvalidError, "cut off"),
    "cut off, known size": (PACKED[:-9], LAYER_GZIP, {"digest": digest(PACKED), "size": len(PACKED)}, DigestMismatchError, "instead of"),
    "cut off tar": (TAR[:100_000], LAYER, {}, InvalidError, "no sound tar archive .*d/a: the archive is cut off"),
    "nothing": (b"", LAYER_GZIP, {}, InvalidError, "cut off"),
    "no gzip": (TAR, LAYER_GZIP, {}, InvalidError, "no sound gzip"),
    "wrong checksum": (PACKED[:-8] + b"1234" + PACKED[-4:], LAYER_GZIP, {}, InvalidError, "no sound gzip"),
    "rubbish after gzip": (PACKED + b"rubbish", LAYER_GZIP, {}, InvalidError, "no sound gzip|cut off"),
    "no zstd": (TAR, LAYER_ZSTD, {}, InvalidError, "no sound zstd"),
    "cut off zstd": (pyzstd.compress(TAR)[:-9], LAYER_ZSTD, {}, InvalidError, "cut off"),
    "hostile": (HOSTILE, LAYER, {}, InvalidError, r"cannot be unpacked: .* \(\.\./x: it leads out of the layer\)"),
    "hostile and altered": (HOSTILE, LAYER, {"digest": WRONG}, DigestMismatchError, "is altered"),
    "unknown type": (TAR, "text/plain", {}, InvalidError, "unknown media type 'text/plain'"),
    "digest of no known kind": (TAR, LAYER, {"digest": "md5:0"}, InvalidError, "invalid digest"),
    "too large": (TAR, LAYER, {"limits": Limits(largest=100_000)}, InvalidError, "more than 100000 bytes"),
    "bomb": (
        gzip.compress(bytes(30_000_000)),
        LAYER_GZIP,
        {"limits": Limits(ratio=100, ratio_from=1_000_000), "extract": None},
        InvalidError,
        "more than 100 times its size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_layers(case: str, tmp_path: Path) -> None:
    data, media_type, options, kind, words = BAD[case]
    with pytest.raises(kind, match=words) as caught:
        unpack(data, tmp_path / "layer", media_type, **options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_bomb_is_small_in_memory(tmp_path: Path) -> None:
    """A gigabyte out of 30 KB of zstd comes in pieces."""
    bomb = pyzstd.compress(bytes(1 << 24)) * 64
    pieces: list[int] = []

    def count(descriptor: int, target: str, lowers: list[str]) -> tuple[int, int]:
        while data := os.read(descriptor, 1 << 20):
            pieces.append(len(data))
        return 0, 0

    layer = unpack(bomb, tmp_path / "layer", LAYER_ZSTD, extract=count)
    assert sum(pieces) == 1 << 30
    assert layer.size == len(bomb)


class Full(io.BytesIO):
    """A sink on a disk that fills up."""

    def write(self, data: "Buffer", /) -> int:
        raise OSError(errno.ENOSPC, f"no space for {bytes(data)!r}")


def test_a_full_disk_below_the_sink(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"store .*No space left") as caught:
        unpack(PACKED, tmp_path / "layer", LAYER_GZIP, sink=Full())
    assert "free space" in caught.value.hint


class Broken(io.BytesIO):
    """A stream that fails after its first bytes."""

    def read(self, size: "int | None" = -1, /) -> bytes:
        if self.tell() > 0:
            raise InvalidError("the archive is damaged")
        return super().read(min(size or 0, 1000))


@pytest.mark.parametrize("media_type", [LAYER, LAYER_GZIP])
def test_errors_of_the_stream_come_through(media_type: str, tmp_path: Path) -> None:
    data = TAR if media_type == LAYER else PACKED
    with pytest.raises(InvalidError, match="the archive is damaged"):
        unpack(data, tmp_path / "layer", media_type, stream=Broken(data))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageError),
        (errno.EDQUOT, StorageError),
        (errno.EBADMSG, InvalidError),
        (errno.EPERM, StepError),
    ],
)
def test_errors_of_the_extractor(number: int, kind: type[OcirunError], tmp_path: Path) -> None:
    def fail(descriptor: int, target: str, lowers: list[str]) -> tuple[int, int]:
        os.read(descriptor, 100)
        raise StepError("unpack into x", errno=number, step=0, path="usr/bin/x")

    with pytest.raises(kind) as caught:
        unpack(PACKED, tmp_path / "layer", LAYER_GZIP, extract=fail)
    assert type(caught.value) is kind
    assert kind is StepError or "usr/bin/x" in str(caught.value)


def test_ctrl_c(tmp_path: Path) -> None:
    class Interrupted(Limits):
        def check(self, unpacked: int, compressed: int, what: str) -> None:
            raise KeyboardInterrupt(unpacked, compressed, what)

    with pytest.raises(KeyboardInterrupt):
        unpack(PACKED, tmp_path / "layer", LAYER_GZIP, limits=Interrupted())
    for thread in threading.enumerate():
        if thread.name == "layer":
            thread.join()


def test_layers_below_are_handed_on(tmp_path: Path) -> None:
    unpack(TAR, tmp_path / "below")
    unpack(archive(hard_link("copy", "b")), tmp_path / "layer", lowers=[str(tmp_path / "below")])
    assert (tmp_path / "layer" / "copy").read_bytes() == (tmp_path / "below" / "b").read_bytes()


def remove(path: str) -> None:
    """The remover as Layers wants it."""
    run_step(Step("remove_tree", path))


def test_many_unpack_one_layer_at_once(tmp_path: Path) -> None:
    """Whoever comes second finds the layer in place, and nothing else is left."""

    def work(_: int) -> str:
        layers = Layers(str(tmp_path / "layers"), extract, remove)
        return layers.unpack(io.BytesIO(PACKED), None, media_type=LAYER_GZIP, below=[], diff_id=DIFF_ID).diff_id

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == [DIFF_ID] * 8
    left = [path.name for path in (tmp_path / "layers").iterdir() if path.is_dir()]
    assert left == [DIFF_ID.removeprefix("sha256:")]


def test_a_bad_layer_leaves_nothing(tmp_path: Path) -> None:
    layers = Layers(str(tmp_path / "layers"), extract, remove)
    with pytest.raises(InvalidError, match="leads out of the layer"):
        layers.unpack(io.BytesIO(HOSTILE), None, media_type=LAYER, below=[])
    with pytest.raises(DigestMismatchError):
        layers.unpack(io.BytesIO(TAR), None, media_type=LAYER, below=[], diff_id=WRONG)
    assert os.listdir(tmp_path / "layers") == []
