"""Docker's words: names, signals, times, sizes, and the Config that options and an image make."""

import time

import pytest

from ocirun.engine.create_record import docker_config, docker_host_config, log_limits
from ocirun.engine.names import check_name, generate_name
from ocirun.engine.options import ContainerOptions, Mount
from ocirun.engine.signals import parse_signal
from ocirun.engine.times import now_text, parse_moment
from ocirun.engine.volumes import check_volume_name
from ocirun.errors import UsageError


def test_names() -> None:
    assert check_name("/web_1.a-b") == "web_1.a-b"
    for bad in ("", "a", "-ab", "a b", "a/b", "é1", "..", "_ab"):
        with pytest.raises(UsageError, match="Invalid container name"):
            check_name(bad)
    assert all(check_name(generate_name(attempt)) for attempt in range(8) for _ in range(50))
    assert len({generate_name() for _ in range(50)}) > 40


def test_names_of_volumes() -> None:
    check_volume_name("web_1.a-b")
    check_volume_name("a" * 255)
    for bad in ("", "/web", "-ab", "a b", "a/b", "é1", "..", "_ab", "a" * 256):
        with pytest.raises(UsageError, match="includes invalid characters for a local volume name"):
            check_volume_name(bad)
    with pytest.raises(UsageError, match="volume name is too short, names should be at least two"):
        check_volume_name("a")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("term", 15),
        ("9", 9),
        ("sighup", 1),
        ("RTMIN+3", 37),
        ("SIGRTMAX-1", 63),
        ("CLD", 17),
        ("64", 64),
    ],
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "FOO", "SIG", "_DFL", "SIG_IGN", "-9", "RTMIN+40"])
def test_unknown_signals(text: str) -> None:
    with pytest.raises(UsageError, match="invalid signal"):
        parse_signal(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1700000000", 1_700_000_000 * 10**9),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000 * 10**9),
        ("2023-11-14T22:13:20.000000042Z", 1_700_000_000_000_000_042),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000 * 10**9),
        ("2023-11-14T20:13:20-0200", 1_700_000_000 * 10**9),
        ("2023-11-14Z", 1_699_920_000 * 10**9),
    ],
)
def test_moments(text: str, nanoseconds: int) -> None:
    assert parse_moment(text) == nanoseconds


def test_moments_that_depend_on_now_and_here() -> None:
    assert abs(parse_moment("10m") - (time.time_ns() - 600 * 10**9)) < 10**9
    assert parse_moment("2023-11-14T22:13:20") == int(time.mktime((2023, 11, 14, 22, 13, 20, 0, 0, -1))) * 10**9
    assert abs(parse_moment(now_text()) - time.time_ns()) < 10**9
    for bad in ("yesterday", "2023-13-01", "", "1h2", "--5", "\u00b2", "2023-11-14T25:00:00Z"):
        with pytest.raises(UsageError):
            parse_moment(bad)


def test_sizes_of_logs_are_decimal() -> None:
    assert log_limits({}) == log_limits({"max-size": "-1"}) == (0, 1)
    assert log_limits({"max-size": "10k", "max-file": "3"}) == (10_000, 3)
    assert log_limits({"max-size": "1.5MiB"}) == (1_500_000, 1)
    assert log_limits({"max-file": "2"}) == (0, 2), "docker takes that too"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max-file": "0"}, "log opt max-file: max-file cannot be less than 1: 0"),
        ({"max-file": "x"}, "log opt max-file: max-file cannot be less than 1: x"),
        ({"max-size": "big"}, "log opt max-size: invalid size: 'big'"),
        ({"max-size": ""}, "log opt max-size: invalid size: ''"),
        ({"max-size": "10x"}, "log opt max-size: invalid suffix: 'x'"),
        ({"max-size": "0"}, "log opt max-size: max-size must be a positive number"),
        ({"colour": "blue"}, "unknown log opt 'colour' for json-file log driver"),
    ],
)
def test_bad_limits_of_logs(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        log_limits(options)
    assert caught.value.what == message


IMAGE = {
    "Env": ["PATH=/bin", "A=image"],
    "Cmd": ["serve"],
    "Entrypoint": ["/entry"],
    "WorkingDir": "/srv",
    "Labels": {"a": "1", "b": "1"},
    "StopSignal": "SIGINT",
    "Volumes": {"/data": {}},
}


def test_config_is_the_images_unless_told_otherwise() -> None:
    config = docker_config(ContainerOptions("img"), IMAGE, "host1", "")
    assert (config["Entrypoint"], config["Cmd"], config["WorkingDir"]) == (["/entry"], ["serve"], "/srv")
    assert (config["Hostname"], config["StopSignal"], config["Image"]) == ("host1", "SIGINT", "img")
    assert (config["AttachStdin"], config["AttachStdout"], config["OpenStdin"], config["StdinOnce"]) == (
        False,
        True,
        False,
        False,
    )


def test_options_win_over_the_image() -> None:
    options = ContainerOptions(
        "img",
        ["x"],
        entrypoint=["/other"],
        environment=["A=mine"],
        labels={"b": "2"},
        stop_signal="KILL",
        stop_timeout=3,
        interactive=True,
        tty=True,
        working_directory="/w",
    )
    config = docker_config(options, IMAGE, "h", "u:g")
    assert (config["Entrypoint"], config["Cmd"], config["User"]) == (["/other"], ["x"], "u:g")
    assert config["Env"] == ["A=mine", "PATH=/bin"]
    assert config["Labels"] == {"a": "1", "b": "2"}
    assert (config["StopSignal"], config["StopTimeout"], config["StdinOnce"], config["Tty"]) == ("KILL", 3, True, True)


def test_environment_as_docker_has_it() -> None:
    def env(*words: str) -> list[str]:
        options = ContainerOptions("img", environment=list(words))
        found: list[str] = docker_config(options, IMAGE, "h", "")["Env"]
        return found

    assert env("B=1", "C=1", "B=2") == ["B=2", "C=1", "PATH=/bin", "A=image"]
    assert env("A") == ["A", "PATH=/bin"], "a name alone keeps the image's out"
    assert env("A=1", "A") == ["A", "PATH=/bin"]
    assert env("A", "A=1") == ["A=1", "PATH=/bin"]


def test_an_entrypoint_drops_the_images_command() -> None:
    assert docker_config(ContainerOptions("img", entrypoint=["/other"]), IMAGE, "h", "")["Cmd"] is None
    with pytest.raises(UsageError, match="no command specified"):
        docker_config(ContainerOptions("img", entrypoint=[]), IMAGE, "h", "")
    with pytest.raises(UsageError, match="invalid signal"):
        docker_config(ContainerOptions("img", stop_signal="nosuch"), IMAGE, "h", "")


def test_host_config() -> None:
    options = ContainerOptions(
        "img",
        mounts=[
            Mount("bind", "/a", "/b", read_only=True, create_source=True),
            Mount("volume", "vol", "/v"),
            Mount("bind", "/c", "/d"),
        ],
        tmpfs=["/t:size=1m"],
        ulimits=["nofile=10:20", "core=0"],
        remove=True,
    )
    config = docker_host_config(options)
    assert config["Binds"] == ["/a:/b:ro", "vol:/v"]
    assert config["Tmpfs"] == {"/t": "size=1m"}
    assert config["Ulimits"] == [{"Name": "nofile", "Soft": 10, "Hard": 20}, {"Name": "core", "Soft": 0, "Hard": 0}]
    assert config["AutoRemove"] is True
    with pytest.raises(UsageError):
        docker_host_config(ContainerOptions("img", ulimits=["nofile"]))


def test_container_options_know_their_words() -> None:
    with pytest.raises(TypeError, match="colour"):
        ContainerOptions("img", colour="blue")
    first, second = ContainerOptions("img"), ContainerOptions("img")
    first.mounts.append(Mount("tmpfs", "", "/t"))
    assert second.mounts == []
