"""What the documents say is true: commands that are run somewhere, modules that exist, no path of a developer's machine."""

import json
import re
from pathlib import Path

CODE_BLOCK = re.compile(r"```(?:sh|console)\n(.*?)```", re.DOTALL)
DOCUMENTS = {"flow.md", "scope.md", "debugging.md", "security.md", "testing.md", "performance.md"}


def commands_of(document: Path) -> list[str]:
    found = []
    for block in CODE_BLOCK.findall(document.read_text()):
        for line in block.splitlines():
            command = line.removeprefix("$ ").split("  #")[0].strip()
            if command and not command.startswith("#"):
                found.append(command)
    return found


def test_every_command_of_the_readme_is_run_somewhere(top: Path) -> None:
    """By .ci/run, by the demo, or by tests/system/test_readme.py, which runs them literally."""
    runners = [top / ".ci/run", top / "tools/demo", top / "tests/system/test_readme.py"]
    run = "\n".join(path.read_text() for path in runners)
    commands = commands_of(top / "README.md")
    assert commands
    assert [command for command in commands if command not in run] == []


def test_every_module_named_in_the_documents_exists(top: Path) -> None:
    missing: list[str] = []
    for document in [top / "README.md", *(top / "docs").rglob("*.md")]:
        names = re.findall(r"`((?:ocirun|cext|tests|tools|schemas)/[\w./-]*)`", document.read_text())
        missing.extend(f"{document.name}: {name}" for name in names if not (top / name.rstrip("/")).exists())
    assert missing == []


def test_flow_follows_every_package(top: Path) -> None:
    text = (top / "docs/flow.md").read_text()
    packages = [
        path.parent.name for path in (top / "ocirun").glob("*/__init__.py") if len(list(path.parent.glob("*.py"))) > 1
    ]
    assert [name for name in packages if f"ocirun/{name}/" not in text] == []


def test_every_document_is_linked_from_the_readme(top: Path) -> None:
    names = {path.name for path in (top / "docs").glob("*.md")}
    assert names >= DOCUMENTS
    readme = (top / "README.md").read_text()
    assert [name for name in sorted(names) if f"(docs/{name})" not in readme] == []


def test_decisions_are_short_and_numbered(top: Path) -> None:
    decisions = sorted((top / "docs/decisions").glob("*.md"))
    assert decisions
    for number, path in enumerate(decisions, 1):
        assert path.name.startswith(f"{number:04}-")
        assert len(path.read_text().splitlines()) <= 60


def test_no_file_names_a_path_of_a_developers_machine(tracked: list[Path], top: Path) -> None:
    pattern = re.compile(r"/(?:home|Users)/(?!user\b|alice\b|\{|\$)\w+/|/wor" + r"k/|/root/\.|/far" + r"m/")
    found = []
    for path in tracked:
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(top)}:{number}: {line.strip()[:120]}")
    assert found == []


def test_schemas_are_those_that_are_shipped(top: Path) -> None:
    """Every schema has an identifier of its own and is valid JSON."""
    schemas = sorted((top / "schemas").glob("*.json"))
    assert schemas
    identifiers = [json.loads(path.read_text())["$id"] for path in schemas]
    assert len(set(identifiers)) == len(identifiers)
