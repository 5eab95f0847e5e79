"""Hosts made by hand, one for each id mode, for tests that must not depend on the machine they run on."""

from ocirun.host import Host

RANGES = Host(
    uid=1000,
    gid=1001,
    user_name="ann",
    id_mode="ranges",
    uid_ranges=((100000, 65536),),
    gid_ranges=((200000, 65536),),
    newuidmap="/usr/bin/newuidmap",
    newgidmap="/usr/bin/newgidmap",
    kernel=(6, 1),
    kernel_release="6.1.0-test",
)
SINGLE = Host(uid=1000, gid=1001, user_name="ann", id_mode="single", kernel=(6, 1), kernel_release="6.1.0-test")
ROOTFUL = Host(
    uid=0,
    gid=0,
    user_name="root",
    id_mode="rootful",
    kernel=(6, 1),
    kernel_release="6.1.0-test",
    capability_effective=(1 << 41) - 1,
)
