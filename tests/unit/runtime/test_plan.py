"""Plans as text: what `run` does on each kind of machine, without doing it."""

from collections.abc import Callable
from typing import Any

import pytest

from ocirun.errors import HostError, InvalidError
from ocirun.host import Host
from ocirun.runtime.config import make_config
from ocirun.runtime.config_mounts import bind_mount
from ocirun.runtime.id_maps import choose_maps
from ocirun.runtime.plan import MONITOR_ATTACHED, Monitor, compile_plan
from ocirun.runtime.root import Overlay, RootFilesystem
from ocirun.runtime.steps import Plan, Step
from ocirun.runtime.users import User
from tests.unit.runtime.machines import RANGES, ROOTFUL, SINGLE

LIMIT = {"type": "RLIMIT_CPU", "soft": 1, "hard": 2}
Change = Callable[[Any], Any]

ROOT = RootFilesystem("/c/rootfs", [Overlay("/", ["/l/2", "/l/1"], "/c/upper", "/c/work")])

RANGES_PLAN = """\
  0 keep the log in /c/log, the state in /c/state, attach at /r/attach
  1 after exit, remove /c
  2 clone into new namespaces (0x7e020000)
  3 map ids with /usr/bin/newuidmap 0 1000 1 1 100000 65536
  4 map ids with /usr/bin/newgidmap 0 1001 1 1 200000 65536
  5 become uid 0, gid 0
  6 join a new session keyring _ses.abc
  7 bring up the loopback interface
  8 set the propagation of / (0x84000)
  9 mount an overlay on /c/rootfs (upper /c/upper)
 10 open the root /c/rootfs
 11 mount proc on /proc ()
 12 mount tmpfs on /dev (mode=755,size=65536k)
 13 mount devpts on /dev/pts (newinstance,ptmxmode=0666,mode=0620,gid=5)
 14 mount sysfs on /sys ()
 15 mount cgroup2 on /sys/fs/cgroup ()
 16 mount mqueue on /dev/mqueue ()
 17 mount tmpfs on /dev/shm (mode=1777,size=67108864)
 18 bind /home/ann on /data
 19 bind the device /dev/null on /dev/null
 20 bind the device /dev/zero on /dev/zero
 21 bind the device /dev/full on /dev/full
 22 bind the device /dev/random on /dev/random
 23 bind the device /dev/urandom on /dev/urandom
 24 bind the device /dev/tty on /dev/tty
 25 link /dev/fd to /proc/self/fd
 26 link /dev/stdin to /proc/self/fd/0
 27 link /dev/stdout to /proc/self/fd/1
 28 link /dev/stderr to /proc/self/fd/2
 29 link /dev/core to /proc/kcore
 30 link /dev/ptmx to pts/ptmx
 31 open the terminal
 32 set the sysctl net/ipv4/ip_unprivileged_port_start to 0
 33 set the sysctl net/ipv4/ping_group_range to 0 65536
 34 set the host name box
 35 make /proc/bus read-only
 36 make /proc/fs read-only
 37 make /proc/irq read-only
 38 make /proc/sys read-only
 39 make /proc/sysrq-trigger read-only
 40 mask /proc/acpi
 41 mask /proc/asound
 42 mask /proc/interrupts
 43 mask /proc/kcore
 44 mask /proc/keys
 45 mask /proc/latency_stats
 46 mask /proc/sched_debug
 47 mask /proc/scsi
 48 mask /proc/timer_list
 49 mask /proc/timer_stats
 50 mask /sys/devices/virtual/powercap
 51 mask /sys/firmware
 52 pivot into the root
 53 make the root read-only
 54 set the resource limit 7 to 64:128
 55 set the umask 0o22
 56 change to the working directory /work
 57 load the seccomp filter
 58 run as uid 33, gid 33
 59 die with the monitor (signal 9)
 60 execute sh -c id PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=box TERM=xterm A=1 HOME=/
"""


def config_for(host: Host, user: User | None = None, userns: str = "", **options: Any) -> Any:
    user = user or User()
    maps = choose_maps(host, userns, (user.uid, user.gid))
    values: dict[str, Any] = {
        "arguments": ["true"],
        "environment": [],
        "hostname": "box",
        "root_path": "/c/rootfs",
        **options,
    }
    return make_config(host=host, maps=maps, user=user, **values)


def kinds(plan: Plan) -> list[str]:
    return [step.kind for step in plan.steps]


def only(plan: Plan, kind: str) -> list[Step]:
    return [step for step in plan.steps if step.kind == kind]


def test_a_whole_plan_with_ranges() -> None:
    config = config_for(
        RANGES,
        user=User(33, 33, [33, 4]),
        arguments=["sh", "-c", "id"],
        environment=["A=1"],
        working_directory="/work",
        terminal=True,
        read_only=True,
        mounts=[bind_mount("/home/ann", "/data")],
        ulimits=["nofile=64:128"],
    )
    monitor = Monitor(
        flags=MONITOR_ATTACHED,
        log="/c/log",
        state="/c/state",
        socket="/r/attach",
        removals=[Step("after_exit_remove", "/c")],
    )
    plan = compile_plan(config, RANGES, ROOT, monitor=monitor, seccomp=b"12345678", container_id="abc")
    assert plan.describe() == RANGES_PLAN
    assert only(plan, "credentials")[0].strings == ("33", "4")


def test_single_maps_one_id_and_gives_up_groups() -> None:
    plan = compile_plan(config_for(SINGLE, user=User(70, 71, [71, 4])), SINGLE, ROOT)
    assert only(plan, "id_map_write") == [
        Step("id_map_write", 0, "70 1000 1\n"),
        Step("id_map_write", 1, "71 1001 1\n"),
    ]
    names = kinds(plan)
    assert names.index("deny_setgroups") < len(names) - names[::-1].index("id_map_write")
    assert only(plan, "become") == [Step("become", 70, 71)]
    assert only(plan, "credentials")[0].strings == ()
    assert "gid=5" not in only(plan, "mount")[2].strings[3]
    assert only(plan, "working_directory") == [Step("working_directory", 1, 70, 71, "/")]


def test_rootful_makes_devices_and_no_user_namespace() -> None:
    plan = compile_plan(config_for(ROOTFUL), ROOTFUL, ROOT)
    assert only(plan, "clone") == [Step("clone", 0x6E020000)]
    assert "become" not in kinds(plan)
    assert "id_map_write" not in kinds(plan)
    assert "bind_device" not in kinds(plan)
    assert Step("make_node", 0o020666, 1, 3, 0, 0, "/dev/null") in plan.steps


def test_without_a_monitor_nothing_dies_with_it() -> None:
    assert "parent_death_signal" not in kinds(compile_plan(config_for(RANGES), RANGES, ROOT))


def test_filter_comes_before_credentials_unless_no_new_privs() -> None:
    config = config_for(RANGES)
    late: Any = {**config, "process": {**config["process"], "noNewPrivileges": True}}
    early_plan = kinds(compile_plan(config, RANGES, ROOT, seccomp=b"12345678"))
    late_plan = kinds(compile_plan(late, RANGES, ROOT, seccomp=b"12345678"))
    assert early_plan[-3:] == ["seccomp", "credentials", "command"]
    assert late_plan[-4:] == ["credentials", "no_new_privileges", "seccomp", "command"]


def test_mounts_come_before_masks_and_pivot_comes_after() -> None:
    names = kinds(compile_plan(config_for(RANGES, terminal=True, read_only=True), RANGES, ROOT))
    order = ["clone", "become", "propagation", "overlay", "open_root", "mount", "bind_device", "console", "sysctl"]
    order += [
        "hostname",
        "readonly_path",
        "mask",
        "pivot",
        "readonly_root",
        "umask",
        "working_directory",
        "credentials",
    ]
    assert [names.index(name) for name in order] == sorted(names.index(name) for name in order)


def test_host_network_shares_sys_read_only() -> None:
    plan = compile_plan(config_for(RANGES, network="host"), RANGES, ROOT)
    assert only(plan, "clone") == [Step("clone", 0x3E020000)]
    bind = only(plan, "bind")[0]
    assert bind.strings == ("/sys", "/sys")
    assert bind.integers[3] & 1, "read-only with all that is mounted below"
    assert "sysctl" not in kinds(plan)


def test_sysfs_of_a_foreign_bundle_falls_back_to_a_bind() -> None:
    config = config_for(RANGES, network="host")
    mounts = [mount for mount in config["mounts"] if mount["destination"] != "/sys"]
    config["mounts"] = [
        *mounts,
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "nosuid"]},
    ]
    assert Step("bind", 5, 3, 0, 3, 0, 0, "/sys", "/sys") in compile_plan(config, RANGES, ROOT).steps


def test_host_image_is_one_overlay_for_each_directory() -> None:
    root = RootFilesystem(
        "/c/rootfs",
        [Overlay("/", ["/skeleton"], "/c/upper", "/c/work"), Overlay("/usr", ["/usr"], "/c/host/0/u", "/c/host/0/w")],
    )
    plan = compile_plan(config_for(RANGES), RANGES, root)
    start = kinds(plan).index("overlay")
    assert plan.steps[start : start + 3] == [
        Step("overlay", 0, 0, "/c/rootfs", "/c/upper", "/c/work", "userxattr", "/skeleton"),
        Step("open_root", 0, "/c/rootfs"),
        Step("overlay", 0, 1, "/usr", "/c/host/0/u", "/c/host/0/w", "userxattr", "/usr"),
    ]


def test_upper_is_prepared_by_the_containers_root() -> None:
    root = RootFilesystem("/c/rootfs", [Overlay("/", ["/l"], "/c/upper", "/c/work", prepare=True, mode=0o1777)])
    plan = compile_plan(config_for(RANGES, userns="keep-id"), RANGES, root)
    assert only(plan, "prepare_directory") == [
        Step("prepare_directory", 0o1777, 0, 0, "/c/upper"),
        Step("prepare_directory", 0o700, 0, 0, "/c/work"),
    ]


def test_a_bundle_has_its_root_bound_on_itself() -> None:
    plan = compile_plan(config_for(RANGES), RANGES, RootFilesystem("/bundle/rootfs"))
    assert only(plan, "open_root") == [Step("open_root", 1, "/bundle/rootfs")]


def test_volumes_are_filled_before_they_cover_the_image() -> None:
    config = config_for(RANGES, mounts=[bind_mount("/v/_data", "/var/lib/db"), bind_mount("/x", "/y")])
    plan = compile_plan(config, RANGES, ROOT, populate=frozenset({"/var/lib/db"}))
    start = kinds(plan).index("populate")
    assert plan.steps[start] == Step("populate", "/var/lib/db", "/v/_data")
    assert plan.steps[start + 1].strings == ("/v/_data", "/var/lib/db")
    assert kinds(plan).count("populate") == 1


def test_init_and_joined_namespaces() -> None:
    config = config_for(RANGES, init=True)
    config["linux"]["namespaces"] = [
        {"type": "mount"},
        {"type": "network", "path": "/run/n"},
        {"type": "user", "path": "/u"},
    ]
    config["linux"]["sysctl"] = {}
    del config["hostname"]
    plan = compile_plan(config, RANGES, ROOT)
    assert plan.steps[:3] == [
        Step("join_namespace", 0x10000000, "/u"),
        Step("join_namespace", 0x40000000, "/run/n"),
        Step("clone", 0x20000),
    ]
    assert "id_map_helper" not in kinds(plan)
    assert only(plan, "command")[0].integers == (1, 1)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("process"), "$.process: missing"),
        (lambda c: c["process"].update(cwd="x"), "$.process.cwd: 'x' is not an absolute path"),
        (lambda c: c["process"].update(args=[]), "$.process.args: at least one word is needed"),
        (lambda c: c["process"].update(env=["A=\0"]), "$.process.env[0]: has a NUL byte"),
        (
            lambda c: c["process"].update(rlimits=[{"type": "RLIMIT_X"}]),
            "$.process.rlimits[0].type: unknown limit 'RLIMIT_X'",
        ),
        (lambda c: c.update(hostname="x" * 65), "$.hostname: 65 bytes, and the kernel takes 64"),
        (lambda c: c["linux"].update(namespaces=[]), "$.linux.namespaces: a mount namespace is needed"),
        (
            lambda c: c["linux"]["namespaces"].append({"type": "moon"}),
            "$.linux.namespaces[7].type: unknown namespace 'moon'",
        ),
        (lambda c: c["linux"]["namespaces"].append({"type": "pid"}), "$.linux.namespaces[7].type: pid appears twice"),
        (
            lambda c: c["linux"].update(uidMappings=[]),
            "$.linux.uidMappings and gidMappings: a new user namespace needs both",
        ),
        (lambda c: c["linux"].update(rootfsPropagation="loud"), "$.linux.rootfsPropagation: unknown value 'loud'"),
        (
            lambda c: c["linux"].update(sysctl={"kernel.core_pattern": "|/x"}),
            "$.linux.sysctl['kernel.core_pattern']: not a parameter of a namespace, so it would change the whole machine",
        ),
        (
            lambda c: c["linux"].update(sysctl={"net/../kernel/core_pattern": "|/x"}),
            "$.linux.sysctl['net/../kernel/core_pattern']: not the name of a kernel parameter",
        ),
        (
            lambda c: c["mounts"].append({"destination": "/proc/self/attr", "type": "tmpfs"}),
            "$.mounts[7]: /proc/self/attr cannot be mounted because it is inside /proc",
        ),
        (
            lambda c: c["mounts"].append({"destination": "/proc", "type": "tmpfs"}),
            "$.mounts[7]: tmpfs cannot be mounted on /proc",
        ),
        (lambda c: c["mounts"].append({"type": "tmpfs"}), "$.mounts[7].destination: missing"),
        (
            lambda c: c["mounts"].append({"destination": "/x", "source": "y", "type": "bind"}),
            "$.mounts[7].source: 'y' is not an absolute path",
        ),
        (
            lambda c: c["linux"].update(devices=[{"type": "x", "path": "/dev/x"}]),
            "$.linux.devices[0].type: 'x' is none of c, b, u and p",
        ),
    ],
)
def test_a_bad_configuration_names_its_place(change: Change, message: str) -> None:
    config = config_for(RANGES)
    change(config)
    with pytest.raises(InvalidError) as caught:
        compile_plan(config, RANGES, ROOT)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda c: c["linux"].update(sysctl={"kernel.sem": "1\0"}),
            "$.linux.sysctl['kernel.sem']: the value has a NUL byte",
        ),
        (lambda c: c["process"].update(rlimits=[LIMIT, LIMIT]), "$.process.rlimits[1].type: RLIMIT_CPU appears twice"),
        (
            lambda c: c["mounts"].append({"destination": "/x", "source": "/y", "options": ["bind", "size=1"]}),
            "$.mounts[7].options: a bind mount has no option 'size=1'",
        ),
        (
            lambda c: c["mounts"].append({"destination": "/x", "source": "/y", "options": ["bind", "idmap"]}),
            "$.mounts[7].options: idmap is not supported yet",
        ),
        (
            lambda c: c["linux"].update(devices=[{"type": "c", "path": "x"}]),
            "$.linux.devices[0].path: 'x' is not an absolute path",
        ),
        (
            lambda c: c["linux"].update(namespaces=[{"type": "mount"}]),
            "$.linux.sysctl['net.ipv4.ip_unprivileged_port_start']: needs a network namespace of the container's own",
        ),
    ],
)
def test_more_bad_configurations(change: Change, message: str) -> None:
    config = config_for(RANGES)
    change(config)
    with pytest.raises(InvalidError) as caught:
        compile_plan(config, RANGES, ROOT)
    assert str(caught.value) == message


def test_a_host_name_needs_its_namespace() -> None:
    config = config_for(RANGES, network="host")
    config["linux"]["namespaces"] = [{"type": "mount"}]
    with pytest.raises(InvalidError, match=r"\$\.hostname: cannot be set without a uts namespace"):
        compile_plan(config, RANGES, ROOT)


def test_groups_cannot_be_had_with_one() -> None:
    config = config_for(SINGLE)
    config["process"]["user"]["additionalGids"] = [5]
    with pytest.raises(HostError, match="additionalGids"):
        compile_plan(config, SINGLE, ROOT)


def test_what_else_a_configuration_may_say() -> None:
    config = config_for(ROOTFUL)
    config["linux"]["sysctl"] = {
        "kernel/shmmax": "1",
        "fs.mqueue.msg_max": "2",
        "kernel.domainname": "d",
        "net.a.b/c.d": "3",
    }
    config["linux"]["devices"] = [{"type": "p", "path": "/dev/pipe"}]
    config["domainname"] = "example.org"
    config["process"].update(oomScoreAdj=-5, noNewPrivileges=True)
    plan = compile_plan(config, ROOTFUL, ROOT)
    assert [step.strings[0] for step in only(plan, "sysctl")] == [
        "kernel/shmmax",
        "fs/mqueue/msg_max",
        "kernel/domainname",
        "net/a/b.c/d",
    ]
    assert Step("make_node", 0o010666, 0, 0, 0, 0, "/dev/pipe") in plan.steps
    assert Step("domainname", "example.org") in plan.steps
    assert Step("oom_score", -5) in plan.steps


def test_shared_propagation_waits_for_the_new_root() -> None:
    config = config_for(RANGES)
    config["linux"]["rootfsPropagation"] = "rshared"
    steps = only(compile_plan(config, RANGES, ROOT), "propagation")
    assert steps == [Step("propagation", 0x84000, "/"), Step("propagation", 0x104000, "/")]


def test_missing_newuidmap_names_the_package() -> None:
    config = config_for(RANGES)
    with pytest.raises(HostError) as caught:
        compile_plan(config, SINGLE, ROOT)
    assert "uidmap" in caught.value.hint


def test_read_only_dev_is_made_so_after_its_devices() -> None:
    config = config_for(RANGES, terminal=True)
    config["mounts"][1]["options"].append("ro")
    plan = compile_plan(config, RANGES, ROOT)
    assert plan.steps.index(Step("readonly_path", "/dev")) > kinds(plan).index("console")
    assert only(plan, "mount")[1].integers[0] & 1 == 0


def test_devices_are_left_alone_when_dev_is_the_hosts() -> None:
    config = config_for(RANGES, mounts=[bind_mount("/dev", "/dev")])
    plan = compile_plan(config, RANGES, ROOT)
    assert "bind_device" not in kinds(plan)
    assert [step.strings[2] for step in only(plan, "mount")] == ["/proc", "/sys", "/sys/fs/cgroup"]


def test_labels_are_set_before_the_filter() -> None:
    config = config_for(RANGES)
    config["process"].update(apparmorProfile="small", selinuxLabel="u:r:t:s0")
    plan = compile_plan(config, RANGES, ROOT, seccomp=b"12345678")
    assert [step for step in plan.steps if step.kind in ("exec_label", "seccomp")] == [
        Step("exec_label", "apparmor/exec", "exec small"),
        Step("exec_label", "exec", "u:r:t:s0"),
        Step("seccomp", 4, b"12345678"),
    ]


def test_more_devices_and_all_the_options_of_a_bind() -> None:
    config = config_for(ROOTFUL)
    config["linux"]["devices"] = [
        {"type": "b", "path": "/dev/sda", "major": 8, "minor": 0, "fileMode": 0o600, "gid": 6}
    ]
    options = ["rbind", "ro", "rnosuid", "noatime", "rw", "slave", "dev"]
    config["mounts"].append({"destination": "mnt/../x", "source": "/s", "options": options})
    plan = compile_plan(config, ROOTFUL, ROOT)
    assert Step("make_node", 0o060600, 8, 0, 0, 6, "/dev/sda") in plan.steps
    assert Step("bind", 5, 0x10, 0x70 | 1 | 4, 2, 0, 1 << 19, "/s", "/x") in plan.steps
