"""Facts about a machine, read from the texts that a machine would give."""

from pathlib import Path

import pytest

from ocirun import host
from ocirun.errors import HostError

PASSWD = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n"


@pytest.mark.parametrize(
    "release, expected",
    [
        ("6.1.0-37-amd64", (6, 1)),
        ("5.15.167.4-microsoft-standard-WSL2", (5, 15)),
        ("6.18rc1", (6, 18)),
        ("six", (0, 0)),
        ("6", (0, 0)),
    ],
)
def test_kernel_release(release: str, expected: tuple[int, int]) -> None:
    assert host.parse_kernel(release) == expected


def test_status_is_read_in_hexadecimal() -> None:
    text = "Name:\tbash\nCapEff:\t00000000a80425fb\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\n"
    assert host.parse_status(text) == {"CapEff": 0xA80425FB, "CapBnd": 0x1FFFFFFFFFF, "NoNewPrivs": 1}
    assert host.parse_status("") == {"CapEff": 0, "CapBnd": 0, "NoNewPrivs": 0}


def test_user_name() -> None:
    assert host.parse_user_name(PASSWD, 1000) == "ann"
    assert host.parse_user_name(PASSWD, 1) == ""


@pytest.mark.parametrize(
    "text, expected",
    [
        ("ann:100000:65536\n", ((100000, 65536),)),
        ("bob:100000:65536\n1000:200000:65536\n", ((200000, 65536),)),
        ("ann:100000:1\nann:300000:65536\n1000:400000:10\n", ((100000, 1), (300000, 65536), (400000, 10))),
        ("ann:100000:65536\nann:150000:65536\n", ((100000, 65536),)),
        ("# ann:1:2\nann:x:65536\nann:100000\nann:100000:0\n:1:2\nann:4294967000:65536\n", ()),
        ("  ann:100000:65536  \r\n", ((100000, 65536),)),
    ],
)
def test_ranges(text: str, expected: tuple[tuple[int, int], ...]) -> None:
    assert host.parse_ranges(text, "ann", 1000) == expected


def test_whole_id_map() -> None:
    assert host.is_whole_id_map("         0          0 4294967295\n")
    assert not host.is_whole_id_map("         0       1000          1\n")


RANGE = ((100000, 65536),)


def mode(
    uid: int = 1000,
    effective: int = 0,
    uids: tuple[tuple[int, int], ...] = RANGE,
    gids: tuple[tuple[int, int], ...] = RANGE,
    *,
    sandboxed: bool = False,
    helpers: bool = True,
) -> tuple[str, str, str]:
    return host.choose_id_mode(
        uid=uid,
        user_name="ann",
        effective=effective,
        no_new_privileges=sandboxed,
        uid_ranges=uids,
        gid_ranges=gids,
        helpers=helpers,
    )


def test_id_modes_and_what_lifts_them() -> None:
    assert mode() == ("ranges", "the ranges of ann in /etc/subuid and /etc/subgid, with newuidmap", "")
    assert mode(uid=0, effective=1 << 21)[0] == "rootful"
    assert mode(uids=())[:2] == ("single", "/etc/subuid has no range for ann")
    assert "usermod --add-subuids" in mode(uids=())[2]
    assert mode(gids=((5, 1),))[1] == "the range for ann in /etc/subgid has 1 of the 65536 ids that images use"
    assert "uidmap" in mode(helpers=False)[2]
    assert mode(sandboxed=True)[1].startswith("no_new_privs")


def test_root_without_sys_admin_maps_ids_itself() -> None:
    assert mode(uid=0, effective=1 << 6 | 1 << 7, helpers=False)[0] == "ranges"
    assert mode(uid=0, helpers=False)[0] == "single"


@pytest.mark.parametrize(
    "maximum, debian, apparmor, name",
    [
        ("0", "", "", "user.max_user_namespaces"),
        ("15000", "0", "", "kernel.unprivileged_userns_clone"),
        ("15000", "1", "1", "kernel.apparmor_restrict_unprivileged_userns"),
    ],
)
def test_obstacles_name_their_sysctl(maximum: str, debian: str, apparmor: str, name: str) -> None:
    obstacle = host.find_obstacle(maximum, debian, apparmor)
    assert obstacle is not None
    assert name in obstacle[0]
    assert name in obstacle[1]


def test_no_obstacle() -> None:
    assert host.find_obstacle("15000", "1", "0") is None
    assert host.find_obstacle("", "", "") is None


def test_a_copy_of_newuidmap_is_of_no_use(tmp_path: Path) -> None:
    program = tmp_path / "newuidmap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)
    assert host.find_helper("newuidmap", f"relative::{tmp_path}") == ""
    assert host.find_helper("newuidmap", "") == ""


def test_host_cannot_be_changed() -> None:
    found = host.Host(uid=1, gid=2)
    with pytest.raises(AttributeError, match="immutable"):
        found.uid = 3
    assert not found.maps_any_ids


def test_probe_and_details_of_this_machine() -> None:
    found = host.probe("/usr/bin:/bin")
    assert found.id_mode in ("rootful", "ranges", "single")
    assert found.id_mode_reason
    assert len(found.boot_id) == 36
    details = host.host_details(found)
    assert details["cgroup_version"] in ("1", "2")


def test_old_kernels_are_refused() -> None:
    assert host.check_kernel("5.12.0") == (5, 12)
    with pytest.raises(HostError, match=r"Linux 4\.19\.0 is too old"):
        host.check_kernel("4.19.0")
