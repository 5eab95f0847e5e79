"""The linters, as tests: what `make lint` runs. A missing tool is a skip here and a failure in CI."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lint.tools import find_tool

LINTERS = {
    "ruff": ["ruff", "check", "--output-format=concise", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "layers": ["lint-imports", "--no-cache"],  # with its cache a broken tree was once reported as kept
    "spelling": ["codespell"],
    "docstrings": ["interrogate", "--quiet", "ocirun"],
}


def run_linter(top: Path, command: list[str]) -> None:
    done = subprocess.run([find_tool(command[0]), *command[1:]], cwd=top, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-6000:]}{done.stderr[-2000:]}", pytrace=False)


@pytest.mark.parametrize("name", LINTERS)
def test_python_linter(top: Path, name: str) -> None:
    run_linter(top, LINTERS[name])


def test_c_compiles_without_a_warning_from_clang(top: Path) -> None:
    sources = sorted(str(path.relative_to(top)) for path in (top / "cext").glob("*.c"))
    assert sources
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Icext"]
    run_linter(top, ["clang", *flags, *sources])


def test_c_linter(top: Path) -> None:
    sources = sorted(str(path.relative_to(top)) for path in (top / "cext").glob("*.c"))
    checks = "-*,bugprone-*,clang-analyzer-*,cert-err34-c,misc-redundant-expression"
    # Off: what this core does on purpose (short names, adjacent integers, branches that a reader compares).
    checks += ",-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-branch-clone"
    checks += ",-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result"
    checks += ",-bugprone-assignment-in-if-condition,-bugprone-multi-level-implicit-pointer-conversion"
    # Off: memcpy_s and its kin do not exist in the C libraries of Linux.
    checks += ",-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling"
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Icext"]
    tool = find_tool("clang-tidy")

    def lint(source: str) -> str:
        command = [tool, "--quiet", "--warnings-as-errors=*", f"--checks={checks}", source, "--", *flags]
        done = subprocess.run(command, cwd=top, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = "".join(pool.map(lint, sources))
    if found:
        pytest.fail(found, pytrace=False)


def test_shell_scripts(top: Path) -> None:
    scripts = [".ci/run", "tools/demo", "tools/prerequisites"]
    run_linter(top, ["shellcheck", *scripts])
