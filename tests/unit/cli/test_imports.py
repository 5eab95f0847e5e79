"""What a start imports: nothing that it does not use. Each module here costs every `ocirun run` its time."""

import os
import subprocess
import sys
from pathlib import Path

# Modules of the standard library that a run may load, beside those that the interpreter itself starts with. `re` and what is
# below it come with json, without which no record can be read.
ALLOWED = frozenset(
    """
    _collections _functools _json _operator _socket _sre _struct collections copyreg enum errno fcntl functools itertools json
    json.decoder json.encoder json.scanner keyword operator re re._casefix re._compiler re._constants re._parser reprlib select
    struct termios types
    """.split()
)
# What a look at STYLE.md's table of costs forbids by name, so that a wide ALLOWED does not let it in.
FORBIDDEN = frozenset(
    """
    argparse asyncio cryptography dataclasses datetime email h11 http inspect ipaddress jsonschema logging multiprocessing pathlib
    random selectors shutil signal socket subprocess tempfile typing urllib urllib3 uuid
    """.split()
)


def imported(words: list[str], tmp_path: Path) -> set[str]:
    """The modules that an `ocirun` with these words loads beyond those of an empty program."""
    place = ["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run")]
    code = (
        "import sys; before = set(sys.modules); from ocirun.cli.main import main; "
        f"main({[*place, *words]!r}); "
        "print('\\n'.join(sorted(set(sys.modules) - before)), file=sys.__stderr__)"
    )
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return {line for line in result.stderr.splitlines() if line and " " not in line}


def strangers(modules: set[str]) -> set[str]:
    return {
        name for name in modules if not name.startswith(("ocirun", "_ocirun_native", "_cffi")) and name not in ALLOWED
    }


def test_run_of_a_missing_image(tmp_path: Path) -> None:
    modules = imported(["run", "--rm", "-e", "A=1", "-v", "/a:/b", "nosuch", "true"], tmp_path)
    assert "ocirun.engine.create" in modules
    assert strangers(modules) == set()
    assert modules & FORBIDDEN == set()


def test_verbs_load_only_themselves(tmp_path: Path) -> None:
    modules = imported(["rm", "nosuch"], tmp_path)
    verbs = {name for name in modules if name.startswith("ocirun.cli.")}
    assert "ocirun.cli.rm" in verbs
    assert not verbs & {
        "ocirun.cli.run",
        "ocirun.cli.ps",
        "ocirun.cli.container_flags",
        "ocirun.cli.templates",
        "ocirun.cli.help",
    }


def test_version_loads_no_engine(tmp_path: Path) -> None:
    assert not any(name.startswith("ocirun.engine") for name in imported(["--version"], tmp_path))


def test_ps_loads_no_templates_of_python(tmp_path: Path) -> None:
    modules = imported(["ps", "-a"], tmp_path)
    assert modules & (FORBIDDEN - {"datetime"}) == set()
