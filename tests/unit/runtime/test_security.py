"""--security-opt and capabilities in docker's words."""

import pytest

from ocirun.errors import HostError, InvalidError, UsageError
from ocirun.runtime import capabilities
from ocirun.runtime.security import SecurityOptions, apparmor_profile, parse_security_options, selinux_label
from tests.unit.runtime.machines import RANGES, ROOTFUL

KNOWN = capabilities.available(RANGES, user_namespace=True)


def test_all_options() -> None:
    options = parse_security_options(
        ["no-new-privileges", "seccomp=/p.json", "apparmor:small", "label=type:x", "systempaths=unconfined", "disable"]
    )
    assert options.no_new_privileges
    assert options.seccomp == "/p.json"
    assert options.apparmor == "small"
    assert options.labels == ["type:x", "disable"]
    assert options.system_paths_unconfined


@pytest.mark.parametrize("word, value", [("no-new-privileges:true", "True"), ("no-new-privileges=0", "False")])
def test_no_new_privileges_takes_a_truth(word: str, value: str) -> None:
    assert str(parse_security_options(["no-new-privileges", word]).no_new_privileges) == value


def test_builtin_is_the_default_profile() -> None:
    assert parse_security_options(["seccomp=unconfined", "seccomp=builtin"]).seccomp == ""


@pytest.mark.parametrize("word", ["moon", "moon=1", "no-new-privileges=maybe", "systempaths=x"])
def test_unknown_options(word: str) -> None:
    with pytest.raises(UsageError, match="invalid --security-opt"):
        parse_security_options([word])


def test_apparmor_needs_a_machine_that_has_it() -> None:
    assert apparmor_profile(SecurityOptions(apparmor="unconfined"), has_apparmor=False) == ""
    assert apparmor_profile(SecurityOptions(apparmor="small"), has_apparmor=True) == "small"
    with pytest.raises(HostError, match="AppArmor is not enabled on this machine"):
        apparmor_profile(SecurityOptions(apparmor="small"), has_apparmor=False)


def test_selinux_labels() -> None:
    assert selinux_label(SecurityOptions(), has_selinux=True) == ""
    assert selinux_label(SecurityOptions(labels=["type:x", "disable"]), has_selinux=True) == ""
    options = SecurityOptions(labels=["type:x", "level:s0:c1,c2"])
    assert selinux_label(options, has_selinux=True) == "system_u:system_r:x:s0:c1,c2"
    with pytest.raises(HostError, match="SELinux is not enabled on this machine"):
        selinux_label(options, has_selinux=False)
    with pytest.raises(UsageError, match="label=moon:x"):
        selinux_label(SecurityOptions(labels=["moon:x"]), has_selinux=True)


def test_dockers_fourteen() -> None:
    assert capabilities.adjust([], [], KNOWN) == capabilities.DEFAULT
    assert len(capabilities.DEFAULT) == 14
    assert capabilities.mask(capabilities.DEFAULT) == 0xA80425FB


@pytest.mark.parametrize(
    "add, drop, has, has_not",
    [
        (["net_admin"], ["CHOWN"], ["CAP_NET_ADMIN", "CAP_KILL"], ["CAP_CHOWN"]),
        (["ALL"], ["sys_admin"], ["CAP_BPF", "CAP_CHOWN"], ["CAP_SYS_ADMIN"]),
        (["CAP_KILL"], ["all"], ["CAP_KILL"], ["CAP_CHOWN"]),
        (["ALL"], ["ALL"], ["CAP_CHOWN"], []),
    ],
)
def test_add_and_drop(add: list[str], drop: list[str], has: list[str], has_not: list[str]) -> None:
    result = capabilities.adjust(add, drop, KNOWN)
    assert set(has) <= set(result)
    assert not set(has_not) & set(result)


def test_unknown_capabilities() -> None:
    with pytest.raises(UsageError, match='invalid CapAdd: unknown capability: "CAP_MOON"'):
        capabilities.adjust(["moon"], [], KNOWN)
    with pytest.raises(UsageError, match="not supported by your kernel"):
        capabilities.adjust(["BPF"], [], KNOWN[:10])
    with pytest.raises(InvalidError, match="unknown capability: 'KILL'"):
        capabilities.mask(["KILL"])


def test_bounding_set_counts_without_a_user_namespace() -> None:
    assert len(capabilities.available(ROOTFUL, user_namespace=False)) == 41
