"""Configurations as docker would make them."""

from typing import Any

import pytest

from ocirun import host as host_module
from ocirun.errors import HostError, UsageError
from ocirun.host import Host
from ocirun.oci.schemas import check
from ocirun.runtime import config as module
from ocirun.runtime.config_mounts import bind_mount, clean, join_mounts, tmpfs_mount
from ocirun.runtime.id_maps import choose_maps
from ocirun.runtime.security import SecurityOptions
from ocirun.runtime.users import User
from tests.unit.runtime.machines import RANGES, ROOTFUL, SINGLE

IMAGE = {"Entrypoint": ["/entry"], "Cmd": ["a", "b"]}


@pytest.mark.parametrize(
    "image, entrypoint, command, expected",
    [
        (IMAGE, None, [], (["/entry"], ["a", "b"])),
        (IMAGE, None, ["c"], (["/entry"], ["c"])),
        (IMAGE, ["/own"], [], (["/own"], [])),
        (IMAGE, ["/own"], ["c"], (["/own"], ["c"])),
        (IMAGE, [""], ["c"], ([], ["c"])),
        ({"Cmd": ["sh"]}, None, [], ([], ["sh"])),
    ],
)
def test_entrypoint_and_command(
    image: dict[str, Any], entrypoint: list[str] | None, command: list[str], expected: tuple[list[str], list[str]]
) -> None:
    assert module.entrypoint_and_command(image, entrypoint, command) == expected


@pytest.mark.parametrize("image, entrypoint", [({}, None), (IMAGE, [""]), ({"Cmd": None}, None)])
def test_no_command(image: dict[str, Any], entrypoint: list[str] | None) -> None:
    with pytest.raises(UsageError, match="no command specified"):
        module.entrypoint_and_command(image, entrypoint, [])


def test_environment_of_the_container_has_the_users_first() -> None:
    assert module.container_environment(["PATH=/x", "A=1"], ["A=2", "B=3"]) == ["A=2", "B=3", "PATH=/x"]


def test_environment_of_the_process_in_dockers_order() -> None:
    settings = ["B=3", "PATH=/x", "HOSTNAME", "A=1=2"]
    assert module.process_environment(settings, hostname="box", terminal=True, home="/root") == [
        "PATH=/x",
        "TERM=xterm",
        "B=3",
        "A=1=2",
        "HOME=/root",
    ]
    assert module.process_environment(["HOME=/h"], hostname="box", terminal=False, home="") == [
        f"PATH={module.DEFAULT_PATH}",
        "HOSTNAME=box",
        "HOME=/h",
    ]


@pytest.mark.parametrize(
    "text, soft, hard", [("nofile=5", 5, 5), ("core=0:-1", 0, 2**64 - 1), ("memlock=-1", 2**64 - 1, 2**64 - 1)]
)
def test_ulimits(text: str, soft: int, hard: int) -> None:
    limit = module.parse_ulimit(text)
    assert (limit["type"], limit["soft"], limit["hard"]) == (f"RLIMIT_{text.partition('=')[0].upper()}", soft, hard)


@pytest.mark.parametrize(
    "text, message",
    [
        ("nofile", "invalid ulimit argument: nofile"),
        ("moon=1", "invalid ulimit type: moon"),
        ("nofile=1:2:3", "too many limit value arguments - 1:2:3"),
        ("nofile=x", "invalid ulimit value: x"),
        ("nofile=-2", "invalid ulimit value: -2"),
        ("nofile=3:2", "ulimit soft limit must be less than or equal to hard limit: 3 > 2"),
        ("nofile=-1:2", "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: 2"),
    ],
)
def test_bad_ulimits(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        module.parse_ulimit(text)
    assert str(caught.value).startswith(message)


def make(host: Any = RANGES, **options: Any) -> Any:
    values: dict[str, Any] = {
        "user": User(),
        "arguments": ["true"],
        "environment": [],
        "hostname": "box",
        "root_path": "/r",
    }
    return module.make_config(host=host, maps=choose_maps(host), **{**values, **options})


@pytest.mark.parametrize("host", [RANGES, SINGLE, ROOTFUL])
def test_configurations_keep_to_the_specification(host: Any) -> None:
    check("runtime-config", make(host, init=True, ulimits=["nofile=5"], terminal=True), "config.json")


def test_init_is_an_annotation() -> None:
    assert make(init=True)["annotations"] == {"org.ocirun.init": "true"}
    assert make(annotations={"a": "b"})["annotations"] == {"a": "b"}


def test_system_paths_unconfined() -> None:
    linux = make(security=SecurityOptions(system_paths_unconfined=True))["linux"]
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == ([], [])
    assert "/proc/kcore" in make()["linux"]["maskedPaths"]


def test_seccomp_choices() -> None:
    assert "seccomp" not in make(security=SecurityOptions(seccomp="unconfined"))["linux"]
    nested = make(security=SecurityOptions(seccomp="nested"))["linux"]["seccomp"]
    assert "unshare" in nested["syscalls"][0]["names"]
    own = make(security=SecurityOptions(seccomp="/p"), seccomp_profile={"defaultAction": "SCMP_ACT_ALLOW"})
    assert own["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    with pytest.raises(UsageError, match="was not read"):
        make(security=SecurityOptions(seccomp="/p"))


def test_network_sysctls_follow_the_maps() -> None:
    assert make()["linux"]["sysctl"]["net.ipv4.ping_group_range"] == "0 65536"
    assert make(SINGLE)["linux"]["sysctl"]["net.ipv4.ping_group_range"] == "0 0"
    assert make(ROOTFUL)["linux"]["sysctl"]["net.ipv4.ping_group_range"] == "0 2147483647"
    assert make(network="host")["linux"]["sysctl"] == {}
    assert make(sysctls={"net.ipv4.ip_unprivileged_port_start": "80"})["linux"]["sysctl"][
        "net.ipv4.ip_unprivileged_port_start"
    ] == "80"  # fmt: skip


def test_labels_reach_the_process_where_the_machine_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "has_apparmor", lambda: True)
    monkeypatch.setattr(host_module, "has_selinux", lambda: True)
    process = make(security=SecurityOptions(apparmor="small", labels=["type:x"]))["process"]
    assert (process["apparmorProfile"], process["selinuxLabel"]) == ("small", "system_u:system_r:x:s0")
    assert "selinuxLabel" not in make(security=SecurityOptions(labels=["disable"]))["process"]


def test_no_ipv4_no_sysctls() -> None:
    bare = Host(uid=0, gid=0, id_mode="rootful", has_ipv4=False, has_cgroup2=False, thermal_throttle_cpus=2)
    config = make(bare)
    assert config["linux"]["sysctl"] == {}
    assert "/sys/fs/cgroup" not in [mount["destination"] for mount in config["mounts"]]
    assert "/sys/devices/system/cpu/cpu1/thermal_throttle" in config["linux"]["maskedPaths"]


def test_single_has_no_further_groups() -> None:
    assert "additionalGids" not in make(SINGLE)["process"]["user"]
    assert make(user=User(5, 6, [6, 7]))["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": [6, 7]}


def test_refusals() -> None:
    with pytest.raises(UsageError, match="needs to be an absolute path"):
        make(working_directory="x")
    with pytest.raises(UsageError, match="network moon not found"):
        make(network="moon")
    with pytest.raises(HostError, match="uid 99999 does not exist"):
        make(user=User(99999, 0))


def test_files_are_bound_unless_the_user_mounts_there() -> None:
    mounts = make(
        files={"/etc/hosts": "/c/hosts", "/etc/hostname": "/c/hostname"},
        mounts=[bind_mount("/own", "/etc/hosts"), bind_mount("/x", "/a/b"), bind_mount("/y", "/a")],
        read_only=True,
    )["mounts"][7:]
    assert [(mount["source"], mount["destination"]) for mount in mounts] == [
        ("/y", "/a"),
        ("/own", "/etc/hosts"),
        ("/c/hostname", "/etc/hostname"),
        ("/x", "/a/b"),
    ]
    assert mounts[2]["options"] == ["bind", "ro", "rprivate"]
    assert mounts[0]["options"] == ["rbind", "rprivate"]


def test_user_mounts_replace_defaults() -> None:
    targets = [mount["destination"] for mount in make(mounts=[bind_mount("/dev", "/dev/")])["mounts"]]
    assert targets == ["/proc", "/sys", "/sys/fs/cgroup", "/dev"]


def test_mount_refusals() -> None:
    with pytest.raises(UsageError, match="Duplicate mount point: /a"):
        join_mounts([], [bind_mount("/x", "/a"), bind_mount("/y", "/a/")], {}, read_only=False)
    with pytest.raises(UsageError, match="destination can't be '/'"):
        join_mounts([], [bind_mount("/x", "/b/..")], {}, read_only=False)
    with pytest.raises(UsageError, match="invalid propagation mode: loud"):
        bind_mount("/x", "/y", propagation="loud")


def test_tmpfs_options() -> None:
    assert tmpfs_mount("/t")["options"] == ["noexec", "nosuid", "nodev", "rprivate"]
    assert tmpfs_mount("/t:exec,size=1m,size=2m,ro")["options"] == [
        "nosuid",
        "nodev",
        "rprivate",
        "exec",
        "size=2m",
        "ro",
    ]
    with pytest.raises(UsageError, match="invalid tmpfs option 'moon=1'"):
        tmpfs_mount("/t:moon=1")
    with pytest.raises(UsageError, match="mount path must be absolute"):
        tmpfs_mount("t")


@pytest.mark.parametrize("path, expected", [("", "/"), ("a//b/.", "/a/b"), ("/../../x/..", "/")])
def test_clean(path: str, expected: str) -> None:
    assert clean(path) == expected
