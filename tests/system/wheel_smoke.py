"""wheel_smoke.py WHEEL: installs the wheel as an ordinary user into a fresh venv, with no compiler on PATH, and runs it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MACHINE = Path(__file__).with_name("machine.py")
SCRIPT = """
set -eu
"$1" -m venv "$HOME/venv"
PATH="$HOME/no-compiler" "$HOME/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$2"
export PATH="$HOME/venv/bin:$PATH" OCIRUN_ROOT="$HOME/root" OCIRUN_RUNROOT="$HOME/run"
cd /
ocirun version
test "$(ocirun run --rm host echo works)" = works
ocirun run --rm host sh -c 'test "$(id -u)" = 0'
echo "the wheel works"
"""


def main() -> int:
    """Enter the machine of an ordinary user when this is root, and run the script there; its exit status."""
    wheel = os.path.realpath(sys.argv[1])
    if os.geteuid() == 0:
        again = [sys.executable, str(MACHINE), "--enter", "ranges", sys.executable, __file__, wheel]
        return subprocess.run(again, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="ocirun-wheel-") as home:
        os.mkdir(f"{home}/no-compiler")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = ["sh", "-c", SCRIPT, "sh", os.path.realpath(sys.executable), wheel]
        return subprocess.run(command, env={**environment, "HOME": home}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
