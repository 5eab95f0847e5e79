"""The shape of the code: sizes, doors, purity. Each rule is one of the house's, see docs/decisions/0002-house-rules.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE_LINES = 400
PYTHON_FUNCTION_LINES = 80
PYTHON_FUNCTION_P90 = 35
C_FUNCTION_LINES = 60
DOORS = ("cli", "api", "shim")


def python_modules(top: Path) -> list[Path]:
    return sorted((top / "ocirun").rglob("*.py"))


def c_sources(top: Path) -> list[Path]:
    return sorted([*(top / "cext").glob("*.c"), *(top / "cext").glob("*.h")])


def is_door(top: Path, path: Path) -> bool:
    return path.relative_to(top / "ocirun").parts[0] in {*DOORS, "__main__.py"}


def python_functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{path.name}:{node.name}", node.end_lineno - node.lineno + 1


def c_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Functions in a file whose bodies open with a brace at the end of, or alone on, an unindented line."""
    lines = path.read_text().split("\n")
    start, name = 0, ""
    for number, line in enumerate(lines, 1):
        called = re.match(r"[A-Za-z_].*?\b(\w+)\(", line)
        if called and not line.endswith(";") and not start:
            name = called[1]
        if re.match(r"(\{|[A-Za-z_].*\)\s*\{)\s*$", line) or (line.rstrip().endswith(") {") and not start):
            start = start or number
        elif line.startswith("}"):
            if start and name:
                yield f"{path.name}:{name}", number - start + 1
            start, name = 0, ""


def test_no_module_is_longer_than_one_purpose(top: Path) -> None:
    sizes = {
        str(path.relative_to(top)): len(path.read_text().splitlines())
        for path in [*python_modules(top), *c_sources(top)]
    }
    assert {name: size for name, size in sizes.items() if size > MODULE_LINES} == {}


def test_python_functions_are_short(top: Path) -> None:
    sizes = dict(pair for path in python_modules(top) for pair in python_functions(path))
    assert {name: size for name, size in sizes.items() if size > PYTHON_FUNCTION_LINES} == {}
    ordered = sorted(sizes.values())
    assert ordered[len(ordered) * 9 // 10] <= PYTHON_FUNCTION_P90


def test_c_functions_are_short(top: Path) -> None:
    sizes = dict(pair for path in c_sources(top) for pair in c_functions(path))
    assert len(sizes) > 20
    assert {name: size for name, size in sizes.items() if size > C_FUNCTION_LINES} == {}


@pytest.mark.parametrize("word", ["print(", "sys.exit(", "os._exit(", "os.environ", "os.getenv("])
def test_only_the_doors_print_exit_and_read_the_environment(top: Path, word: str) -> None:
    found = []
    for path in python_modules(top):
        if not is_door(top, path):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                code = line.split("#")[0]
                if re.search(rf"(?<![\w.]){re.escape(word)}", code) and '"""' not in code:
                    found.append(f"{path.relative_to(top)}:{number}: {line.strip()}")
    assert found == []


def test_c_exits_only_in_the_main_of_the_helper(top: Path) -> None:
    found = []
    for path in c_sources(top):
        if path.name != "init.c":
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(r"(?<![\w_])exit\(", line.split("//")[0]) and not line.lstrip().startswith("*"):
                    found.append(f"{path.name}:{number}: {line.strip()}")
    assert found == []


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_compiling_a_plan_is_pure(top: Path) -> None:
    """Facts about the machine come in as one Host value; nothing below the compiler asks the system either."""
    forbidden = {"os", "subprocess", "socket", "ctypes", "_ocirun_native", "ocirun.native", "ocirun.files"}
    waiting, seen = ["ocirun.runtime.plan"], set()
    while waiting:
        module = waiting.pop()
        path = top / (module.replace(".", "/") + ".py")
        if module in seen or not path.exists() or module == "ocirun.host":
            continue
        seen.add(module)
        names = imported_names(path)
        assert names & forbidden == set(), f"{module} imports {names & forbidden}"
        waiting.extend(name for name in names if name.startswith("ocirun.runtime"))
    assert "ocirun.runtime.plan" in seen


def test_no_system_call_is_mocked(top: Path) -> None:
    found = [
        f"{path.relative_to(top)}: {word}"
        for path in (top / "tests/unit").rglob("*.py")
        for word in re.findall(r"\bmock\b|MagicMock|monkeypatch\.setattr\(os\b", path.read_text())
    ]
    assert found == []


def test_nothing_is_left_unfinished(tracked: list[Path], top: Path) -> None:
    words = re.compile(
        "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X\\b", "NotImplemented" + "Error", "not implemented " + "yet"])
    )
    found = [
        f"{path.relative_to(top)}:{number}: {line.strip()}"
        for path in tracked
        if path.suffix in {".py", ".c", ".h"} and path.relative_to(top).parts[0] in {"ocirun", "cext"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert found == []


def test_no_module_level_state(top: Path) -> None:
    """Module-level names that are rebound by `global` would be state that two calls share."""
    found = [
        f"{path.relative_to(top)}:{node.lineno}"
        for path in python_modules(top)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Global)
    ]
    assert found == []


def test_every_ignored_warning_has_its_reason(tracked: list[Path], top: Path) -> None:
    found = []
    for path in tracked:
        if path.suffix == ".py" and path.name != Path(__file__).name:
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if re.search(r"#\s*noqa(:\s*[A-Z0-9, ]+)?\s*$|#\s*type:\s*ignore\s*$", line):
                    found.append(f"{path.relative_to(top)}:{number}: {line.strip()}")
    assert found == []
