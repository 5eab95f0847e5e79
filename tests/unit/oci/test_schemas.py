"""Documents against the schemas: what is valid, and what is said of what is not."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ocirun.errors import InvalidError
from ocirun.oci import schemas
from ocirun.oci.schemas import KINDS, check, load_schema, parse_json, violations

DIGEST = "sha256:" + 64 * "0"
DESCRIPTOR = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 2}
MANIFEST = {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR]}
CONFIG: dict[str, Any] = {
    "created": "2015-10-31T22:22:56.015925234Z",
    "author": "somebody",
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "alice",
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}, "80": {}},
        "Env": ["PATH=/bin", "EMPTY="],
        "Entrypoint": ["/bin/x"],
        "Cmd": None,
        "Volumes": {"/data": {}},
        "WorkingDir": "/",
        "Labels": {"a": "b"},
        "Healthcheck": {"Test": ["NONE"], "Interval": 5},
        "SomethingNew": [1],
    },
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [{"created": "2015-10-31T22:22:54+01:00", "created_by": "x", "empty_layer": True}],
    "more": {},
}
RUNTIME: dict[str, Any] = {
    "ociVersion": "1.2.0",
    "root": {"path": "rootfs", "readonly": True},
    "process": {
        "terminal": False,
        "cwd": "/",
        "args": ["sh"],
        "env": ["A=b"],
        "user": {"uid": 0, "gid": 0, "additionalGids": [1]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 18446744073709551615}],
        "capabilities": {"bounding": ["CAP_CHOWN"], "ambient": []},
        "oomScoreAdj": 100,
    },
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]}],
    "hooks": {"poststop": [{"path": "/bin/true", "timeout": 5}]},
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/1/ns/net"}],
        "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
        "devices": [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}, {"type": "p", "path": "/fifo"}],
        "resources": {
            "memory": {"limit": -1},
            "cpu": {"cpus": "0-3,7"},
            "pids": {"limit": 5},
            "unified": {"memory.high": "1"},
        },
        "seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
            ],
        },
        "rootfsPropagation": "rslave",
        "sysctl": {"net.ipv4.ip_forward": "1"},
        "maskedPaths": ["/proc/kcore"],
    },
    "annotations": {"a": "b"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_schema_is_one(kind: str) -> None:
    schema = load_schema(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:ocirun:schema:{kind}"


@pytest.mark.parametrize(
    "kind, document",
    [
        ("descriptor", DESCRIPTOR),
        (
            "descriptor",
            {**DESCRIPTOR, "data": "e30=", "urls": ["https://x.y/z"], "annotations": None, "platform": None},
        ),
        ("descriptor", {**DESCRIPTOR, "digest": "blake3:" + 64 * "a"}),
        ("manifest", MANIFEST),
        ("manifest", {**MANIFEST, "layers": [], "subject": DESCRIPTOR, "annotations": {"a": "b"}, "artifactType": ""}),
        ("index", {"schemaVersion": 2, "manifests": []}),
        (
            "index",
            {"schemaVersion": 2, "manifests": [{**DESCRIPTOR, "platform": {"os": "linux", "architecture": "amd64"}}]},
        ),
        ("image-config", CONFIG),
        (
            "image-config",
            {
                "architecture": "",
                "os": "",
                "config": None,
                "history": None,
                "rootfs": {"type": "layers", "diff_ids": None},
            },
        ),
        ("layout", {"imageLayoutVersion": "1.0.0"}),
        ("docker-archive", [{"Config": "a.json", "RepoTags": None, "Layers": ["x/layer.tar", "..a/b"]}]),
        ("runtime-config", RUNTIME),
        ("runtime-config", {"ociVersion": "1.0.2-dev"}),
        ("runtime-state", {"ociVersion": "1.0.0", "id": "x", "status": "stopped", "bundle": "/b"}),
        ("runtime-state", {"ociVersion": "1.0.0", "id": "x", "status": "running", "pid": 3, "bundle": "/b"}),
        (
            "runtime-features",
            {"ociVersionMin": "1.0.0", "ociVersionMax": "1.2.1", "linux": {"seccomp": {"enabled": True}}},
        ),
    ],
)
def test_valid(kind: str, document: Any) -> None:
    assert violations(kind, document) == []
    check(kind, document, "the document")


@pytest.mark.parametrize(
    "kind, document, expected",
    [
        ("descriptor", [], "$: expected OCI content descriptor (image-spec descriptor.md), got an array of 0"),
        ("descriptor", {}, "$: expected the keys 'mediaType', 'digest', 'size'"),
        ("descriptor", {**DESCRIPTOR, "size": -1}, "$.size: expected a number of bytes, got -1"),
        ("descriptor", {**DESCRIPTOR, "size": 1.5}, "$.size: expected a number of bytes, got 1.5"),
        ("descriptor", {**DESCRIPTOR, "size": "2"}, '$.size: expected a number of bytes, got "2"'),
        ("descriptor", {**DESCRIPTOR, "data": "x"}, '$.data: expected base64, got "x"'),
        (
            "descriptor",
            {**DESCRIPTOR, "mediaType": "x"},
            '$.mediaType: expected a media type such as application/json, got "x"',
        ),
        ("descriptor", {**DESCRIPTOR, "annotations": {"a": 1}}, "$.annotations.a: expected string, got 1"),
        ("descriptor", {**DESCRIPTOR, "urls": ["x"]}, '$.urls[0]: expected an absolute URI, got "x"'),
        ("descriptor", {**DESCRIPTOR, "platform": {"os": "x"}}, "$.platform: expected the key 'architecture'"),
        ("manifest", {**MANIFEST, "schemaVersion": 1}, "$.schemaVersion: expected 2, got 1"),
        (
            "manifest",
            {**MANIFEST, "manifests": []},
            "$.manifests: expected no such key, which belongs to another kind of document",
        ),
        (
            "index",
            {**MANIFEST, "manifests": []},
            "$.config: expected no such key, which belongs to another kind of document",
        ),
        ("index", {"schemaVersion": 2, "manifests": [], "mediaType": "a/b"}, "$.mediaType: expected one of"),
        (
            "image-config",
            {**CONFIG, "rootfs": {"type": "tree", "diff_ids": []}},
            '$.rootfs.type: expected "layers", got "tree"',
        ),
        (
            "image-config",
            {**CONFIG, "created": "yesterday"},
            '$.created: expected a time in the form of RFC 3339, got "yesterday"',
        ),
        (
            "image-config",
            {**CONFIG, "config": {"Env": ["=x"]}},
            '$.config.Env[0]: expected text of the form NAME=VALUE, got "=x"',
        ),
        (
            "image-config",
            {**CONFIG, "config": {"Volumes": {"/x": {"a": 1}}}},
            "$.config.Volumes['/x']: expected an empty object",
        ),
        (
            "image-config",
            {**CONFIG, "config": {"ExposedPorts": {"80/x": {}}}},
            '$.config.ExposedPorts: expected a port such as 80/tcp, got "80/x"',
        ),
        ("image-config", {**CONFIG, "config": {"Cmd": "sh"}}, '$.config.Cmd: expected an array of text, got "sh"'),
        ("image-config", {**CONFIG, "config": []}, "$.config: expected the execution parameters, an object or null"),
        (
            "layout",
            {"imageLayoutVersion": "2.0.0"},
            '$.imageLayoutVersion: expected a version 1.x of the layout, got "2.0.0"',
        ),
        ("docker-archive", [{"Config": "../x", "Layers": []}], "$[0].Config: expected the name of a member"),
        ("docker-archive", [{"Config": "x", "Layers": ["a/../../b"]}], "$[0].Layers[0]: expected the name of a member"),
        ("docker-archive", [{"Config": "/x", "Layers": None}], "$[0].Config: expected the name of a member"),
        ("runtime-config", {**RUNTIME, "process": {"cwd": "x"}}, '$.process.cwd: expected an absolute path, got "x"'),
        (
            "runtime-config",
            {**RUNTIME, "linux": {"devices": [{"type": "c", "path": "/x"}]}},
            "$.linux.devices[0]: expected the keys 'major', 'minor'",
        ),
        (
            "runtime-config",
            {**RUNTIME, "mounts": [{"destination": "/x", "uidMappings": []}]},
            "$.mounts[0]: expected keys that belong together",
        ),
        (
            "runtime-config",
            {**RUNTIME, "linux": {"seccomp": {"defaultAction": "x"}}},
            "$.linux.seccomp.defaultAction: expected one of",
        ),
        (
            "runtime-config",
            {**RUNTIME, "linux": {"namespaces": [{"type": "x"}]}},
            "$.linux.namespaces[0].type: expected one of",
        ),
        (
            "runtime-config",
            {
                **RUNTIME,
                "linux": {
                    "seccomp": {"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}]}
                },
            },
            "$.linux.seccomp.syscalls[0].names: expected a length of at least 1, got an array of 0",
        ),
        (
            "runtime-state",
            {"ociVersion": "1.0.0", "id": "x", "status": "running", "bundle": "/b"},
            "$: expected the key 'pid'",
        ),
        ("runtime-features", {"ociVersionMin": "1.0.0"}, "$: expected the key 'ociVersionMax'"),
    ],
)
def test_violations(kind: str, document: Any, expected: str) -> None:
    found = violations(kind, document)
    assert any(text.startswith(expected) for text in found), found
    with pytest.raises(InvalidError, match=r"^the thing is not a valid [a-z ]+: \$"):
        check(kind, document, "the thing")


def test_many_violations_are_cut() -> None:
    found = violations("index", {"schemaVersion": 2, "manifests": [{}] * 50})
    assert len(found) == 20
    with pytest.raises(InvalidError, match=r"\(and 19 more\)$"):
        check("index", {"schemaVersion": 2, "manifests": [{}] * 50}, "it")


def test_long_values_are_cut() -> None:
    (found,) = violations("descriptor", {**DESCRIPTOR, "size": "9" * 1000})
    assert len(found) < 200


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\xfd", "is not JSON"),
        (b'{"size": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json(data: bytes, expected: str) -> None:
    with pytest.raises(InvalidError, match=expected):
        parse_json(data, "it")


def test_nesting_is_no_crash() -> None:
    document: Any = {}
    for _ in range(20_000):
        document = {"annotations": document}
    assert violations("image-config", {**CONFIG, "config": document}) == []
    assert schemas._short("x" * 300).endswith("...")
