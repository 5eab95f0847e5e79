"""How far layers may blow up, and what their user may say about it."""

import io
import shutil
from pathlib import Path

import pytest

from ocirun.errors import InvalidError, UsageError
from ocirun.image.layers import Layers
from ocirun.image.limits import Limits, parse_limits
from ocirun.runtime.steps import Step
from tests.unit.image import archives
from tests.unit.image.stores import TAR, tar_of


def numbers(limits: Limits) -> tuple[int, int, int]:
    return limits.largest, limits.ratio, limits.entries


def test_what_is_not_named_stays() -> None:
    assert numbers(parse_limits("")) == numbers(Limits()) == (1 << 40, 500, 1 << 24)
    assert numbers(parse_limits("bytes=2t, ratio=1000")) == (2 << 40, 1000, 1 << 24)
    assert numbers(parse_limits("entries=10")) == (1 << 40, 500, 10)


@pytest.mark.parametrize(
    "text", ["bytes=x", "bytes", "ratio=0", "ratio=-1", "entries=1k", "entries=99999999999", "colour=1", "5g"]
)
def test_bad_words(text: str) -> None:
    with pytest.raises(UsageError, match="OCIRUN_LAYER_LIMITS: ") as caught:
        parse_limits(text)
    assert "bytes=SIZE,ratio=NUMBER,entries=NUMBER" in caught.value.hint


def test_too_many_bytes_in_a_layer(tmp_path: Path) -> None:
    layers = Layers(str(tmp_path / "layers"), archives.extract, shutil.rmtree, parse_limits("bytes=1k"))
    with pytest.raises(InvalidError, match="unpacks to more than 1024 bytes") as caught:
        layers.unpack(io.BytesIO(tar_of({"a": b"x" * 2000})), None, media_type=TAR, below=[])
    assert caught.value.hint == "if you trust it, raise the limits with $OCIRUN_LAYER_LIMITS"
    assert list((tmp_path / "layers").iterdir()) == []


def test_too_many_entries_in_a_layer(tmp_path: Path) -> None:
    def extract(descriptor: int, target: str, lowers: list[str]) -> tuple[int, int]:
        archives.run_step(
            Step("untar", archives.DESCRIPTOR, archives.SQUASH, 2, target, *lowers), {archives.DESCRIPTOR: descriptor}
        )
        return 0, 0

    layers = Layers(str(tmp_path / "layers"), extract, shutil.rmtree)
    layers.unpack(io.BytesIO(tar_of({"a": b"1", "b": b"2"})), None, media_type=TAR, below=[])
    with pytest.raises(InvalidError, match="c: the layer has too many members") as caught:
        layers.unpack(io.BytesIO(tar_of({"a": b"1", "b": b"2", "c": b"3"})), None, media_type=TAR, below=[])
    assert caught.value.hint == "if you trust it, raise the limits with $OCIRUN_LAYER_LIMITS"
