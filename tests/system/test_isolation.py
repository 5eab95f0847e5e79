"""What the walls of a container let through and what they hold back, tried from inside."""

import json
from pathlib import Path

import pytest

from tests.system.harness import BUSYBOX, MODE, Ocirun

SANDBOX = "id -u; unshare -n true && echo network; unshare -m mount -t tmpfs x /etc && echo mount"


def shell(ocirun: Ocirun, script: str, *flags: str) -> str:
    return ocirun("run", "--rm", *flags, BUSYBOX, "sh", "-c", script).stdout


def test_loopback_is_up_without_a_network(ocirun: Ocirun) -> None:
    script = "ping -c 1 -W 2 127.0.0.1 >/dev/null && echo answers; ls /sys/class/net"
    assert shell(ocirun, script) == "answers\nlo\n"


def test_low_ports_and_ping_are_for_everybody_inside(ocirun: Ocirun) -> None:
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/sys/net/ipv4/ping_group_range"
    port, groups = shell(ocirun, script).splitlines()
    assert port == "0"
    assert groups.split() == ["0", {"ranges": "65536", "single": "0", "root": "2147483647"}[MODE]]


@pytest.mark.parametrize("command", ["unshare -U true", "unshare -m true", "mount -t tmpfs x /mnt", "umount /proc"])
def test_default_profile_makes_no_namespaces_and_mounts(ocirun: Ocirun, command: str) -> None:
    assert shell(ocirun, f"{command} 2>/dev/null || echo refused") == "refused\n"


def test_nested_profile_is_enough_for_a_sandbox_inside(ocirun: Ocirun) -> None:
    flags = ["--security-opt", "seccomp=nested"]
    assert shell(ocirun, f"unshare -Ur sh -c '{SANDBOX}'", *flags) == "0\nnetwork\nmount\n"
    script = "unshare -Urpfm --mount-proc ps -o pid,comm"
    flags += ["--security-opt", "systempaths=unconfined", "--security-opt", "no-new-privileges"]
    assert shell(ocirun, script, *flags).split() == ["PID", "COMMAND", "1", "ps"]


def test_system_paths(ocirun: Ocirun) -> None:
    script = "head -c 1 /proc/timer_list | wc -c; touch /proc/sys/kernel/domainname 2>/dev/null || echo read-only"
    assert shell(ocirun, script) == "0\nread-only\n"
    unmasked = shell(ocirun, "ls /proc/acpi /sys/firmware | wc -l; mount", "--security-opt", "systempaths=unconfined")
    assert "/proc/timer_list" not in unmasked


@pytest.mark.ranges
def test_setuid_programs_work_unless_no_new_privileges(ocirun: Ocirun) -> None:
    ping = "ping -c 1 -W 2 127.0.0.1 >/dev/null 2>&1 && echo answers || echo refused"
    script = f"cp /bin/busybox /tmp/ping; chmod 4755 /tmp/ping; exec su -s /bin/sh alice -c '{ping}; /tmp/{ping}'"
    assert shell(ocirun, script) == "refused\nanswers\n", "busybox's ping knows raw sockets only"
    assert shell(ocirun, script, "--security-opt", "no-new-privileges") == "refused\nrefused\n"


def test_own_seccomp_profile(ocirun: Ocirun, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    script = "mkdir /x 2>&1; grep Seccomp: /proc/self/status"
    output = shell(ocirun, script, "--security-opt", f"seccomp={profile}")
    assert output == "mkdir: can't create directory '/x': Read-only file system\nSeccomp:\t2\n"
    assert "Seccomp:\t0" in shell(ocirun, script, "--security-opt", "seccomp=unconfined")


def test_bad_seccomp_profile_is_one_line(ocirun: Ocirun, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "MOON"}]}')
    result = ocirun("run", "--rm", "--security-opt", f"seccomp={profile}", BUSYBOX, "true", status=125)
    assert "$.syscalls[0].action: unknown action 'MOON'" in result.error_line()


def test_host_network_shows_its_interfaces_and_changes_nothing(ocirun: Ocirun) -> None:
    names = sorted(path.name for path in Path("/sys/class/net").iterdir())
    script = "ls /sys/class/net; touch /sys/kernel/x 2>/dev/null || echo read-only; mkdir /sys/fs/cgroup/x 2>/dev/null || echo kept"
    assert shell(ocirun, script, "--network", "host").splitlines() == [*names, "read-only", "kept"]


@pytest.mark.rootless
def test_keep_id_is_who_one_is_outside(ocirun: Ocirun) -> None:
    import os

    script = "id -u; stat -c %u /bin/busybox; cat /proc/self/uid_map | wc -l"
    own = str(os.getuid())
    expected = {"ranges": [own, "0", "3"], "single": [own, own, "1"]}[MODE]
    assert shell(ocirun, script, "--userns", "keep-id").split() == expected
    assert shell(ocirun, "id -u; id -g", "--userns", "keep-id:uid=77,gid=88") == "77\n88\n"


@pytest.mark.ranges
def test_an_id_that_is_not_mapped_names_the_way_out(ocirun: Ocirun) -> None:
    result = ocirun("run", "--rm", "-u", "100000", BUSYBOX, "true", status=125)
    assert "uid 100000 does not exist in this container" in result.error_line()
    assert "keep-id:uid=100000" in result.error_line()


def test_capabilities(ocirun: Ocirun) -> None:
    script = "grep -E 'Cap(Inh|Eff|Bnd)' /proc/self/status | cut -f 2"
    # Docker's set; root's containers lack CAP_MKNOD (docs/decisions/0009).
    default = "00000000a00425fb" if MODE == "root" else "00000000a80425fb"
    assert shell(ocirun, script).split() == ["0" * 16, default, default]
    assert shell(ocirun, script, "--cap-drop", "all").split() == ["0" * 16] * 3
    assert shell(ocirun, script, "--cap-drop", "ALL", "--cap-add", "sys_admin").split()[1] == "0000000000200000"
    result = ocirun("run", "--rm", "--cap-add", "moon", BUSYBOX, "true", status=125)
    assert 'invalid CapAdd: unknown capability: "CAP_MOON"' in result.error_line()


def test_a_missing_profile_of_the_machine_is_told(ocirun: Ocirun) -> None:
    if Path("/sys/module/apparmor/parameters/enabled").exists():
        pytest.skip("this machine has AppArmor")
    result = ocirun("run", "--rm", "--security-opt", "apparmor=small", BUSYBOX, "true", status=125)
    assert "AppArmor is not enabled on this machine" in result.error_line()
