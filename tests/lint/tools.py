"""Where the linters are."""

import os
import sys
from pathlib import Path

import pytest


def find_tool(name: str) -> str:
    """The path of a tool, beside this Python or on PATH; its absence is a failure in CI and a skip elsewhere."""
    places = [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(":")]
    for place in places:
        if os.access(f"{place}/{name}", os.X_OK):
            return f"{place}/{name}"
    if os.environ.get("CI"):
        pytest.fail(f"{name} is missing in CI")
    pytest.skip(f"{name} is not installed")
