"""Plans for a further process and for file work, and the processes of the machine as lifecycle sees them."""

import os
import signal
import subprocess
from typing import Any

import pytest

from ocirun.errors import HostError, NotFoundError
from ocirun.host import Host
from ocirun.runtime import lifecycle
from ocirun.runtime.config import make_config
from ocirun.runtime.exec_plan import compile_exec, exec_process
from ocirun.runtime.id_maps import choose_maps
from ocirun.runtime.plan import MONITOR_TTY
from ocirun.runtime.steps import Step
from ocirun.runtime.task_plan import compile_task
from ocirun.runtime.users import User
from tests.unit.runtime.machines import RANGES, ROOTFUL, SINGLE


def config_for(host: Host, **options: Any) -> Any:
    values: dict[str, Any] = {
        "user": User(33, 33, [33, 4], "/var/www"),
        "arguments": ["sleep", "9"],
        "environment": ["A=1", "B=2"],
    }
    maps = choose_maps(host, user=(33, 33))
    return make_config(
        host=host, maps=maps, hostname="box", root_path="/r", working_directory="/w", **{**values, **options}
    )


EXEC_PLAN = """\
  0 keep the log in , the state in , attach at
  1 join the namespaces of the process behind descriptor 6
  2 become uid 0, gid 0
  3 join a new session keyring
  4 open the terminal
  5 set the umask 0o22
  6 change to the working directory /w
  7 load the seccomp filter
  8 run as uid 33, gid 33
  9 die with the monitor (signal 9)
 10 execute id -u PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=box B=2 HOME=/var/www TERM=xterm C=3
"""


def test_exec_takes_what_the_container_has() -> None:
    config = config_for(RANGES)
    process = exec_process(config, RANGES, arguments=["id", "-u"], environment=["A", "C=3"], terminal=True)
    plan = compile_exec(config, process, seccomp=b"12345678", flags=MONITOR_TTY, rows=24, columns=80)
    assert [line.rstrip() for line in plan.describe().splitlines()] == EXEC_PLAN.splitlines()
    assert plan.steps[0].integers[0] == 17
    assert plan.steps[1].integers == (6, 0x7E020000)
    assert plan.steps[4].integers == (24, 80)


def test_exec_as_somebody_else_and_privileged() -> None:
    config = config_for(ROOTFUL, init=True, ulimits=["nofile=5"])
    process = exec_process(
        config, ROOTFUL, arguments=["id"], user=User(0, 0, [0], "/root"), working_directory="/tmp", privileged=True
    )
    plan = compile_exec(config, process)
    assert "HOME=/root" in process["env"]
    assert process["cwd"] == "/tmp"
    assert len(process["capabilities"]["bounding"]) == 41
    assert plan.steps[1].integers == (6, 0x6E020000)
    assert "become" not in [step.kind for step in plan.steps]
    assert plan.steps[-1].integers == (1, 0), "only the container itself has an init"
    assert Step("rlimit", 7, 5, 5) in plan.steps


def test_exec_needs_something_to_join() -> None:
    config = config_for(ROOTFUL)
    config["linux"]["namespaces"] = []
    with pytest.raises(HostError, match="no namespaces to join"):
        compile_exec(config, config["process"])


def test_tasks_run_where_the_ids_are() -> None:
    step = Step("remove_tree", "/x")
    assert compile_task(ROOTFUL, choose_maps(ROOTFUL), [step]).steps == [step]
    assert [found.kind for found in compile_task(SINGLE, choose_maps(SINGLE), [step]).steps] == [
        "clone",
        "id_map_write",
        "deny_setgroups",
        "id_map_write",
        "become",
        "remove_tree",
    ]
    assert compile_task(RANGES, choose_maps(RANGES), [step]).steps[0] == Step("clone", 0x10000000)


def test_start_time_survives_any_name() -> None:
    assert lifecycle.parse_start_time("7 (a) b) (c) S " + " ".join(str(number) for number in range(4, 50))) == 22


def test_signals_reach_only_the_process_that_is_meant() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        started = lifecycle.start_time(child.pid)
        with pytest.raises(NotFoundError):
            lifecycle.signal_process(child.pid, started + 1, signal.SIGKILL)
        assert child.poll() is None
        lifecycle.signal_process(child.pid, started, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert lifecycle.start_time(child.pid) == 0
    with pytest.raises(NotFoundError, match="does not run any more"):
        lifecycle.open_process(child.pid, started)


def test_a_zombie_does_not_run() -> None:
    with subprocess.Popen(["true"]) as child:
        descriptor = os.pidfd_open(child.pid)
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOWAIT)
        os.close(descriptor)
        assert lifecycle.start_time(child.pid) == 0
