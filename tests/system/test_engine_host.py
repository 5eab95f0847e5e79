"""The image `host` from inside: what can be written, what stays hidden, and what commit makes of it."""

import os
import shutil
from pathlib import Path

import pytest

from tests.system.harness import Ocirun

WRITES = """
set -e
echo '#!/bin/sh' >/usr/bin/made-here; chmod 755 /usr/bin/made-here
mkdir -p /var/lib/made-here /opt/made-here
echo 1.2.3.4 name >>/etc/services
rm /usr/bin/env
made-here
"""


def test_all_system_directories_can_be_written(empty: Ocirun, name: str) -> None:
    services = Path("/etc/services").read_bytes()
    empty("run", "--name", name, "host", "sh", "-c", WRITES)
    changes = empty("diff", name).lines
    assert {"A /usr/bin/made-here", "A /var/lib/made-here", "A /opt/made-here"} <= set(changes)
    assert {"C /etc/services", "D /usr/bin/env"} <= set(changes)
    assert not any("hosts" in line or "resolv" in line or "hostname" in line for line in changes)
    assert Path("/etc/services").read_bytes() == services
    assert os.path.exists("/usr/bin/env")
    assert not os.path.exists("/usr/bin/made-here")


def test_accounts_can_be_made(empty: Ocirun) -> None:
    if not shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin"):
        pytest.skip("no useradd on this machine")
    script = "useradd made-here && grep -c ^made-here: /etc/passwd /etc/shadow && id -un made-here"
    assert empty("run", "--rm", "host", "sh", "-c", script).lines == ["/etc/passwd:1", "/etc/shadow:1", "made-here"]


@pytest.mark.rootless
def test_what_the_user_may_not_read_is_not_readable(empty: Ocirun) -> None:
    assert not os.access("/etc/shadow", os.R_OK)
    lines = empty("run", "--rm", "host", "cat", "/etc/shadow").lines
    assert lines
    assert all(line.split(":")[1] == "*" for line in lines)


def test_changes_committed_run_on_top_of_the_machine(empty: Ocirun, name: str) -> None:
    empty("run", "--name", name, "host", "sh", "-c", WRITES)
    empty("commit", "-c", 'CMD ["made-here"]', name, "mine:1")
    assert empty("history", "mine:1").status == 0
    empty("run", "--rm", "mine:1")
    script = "test ! -e /usr/bin/env && tail -n 1 /etc/services && ls -d /opt/made-here && ls /usr/bin/sh >/dev/null"
    assert empty("run", "--rm", "mine:1", "sh", "-c", script).lines == ["1.2.3.4 name", "/opt/made-here"]
    empty("run", "--name", f"{name}-2", "mine:1", "sh", "-c", "echo second >/opt/made-here/second")
    assert set(empty("diff", f"{name}-2").lines) == {"C /opt", "C /opt/made-here", "A /opt/made-here/second"}
    empty("commit", f"{name}-2", "mine:2")
    assert empty("run", "--rm", "mine:2", "cat", "/opt/made-here/second").stdout == "second\n"
    assert empty("run", "--rm", "mine:2", "tail", "-n", "1", "/etc/services").stdout == "1.2.3.4 name\n"
    empty("rm", f"{name}-2")
    empty("rmi", "mine:2", "mine:1")


@pytest.mark.rootless
def test_the_user_stays_himself(empty: Ocirun, tmp_path: Path) -> None:
    words = ["-v", f"{tmp_path}:/data", "host", "sh", "-c", "id -u; id -un; touch /data/mine; touch /var/tmp/x"]
    lines = empty("run", "--rm", "--userns", "keep-id", *words).lines
    assert lines[0] == str(os.getuid())
    assert (tmp_path / "mine").stat().st_uid == os.getuid()


def test_second_run_makes_no_new_layers(empty: Ocirun) -> None:
    empty("run", "--rm", "host", "true")
    before = sorted(os.listdir(empty.root / "layers" / "host"))
    empty("run", "--rm", "host", "true")
    assert sorted(os.listdir(empty.root / "layers" / "host")) == before


def test_read_only(empty: Ocirun) -> None:
    result = empty("run", "--rm", "--read-only", "host", "sh", "-c", "touch /etc/x /usr/x /x", status=1)
    assert result.stderr.count("Read-only file system") == 3
