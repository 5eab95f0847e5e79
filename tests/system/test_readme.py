"""The commands of the README, run literally and in its order, by a shell, as an ordinary user would."""

import os
import subprocess
import sys
from pathlib import Path

from tests.system.harness import COMMAND, Ocirun, busybox_path

TOUR = """
ocirun run --rm --network none -v "$PWD:/src:ro" -w /src host ls
ocirun run --name work host sh -c 'echo hello > /etc/motd'
ocirun diff work
ocirun commit -m "a change" work work:v1
ocirun save -o work.tar work:v1
ocirun load -i work.tar
ocirun run --rm work:v1 cat /etc/motd
ocirun run -d --name clock host sh -c 'while :; do date; sleep 1; done'
ocirun ps
ocirun logs --tail 5 clock
ocirun exec clock id
ocirun stop -t 1 clock
ocirun rm clock
ocirun images
ocirun info
ocirun run --dry-run --rm host true
"""
IMPORT = """
tar -C / -cf - bin/busybox | ocirun import -c 'ENTRYPOINT ["/bin/busybox"]' - box
ocirun run --rm box echo hello
"""
INTERACTIVE = "ocirun run --rm -it host bash"


def test_tour(empty: Ocirun, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "ocirun"
    script.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    script.chmod(0o755)
    environment = {**empty.environment, "PATH": f"{programs}:{os.environ['PATH']}"}
    lines = TOUR + (IMPORT if busybox_path() else "")
    done = subprocess.run(
        ["sh", "-exc", lines], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr, file=sys.stderr)
    assert done.returncode == 0
    assert "A /etc/motd" in done.stdout or "C /etc/motd" in done.stdout
    assert done.stdout.count("hello") >= 1
    assert (tmp_path / "work.tar").stat().st_size > 1000


def test_shell_on_the_host_image(empty: Ocirun) -> None:
    terminal = empty.terminal(*INTERACTIVE.split()[1:])
    terminal.expect(r"[#$] ")
    terminal.write("exit\r")
    assert terminal.wait() == 0
