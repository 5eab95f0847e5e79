"""Paths and readers that the lint tests share."""

import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def top() -> Path:
    """The top directory of the checkout."""
    return TOP


@pytest.fixture(scope="session")
def tracked(top: Path) -> list[Path]:
    """The files of the checkout: what git would commit, or all of them where there is no git."""
    command = [
        "git",
        "-c",
        f"safe.directory={top}",
        "-C",
        str(top),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    try:
        names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        skipped = {".git", ".venv", "build", "dist"}
        names = [
            str(path.relative_to(top)) for path in top.rglob("*") if not skipped & set(path.relative_to(top).parts)
        ]
    return [top / name for name in names if name and (top / name).is_file()]
