"""The grammars of -v and --mount."""

import os
from pathlib import Path

import pytest

from ocirun.cli.mount_flags import parse_mount, parse_volume
from ocirun.engine.options import Mount
from ocirun.errors import UnsupportedError, UsageError


def shown(mount: Mount) -> dict[str, object]:
    """What differs from a plain mount."""
    plain = Mount(mount.kind, mount.source, mount.target)
    return {name: getattr(mount, name) for name in Mount.__slots__ if getattr(mount, name) != getattr(plain, name)}


@pytest.mark.parametrize(
    "text, kind, source, target, rest",
    [
        ("/a:/b", "bind", "/a", "/b", {"create_source": True}),
        ("/a:/b:ro", "bind", "/a", "/b", {"create_source": True, "read_only": True}),
        ("/a:/b:rw,z", "bind", "/a", "/b", {"create_source": True, "relabel": "z"}),
        (
            "/a:/b:Z,rslave,ro",
            "bind",
            "/a",
            "/b",
            {"create_source": True, "relabel": "Z", "propagation": "rslave", "read_only": True},
        ),
        ("data:/b", "volume", "data", "/b", {}),
        ("data:/b:ro,nocopy", "volume", "data", "/b", {"read_only": True, "copy_up": False}),
        ("/b", "volume", "", "/b", {}),
        ("/a:/b:cached", "bind", "/a", "/b", {"create_source": True}),
        ("/a:/b:", "bind", "/a", "/b", {"create_source": True}),
    ],
)
def test_volume(text: str, kind: str, source: str, target: str, rest: dict[str, object]) -> None:
    mount = parse_volume(text)
    assert (mount.kind, mount.source, mount.target) == (kind, source, target)
    assert shown(mount) == rest


def test_relative_sources_begin_with_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_volume("./x:/b").source == str(tmp_path / "x")
    assert parse_volume("..:/b").source == str(tmp_path.parent)
    assert parse_volume(".:/b").source == os.getcwd()
    # Without the dot it is the name of a volume, which the engine then finds invalid.
    assert parse_volume("x/y:/b").kind == "volume"
    assert parse_mount("type=bind,src=.,dst=/b").source == str(tmp_path)


@pytest.mark.parametrize(
    "text, message",
    [
        (":", "invalid volume specification: ':'"),
        ("a:b:c:d", "invalid volume specification: 'a:b:c:d'"),
        ("/foo:rw", "invalid volume specification: '/foo:rw'"),
        ("/foo:", "invalid volume specification: '/foo:'"),
        ("/a:/b:zz", "invalid mode: zz"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:z,Z", "invalid mode: z,Z"),
        ("/a:/b:nocopy", "invalid mode: nocopy"),
        ("data:/b:rshared", "invalid mode: rshared"),
        ("/a:/b:ro,ro", "invalid mode: ro,ro"),
    ],
)
def test_wrong_volume(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_volume(text)
    assert caught.value.what == message


@pytest.mark.parametrize(
    "text, kind, source, target, rest",
    [
        ("type=bind,source=/a,target=/b", "bind", "/a", "/b", {}),
        ("TYPE=bind,SRC=/a,DST=/b,ro", "bind", "/a", "/b", {"read_only": True}),
        ("type=bind,src=/a,destination=/b,readonly=false", "bind", "/a", "/b", {}),
        (
            "type=bind,src=/a,dst=/b,ro=1,bind-propagation=rshared",
            "bind",
            "/a",
            "/b",
            {"read_only": True, "propagation": "rshared"},
        ),
        ("type=bind,src=/a,dst=/b,bind-nonrecursive", "bind", "/a", "/b", {"options": {"nonrecursive": ""}}),
        ("type=bind,src=/a,dst=/b,bind-recursive=disabled", "bind", "/a", "/b", {"options": {"nonrecursive": ""}}),
        ('type=bind,"src=/a,b",dst=/c', "bind", "/a,b", "/c", {}),
        ("dst=/x", "volume", "", "/x", {}),
        ("src=data,dst=/x,volume-nocopy", "volume", "data", "/x", {"copy_up": False}),
        ("src=data,dst=/x,volume-subpath=a/b", "volume", "data", "/x", {"options": {"subpath": "a/b"}}),
        (
            "type=tmpfs,dst=/t,tmpfs-size=10m,tmpfs-mode=1770",
            "tmpfs",
            "",
            "/t",
            {"options": {"size": "10485760", "mode": "1770"}},
        ),
        ("type=bind,src=/a=b,dst=/c", "bind", "/a=b", "/c", {}),
    ],
)
def test_mount(text: str, kind: str, source: str, target: str, rest: dict[str, object]) -> None:
    mount = parse_mount(text)
    assert (mount.kind, mount.source, mount.target) == (kind, source, target)
    assert shown(mount) == rest


# Each message was compared with that of docker 28.2, or of its daemon.
@pytest.mark.parametrize(
    "text, message",
    [
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("type=bind,src,dst=/b", "invalid field 'src' must be a key=value pair"),
        ("type=bind,src=/a,dst=/b,,", "invalid field '' must be a key=value pair"),
        ("foo=1", "unexpected key 'foo' in 'foo=1'"),
        ("type=bind, src=/a,dst=/b", "unexpected key ' src' in ' src=/a'"),
        ("type=bind,src=/q,dst=/w,readonly=x", "invalid value for readonly: x"),
        ("type=bind,src=/a,dst=/b,readonly=", "invalid value for readonly: "),
        ("type=tmpfs,dst=/y,tmpfs-size=x", "invalid value for tmpfs-size: x"),
        ("type=tmpfs,dst=/y,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ("type=bind", "target is required"),
        ("type=foo,dst=/x", 'mount type unknown: "foo"'),
        ("type=bind,src=/a,dst=/b,tmpfs-size=3", "cannot mix 'tmpfs-*' options with mount type 'bind'"),
        ("type=volume,src=a,dst=/b,bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("type=bind,dst=/x", 'invalid mount config for type "bind": field Source must not be empty'),
        ("type=tmpfs,src=/x,dst=/y", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        ("type=bind,src=/a,dst=/b,bind-propagation=foo", "invalid propagation mode: foo"),
        (
            "type=bind,src=/a,dst=/b,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
        ),
    ],
)
def test_wrong_mount(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mount(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "type=image,src=x,dst=/b",
        "dst=/b,volume-driver=nfs",
        "dst=/b,volume-opt=a=b",
        "type=bind,src=/a,dst=/b,ro,bind-recursive=writable",
    ],
)
def test_mounts_of_docker_that_ocirun_does_not_have(text: str) -> None:
    with pytest.raises(UnsupportedError):
        parse_mount(text)


@pytest.mark.parametrize("text", ["", " ", '"a,b'])
def test_mount_that_is_no_list_of_fields(text: str) -> None:
    with pytest.raises(ValueError):
        parse_mount(text)
