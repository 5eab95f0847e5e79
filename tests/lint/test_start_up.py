"""The hot path is imported on purpose: what a second start of a container loads, against a list."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# What a bare interpreter with the standard library's site has loaded anyway, or loads for the modules below.
BASE = """
_abc _codecs _collections_abc _distutils_hack _frozen_importlib_external _imp _io _signal _sitebuiltins _stat _thread
_warnings _weakref abc codecs encodings encodings.aliases encodings.utf_8 encodings.ascii encodings.latin_1 genericpath
importlib importlib._abc importlib._bootstrap importlib._bootstrap_external importlib.machinery importlib.util io
marshal os os.path posix posixpath runpy site sitecustomize usercustomize stat time types warnings winreg zipimport
_virtualenv contextlib functools collections keyword operator reprlib itertools _collections _functools _operator
""".split()
# What ocirun needs of it to run a container; each was weighed in milliseconds.
WANTED = """
_ocirun_native _cffi_backend _json _socket _struct errno fcntl json json.decoder json.encoder json.scanner re re._casefix
re._compiler re._constants re._parser _sre enum copyreg select struct termios tty array _locale _posixsubprocess
binascii _hashlib _blake2 hashlib _sha256 _sha2 _md5 math _datetime signal resource pwd grp
""".split()


def loaded_modules(words: list[str], environment: dict[str, str]) -> set[str]:
    command = [sys.executable, "-X", "importtime", "-m", "ocirun", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {line.split("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("words", [["run", "--dry-run", "--rm", "host", "true"], ["ps", "-a"]])
def test_a_start_loads_what_it_uses_and_nothing_else(tmp_path: Path, top: Path, words: list[str]) -> None:
    environment = {
        **os.environ,
        "OCIRUN_ROOT": f"{tmp_path}/root",
        "OCIRUN_RUNROOT": f"{tmp_path}/run",
        "PYTHONPATH": str(top),
    }
    loaded_modules(words, environment)
    found = loaded_modules(words, environment)  # the first start of a store makes caches
    foreign = {name for name in found if name.split(".")[0] != "ocirun" and not name.startswith("imported")}
    hooks = {name for name in foreign if name.startswith(("__editable__", "apport"))}
    assert sorted(foreign - set(BASE) - set(WANTED) - hooks) == []


def test_a_start_does_not_load_the_other_half(tmp_path: Path, top: Path) -> None:
    """Running from an unpacked image needs no archives, no schemas, no registry."""
    environment = {
        **os.environ,
        "OCIRUN_ROOT": f"{tmp_path}/root",
        "OCIRUN_RUNROOT": f"{tmp_path}/run",
        "PYTHONPATH": str(top),
    }
    words = ["run", "--dry-run", "--rm", "host", "true"]
    loaded_modules(words, environment)
    found = loaded_modules(words, environment)
    for name in (
        "image.load",
        "image.save",
        "image.archive",
        "image.copy",
        "oci.schemas",
        "registry",
        "engine.inspect",
    ):
        assert f"ocirun.{name}" not in found
