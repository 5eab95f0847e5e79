"""Which ids inside are which outside."""

from typing import Any

import pytest

from ocirun.errors import HostError, UnsupportedError, UsageError
from ocirun.host import Host
from ocirun.runtime.id_maps import choose_maps, first_inside, maps_of, outside, require_mapped, to_oci
from tests.unit.runtime.machines import RANGES, ROOTFUL, SINGLE

SCATTERED = Host(
    uid=1000, gid=1000, id_mode="ranges", uid_ranges=((5000, 1), (100000, 65536)), gid_ranges=((7, 70000),)
)


def test_ranges_put_the_user_first() -> None:
    maps = choose_maps(RANGES)
    assert maps.uid == [(0, 1000, 1), (1, 100000, 65536)]
    assert maps.gid == [(0, 1001, 1), (1, 200000, 65536)]
    assert (maps.key, maps.root_uid, maps.setgroups_denied) == ("ranges-100000", 0, False)


def test_many_ranges_follow_each_other() -> None:
    assert choose_maps(SCATTERED).uid == [(0, 1000, 1), (1, 5000, 1), (2, 100000, 65536)]


def test_single_stands_for_whoever_is_wanted_and_shares_layers() -> None:
    maps = choose_maps(SINGLE, user=(70, 80))
    assert (maps.uid, maps.gid) == ([(70, 1000, 1)], [(80, 1001, 1)])
    assert (maps.root_uid, maps.root_gid, maps.setgroups_denied) == (70, 80, True)
    assert maps.key == choose_maps(SINGLE).key == choose_maps(SINGLE, "keep-id").key == "single-0"


def test_rootful_and_host() -> None:
    for maps in (choose_maps(ROOTFUL), choose_maps(ROOTFUL, "host"), choose_maps(ROOTFUL, "keep-id")):
        assert (maps.key, maps.user_namespace, maps.root_uid) == ("rootful", False, 0)
    assert choose_maps(RANGES, "host").key == "ranges-100000"


def test_keep_id_leaves_no_hole() -> None:
    maps = choose_maps(RANGES, "keep-id")
    assert maps.uid == [(0, 100000, 1000), (1000, 1000, 1), (1001, 101000, 64536)]
    assert maps.default_user == (1000, 1001)
    assert maps.key == "keep-100000-1000-1001"


@pytest.mark.parametrize("uid", [0, 1, 2, 65537, 65538, 100000])
def test_keep_id_maps_every_id_once(uid: int) -> None:
    maps = choose_maps(SCATTERED, f"keep-id:uid={uid},gid=0")
    assert outside(maps.uid, uid) == 1000
    inside = sorted(number for first, _, count in maps.uid for number in range(first, first + count))
    outer = sorted(number for _, first, count in maps.uid for number in range(first, first + count))
    assert len(set(inside)) == len(inside) == 65538
    assert len(set(outer)) == len(outer)


@pytest.mark.parametrize("text", ["keep-id:uid=x", "keep-id:size=3", "keep-id:uid=99999999999", "moon", "host:x"])
def test_bad_words(text: str) -> None:
    with pytest.raises(UsageError):
        choose_maps(RANGES, text)


@pytest.mark.parametrize("host, text", [(RANGES, "auto"), (RANGES, "nomap"), (ROOTFUL, "keep-id:uid=5")])
def test_what_cannot_be_had(host: Host, text: str) -> None:
    with pytest.raises(UnsupportedError):
        choose_maps(host, text)


def test_maps_survive_the_configuration() -> None:
    maps = choose_maps(RANGES)
    config: Any = {
        "linux": {
            "namespaces": [{"type": "user"}],
            "uidMappings": to_oci(maps.uid),
            "gidMappings": to_oci(maps.gid),
        }
    }
    again = maps_of(config)
    assert (again.uid, again.gid, again.mode, again.setgroups_denied) == (maps.uid, maps.gid, "ranges", False)
    assert not maps_of({"ociVersion": "1.2.0"}).user_namespace


def test_lowest_id_leads_where_there_is_no_root() -> None:
    assert first_inside([(9, 1, 1), (5, 2, 1)]) == 5
    assert first_inside([]) == 0


def test_a_user_outside_of_the_maps_is_told_the_way_out() -> None:
    require_mapped(choose_maps(RANGES), 65536, 0)
    with pytest.raises(HostError, match="uid 70000 does not exist in this container") as caught:
        require_mapped(choose_maps(RANGES), 70000, 0)
    assert "keep-id:uid=70000" in caught.value.hint
