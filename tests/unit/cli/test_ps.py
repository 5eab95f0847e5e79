"""`ps`: columns, placeholders and filters, over containers that are only records."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ocirun.cli.main import main
from ocirun.engine.times import now_text

CONTAINERS: list[dict[str, Any]] = [
    {
        "id": "0123456789abcdef" * 4,
        "name": "web",
        "image": "debian:12",
        "image_id": "sha256:" + "ab" * 32,
        "path": "sleep",
        "args": ["100", "and", "a", "very", "long", "line"],
        "created": "2026-01-02T03:04:05.5Z",
        "network_mode": "none",
        "config": {
            "Labels": {"b": "2", "a": "1", "com.example.some-thing": "v"},
            "Healthcheck": {"Test": ["CMD", "true"]},
            "ExposedPorts": {"80/tcp": {}, "50-60/udp": {}, "what is this": {}},
        },
        "layers": ["sha256:" + "11" * 32],
        "mounts": [
            {"Type": "bind", "Source": "/a/very/long/path/to", "Destination": "/b"},
            {"Type": "volume", "Name": "data", "Driver": "local", "Source": "/x", "Destination": "/c"},
        ],
        "state": {"status": "exited", "exit_code": 3, "started_at": "2026-01-02T03:04:06Z", "finished_at": ""},
    },
    {
        "id": "ff" * 32,
        "name": "db",
        "image": "sha256:" + "cd" * 32,
        "image_id": "sha256:" + "cd" * 32,
        "path": "/bin/sh",
        "args": [],
        "created": "2026-01-03T03:04:05Z",
        "network_mode": "host",
        "config": {"Labels": None},
        "layers": [],
        "mounts": [],
    },
    {
        "id": "ee" * 32,
        "name": "third",
        "image": "docker.io/library/foo:1@sha256:" + "ec" * 32,
        "image_id": "sha256:" + "ce" * 32,
        "path": "x",
        "args": ["-c", "a  b", "\x1b[2J"],
        "created": "2026-01-01T03:04:05Z",
        "network_mode": "none",
        "config": {"Labels": {}, "Healthcheck": {"Test": ["NONE"]}},
        "layers": ["sha256:" + "11" * 32, "sha256:" + "22" * 32],
        "mounts": [],
    },
]


def put_images(tmp_path: Path, images: dict[str, str]) -> None:
    """An index.json that says which names lead to which image ids; nothing else of the images is there."""
    entries = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": f"sha256:{image_id[::-1]}",
            "size": 1,
            "annotations": {
                "org.opencontainers.image.ref.name": name,
                "io.containerd.image.name": f"docker.io/library/{name}",
                "io.ocirun.image.id": f"sha256:{image_id}",
            },
        }
        for name, image_id in images.items()
    ]
    directory = tmp_path / "root" / "images"
    directory.mkdir(exist_ok=True)
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    CONTAINERS[0]["state"]["finished_at"] = now_text()
    for record in CONTAINERS:
        directory = tmp_path / "root" / "containers" / record["id"]
        directory.mkdir(parents=True)
        (directory / "container.json").write_text(json.dumps({**record, "trees": [], "lowers": []}))
        if "state" in record:
            (directory / "state.json").write_text(json.dumps(record["state"]))
    names = tmp_path / "root" / "names"
    names.mkdir()
    for record in CONTAINERS:
        (names / record["name"]).symlink_to(f"../containers/{record['id']}")
    put_images(tmp_path, {"debian:12": "ab" * 32, "foo:1": "ce" * 32})
    return ["--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "ps"]


def listed(place: list[str], capfd: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*place, *words]) == 0
    return capfd.readouterr().out


def names(place: list[str], capfd: pytest.CaptureFixture[str], *words: str) -> list[str]:
    return listed(place, capfd, "--format", "{{.Names}}", *words).split()


def test_only_headers_when_nothing_runs(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert listed(place, capfd) == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"


def test_placeholders(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    form = "{{.ID}}|{{.Image}}|{{.Command}}|{{.CreatedAt}}|{{.Status}}|{{.State}}|{{.Ports}}|{{.Names}}|{{.Labels}}"
    form += '|{{.Label "com.example.some-thing"}}|{{.Label "none"}}|{{.Mounts}}|{{.LocalVolumes}}|{{.Networks}}'
    assert listed(place, capfd, "-a", "--format", form, "--filter", "name=web") == (
        '0123456789ab|debian:12|"sleep 100 and a ver…"|2026-01-02 03:04:05 +0000 UTC|Exited (3) Less than a second ago|exited'
        "||web|a=1,b=2,com.example.some-thing=v|v||/a/very/long/p…,data|1|none\n"
    )


def test_nothing_is_cut_with_no_trunc(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    form = "{{.ID}} {{.Command}} {{.Mounts}} {{.Image}}"
    assert listed(place, capfd, "-a", "--no-trunc", "--format", form, "--filter", "name=web") == (
        "0123456789abcdef" * 4 + ' "sleep 100 and a very long line" /a/very/long/path/to,data debian:12\n'
    )


def test_words_with_blanks_are_quoted(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    shown = listed(place, capfd, "-a", "--no-trunc", "--format", "{{.Command}}", "--filter", "name=third")
    assert shown == "\"x -c 'a  b' \\x1b[2J\"\n"


def test_images_are_shown_in_short(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert listed(place, capfd, "-a", "--format", "{{.Image}}").split() == ["cdcdcdcdcdcd", "debian:12", "foo:1"]


def test_name_that_means_another_image_by_now(
    place: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put_images(tmp_path, {"debian:12": "12" * 32})
    assert listed(place, capfd, "-a", "--format", "{{.Image}}").split() == [
        "cdcdcdcdcdcd",
        "abababababab",
        "cececececece",
    ]
    whole = listed(place, capfd, "-a", "--no-trunc", "--format", "{{.Image}}", "--filter", "name=web")
    assert whole == "sha256:" + "ab" * 32 + "\n"
    (tmp_path / "root/images/index.json").write_text("{")
    assert listed(place, capfd, "-a", "--format", "{{.Image}}", "--filter", "name=web") == "debian:12\n"


def test_control_characters_are_quoted(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert listed(place, capfd, "-a", "--format", "{{.Command}}", "-f", "name=third") == "\"x -c 'a  b' \\x1b[2J\"\n"


def test_own_table(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    form = 'table {{.ID}}\\t{{.Label "com.example.some-thing"}}\\t{{.Mounts}}|{{lower .Names}}'
    assert listed(place, capfd, "-a", "--format", form) == (
        "CONTAINER ID   some thing   MOUNTS|NAMES\n"
        "ffffffffffff                |db\n"
        "0123456789ab   v            /a/very/long/p…,data|web\n"
        "eeeeeeeeeeee                |third\n"
    )


def test_json_lines(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    lines = listed(place, capfd, "-a", "--format", "json").splitlines()
    assert len(lines) == 3
    first = json.loads(lines[0])
    assert list(first) == sorted(first)
    assert first["Names"] == "db"
    assert first["Command"] == '"/bin/sh"'
    assert set(first) == set(
        "Command CreatedAt ID Image Labels LocalVolumes Mounts Names Networks Platform Ports RunningFor Size State Status".split()
    )


def test_quiet(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert listed(place, capfd, "-aq") == "ffffffffffff\n0123456789ab\neeeeeeeeeeee\n"
    assert listed(place, capfd, "-aq", "--no-trunc").split()[0] == "ff" * 32


@pytest.mark.parametrize("form", ["{{.Names}}", "json", "table {{.Names}}", "table"])
def test_quiet_wins_over_a_format(form: str, place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, "-aq", "--format", form]) == 0
    output = capfd.readouterr()
    assert output.out.split()[0] == "ffffffffffff"
    assert output.err == "WARNING: Ignoring custom format, because both --format and --quiet are set.\n"


def test_newest_ones(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert names(place, capfd, "-l") == ["db"]
    assert names(place, capfd, "-n", "2") == ["db", "web"]
    assert names(place, capfd, "--last=2", "-l") == ["db", "web"]
    assert names(place, capfd, "-n", "-1") == []


@pytest.mark.parametrize(
    "filters, expected",
    [
        (["name=we"], ["web"]),
        (["name=^/db$"], ["db"]),
        (["name=web", "name=db"], ["db", "web"]),
        (["id=0123"], ["web"]),
        (["label=a"], ["web"]),
        (["label=a=2"], []),
        (["label=a", "name=db"], []),
        (["status=created"], ["db", "third"]),
        (["status=exited", "exited=3"], ["web"]),
        (["exited=0"], []),
        (["before=db"], ["web", "third"]),
        (["since=web"], ["db"]),
        (["volume=data"], ["web"]),
        (["volume=/b"], ["web"]),
        (["network=host"], ["db"]),
        (["ancestor=debian:12"], ["web"]),
        (["is-task=true"], []),
        (["health=none"], ["db", "third"]),
        (["health=unhealthy"], ["web"]),
        (["health=healthy", "health=starting"], []),
        (["expose=80"], ["web"]),
        (["expose=70-8000/tcp"], ["web"]),
        (["expose=80/udp"], []),
        (["expose=53/udp", "expose=1"], ["web"]),
        (["publish=80"], []),
        (["isolation=default"], ["db", "web", "third"]),
    ],
    ids=",".join,
)
def test_filters(filters: list[str], expected: list[str], place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    words = [word for text in filters for word in ("--filter", text)]
    assert names(place, capfd, "-a", *words) == expected


def test_status_filter_shows_what_does_not_run(place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert names(place, capfd, "--filter", "status=exited") == ["web"]
    assert names(place, capfd, "--filter", "exited=3") == []


@pytest.mark.parametrize(
    "words, line",
    [
        (["--filter", "foo=1"], "ocirun: invalid filter 'foo' ("),
        (["--filter", "status=foo"], "ocirun: invalid filter 'status=foo' ("),
        (["--filter", "exited=x"], "ocirun: invalid filter 'exited=x' ("),
        (["--filter", "health=bad"], "ocirun: unrecognized filter value for health: bad ("),
        (["--filter", "publish=x"], "ocirun: invalid filter 'publish=x' ("),
        (["--filter", "expose=90-80"], "ocirun: invalid filter 'expose=90-80' ("),
        (["--filter", "expose=80/x"], "ocirun: invalid filter 'expose=80/x' ("),
        (["--filter", "expose=65536"], "ocirun: invalid filter 'expose=65536' ("),
        (["--filter", "before=nosuch"], "ocirun: No such container: nosuch\n"),
        (["--format", "{{"], "ocirun: failed to parse template: template: :1: unclosed action ("),
        (
            ["--format", "{{.Foo}}"],  # nothing runs
            (
                'ocirun: failed to execute template: template: :1:2: executing "" at <.Foo>: '
                "can't evaluate field Foo in type *formatter.ContainerContext\n"
            ),
        ),
    ],
)
def test_wrong_words(words: list[str], line: str, place: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place, *words]) == 1
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.startswith(line)
