"""--env, --env-file, --label, --label-file, --ulimit: docker's rules."""

from pathlib import Path

import pytest

from ocirun.cli.key_values import check_label, environment, labels, read_lines
from ocirun.cli.ulimits import check_ulimit
from ocirun.errors import UsageError


def test_name_alone_takes_our_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "v=1")
    monkeypatch.delenv("NOT_OURS", raising=False)
    assert environment([], ["A=1", "OURS", "NOT_OURS", "EMPTY="]) == ["A=1", "OURS=v=1", "NOT_OURS", "EMPTY="]


def test_files_come_before_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.delenv("NOT_OURS", raising=False)
    path = tmp_path / "env"
    path.write_bytes(b'\xef\xbb\xbf A=1 \r\n#x\n\nOURS\nNOT_OURS\nC="q"\n')
    assert environment([str(path)], ["A=2"]) == ["A=1 ", "OURS=1", 'C="q"', "A=2"]


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_text("a=1\nalone\n# comment\nb=x=y\n")
    assert labels([str(path)], ["a=2", "c"]) == {"a": "2", "b": "x=y", "c": ""}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"A b\n", "variable 'A b' contains whitespaces"),
        (b"  B = 2\n", "variable 'B ' contains whitespaces"),
        (b"=x\n", "no variable name on line '=x'"),
        (b"ok=1\na\xff=1\n", "line 2 is not UTF-8"),
    ],
)
def test_bad_lines(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "env"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_lines(str(path), "env")
    assert caught.value.what == f"invalid env file ({path}): {message}"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        environment([str(tmp_path / "none")], [])
    assert caught.value.what == f"open {tmp_path}/none: no such file or directory"


def test_label_with_blanks() -> None:
    with pytest.raises(ValueError, match="label 'a b' contains whitespaces"):
        check_label("a b=c")


@pytest.mark.parametrize("text", ["nofile=1:2", "core=-1", "nofile=5", "core=0:-1", "stack=-1:-1"])
def test_ulimit(text: str) -> None:
    assert check_ulimit(text) == text


@pytest.mark.parametrize(
    "text, message",
    [
        ("core", "invalid ulimit argument: core"),
        ("foo=1", "invalid ulimit type: foo"),
        ("nofile=a", 'strconv.ParseInt: parsing "a": invalid syntax'),
        ("nofile=1:2:3", "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"),
        ("nofile=3:2", "ulimit soft limit must be less than or equal to hard limit: 3 > 2"),
        ("nofile=-1:2", "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: 2"),
    ],
)
def test_wrong_ulimit(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_ulimit(text)
    assert str(caught.value) == message
