"""The grammar of the command line, and the messages for what breaks it."""

import pytest

from ocirun.cli.container_flags import CONTAINER_OPTIONS
from ocirun.cli.options import Flags, HelpRequest, Option, Verb, WordsError, parse
from ocirun.errors import OcirunError, UnsupportedError, UsageError

RUN = Verb(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    minimum=1,
    interspersed=False,
    options=(*CONTAINER_OPTIONS, Option("sig-proxy", "bool", "", default=True)),
)
LIST = Verb(
    "[OPTIONS] [NAME]",
    maximum=1,
    options=(
        Option("all", "bool", "", short="a"),
        Option("quiet", "bool", "", short="q"),
        Option("last", "int", "", short="n", default=-1),
        Option("filter", "filter", "", short="f"),
        Option("size", "bytes", ""),
        Option("wait", "duration", ""),
    ),
)


def run(*words: str) -> tuple[Flags, list[str]]:
    return parse(RUN, list(words), "ocirun run")


def listed(*words: str) -> tuple[Flags, list[str]]:
    return parse(LIST, list(words), "ocirun ps")


def failure(verb: Verb, *words: str) -> OcirunError:
    with pytest.raises(OcirunError) as caught:
        parse(verb, list(words), "ocirun run")
    return caught.value


def test_short_switches_may_stand_together() -> None:
    flags, arguments = run("-it", "debian", "sh")
    assert flags.boolean("interactive")
    assert flags.boolean("tty")
    assert arguments == ["debian", "sh"]


@pytest.mark.parametrize(
    "words",
    [["-e", "A=1"], ["-eA=1"], ["-e=A=1"], ["--env", "A=1"], ["--env=A=1"], ["-ite", "A=1"], ["-iteA=1"]],
    ids=" ".join,
)
def test_ways_to_give_a_value(words: list[str]) -> None:
    flags, arguments = run(*words, "debian")
    assert flags.values("env") == ["A=1"]
    assert arguments == ["debian"]


def test_lists_grow_and_other_options_are_replaced() -> None:
    flags, _ = run("-e", "A=1", "--name", "one", "-e", "B", "--name=two", "debian")
    assert flags.values("env") == ["A=1", "B"]
    assert flags.text("name") == "two"


@pytest.mark.parametrize("text, value", [("true", True), ("T", True), ("1", True), ("false", False), ("0", False)])
def test_switch_with_a_value(text: str, value: bool) -> None:  # noqa: FBT001 - a parametrised expectation
    flags, _ = run(f"--rm={text}", "debian")
    assert flags.boolean("rm") is value


def test_switch_takes_no_following_word() -> None:
    _, arguments = run("--rm", "false")
    assert arguments == ["false"]


def test_words_after_the_image_belong_to_the_command() -> None:
    flags, arguments = run("--rm", "debian", "ls", "--rm=false", "-e", "x", "--help")
    assert flags.boolean("rm")
    assert arguments == ["debian", "ls", "--rm=false", "-e", "x", "--help"]


def test_double_dash_ends_options() -> None:
    assert run("--rm", "--", "-x", "--y")[1] == ["-x", "--y"]
    assert run("debian", "--", "-x")[1] == ["debian", "--", "-x"]
    assert listed("--", "-a")[1] == ["-a"]


def test_options_may_follow_arguments_where_there_is_no_command() -> None:
    flags, arguments = listed("name", "-a")
    assert flags.boolean("all")
    assert arguments == ["name"]


def test_a_dash_alone_is_an_argument() -> None:
    assert listed("-")[1] == ["-"]


def test_defaults() -> None:
    flags, _ = run("debian")
    assert flags.values("env") == []
    assert flags.text("name") == ""
    assert flags.number("stop-timeout") == 0
    assert not flags.given("stop-timeout")
    assert flags.text("pull") == "missing"
    assert flags.boolean("sig-proxy")
    assert listed()[0].number("last") == -1


def test_option_that_is_in_no_table_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        run("debian")[0].text("nonsense")


@pytest.mark.parametrize("text, value", [("7", 7), ("-3", -3), ("0x10", 16), ("010", 8), ("+5", 5)])
def test_integers(text: str, value: int) -> None:
    assert listed("-n", text)[0].number("last") == value


def test_sizes_and_durations() -> None:
    flags, _ = listed("--size", "10m", "--wait", "1.5s")
    assert flags.number("size") == 10 << 20
    assert flags.number("wait") == 1_500_000_000


def test_other_long_names() -> None:
    assert run("--net", "host", "debian")[0].values("network") == ["host"]


# Each message was compared with that of docker 28.2.
@pytest.mark.parametrize(
    "words, message",
    [
        (["--foo", "x"], "unknown flag: --foo"),
        (["--foo=3", "x"], "unknown flag: --foo"),
        (["-Z", "x"], "unknown shorthand flag: 'Z' in -Z"),
        (["-ixt", "x"], "unknown shorthand flag: 'x' in -xt"),
        (["--name"], "flag needs an argument: --name"),
        (["-v"], "flag needs an argument: 'v' in -v"),
        (["-itv"], "flag needs an argument: 'v' in -v"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (
            ["--rm=maybe", "x"],
            'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["--stop-timeout=abc", "x"],
            'invalid argument "abc" for "--stop-timeout" flag: strconv.ParseInt: parsing "abc": invalid syntax',
        ),
        (
            ["-a", "foo", "x"],
            'invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR',
        ),
        (["-e", "=", "x"], 'invalid argument "=" for "-e, --env" flag: invalid environment variable: ='),
        (["-l", "=x", "x"], 'invalid argument "=x" for "-l, --label" flag: invalid label \'=x\': empty name'),
        (["--ulimit", "foo", "x"], 'invalid argument "foo" for "--ulimit" flag: invalid ulimit argument: foo'),
        (["--mount", "type=bind", "x"], 'invalid argument "type=bind" for "--mount" flag: target is required'),
        (["-e", '=a"\n', "x"], 'invalid argument "=a\\"\\n" for "-e, --env" flag: invalid environment variable: =a"\n'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options(words: list[str], message: str) -> None:
    error = failure(RUN, *words)
    assert isinstance(error, UsageError)
    assert error.what == message
    assert error.hint == "see 'ocirun run --help'"
    assert error.exit_code == 125


def test_filter_without_a_value() -> None:
    assert failure(LIST, "-f", "x").what == (
        'invalid argument "x" for "-f, --filter" flag: bad format of filter (expected name=value)'
    )


@pytest.mark.parametrize(
    "least, most, words, message",
    [
        (1, None, [], "requires at least 1 argument"),
        (2, None, ["a"], "requires at least 2 arguments"),
        (0, 0, ["a"], "accepts no arguments"),
        (1, 1, ["a", "b"], "requires 1 argument"),
        (1, 1, [], "requires 1 argument"),
        (2, 2, [], "requires 2 arguments"),
        (0, 1, ["a", "b"], "requires at most 1 argument"),
        (1, 2, ["a", "b", "c"], "requires at least 1 and at most 2 arguments"),
    ],
)
def test_number_of_arguments(least: int, most: int | None, words: list[str], message: str) -> None:
    error = failure(Verb("", minimum=least, maximum=most), *words)
    assert isinstance(error, WordsError)
    assert error.what == f"'ocirun run' {message}"
    assert error.exit_code == 1


@pytest.mark.parametrize(
    "words", [["--memory", "1g"], ["-p", "80:80"], ["--privileged"], ["--restart=always"], ["--gpus", "all"], ["-P"]]
)
def test_what_docker_has_and_ocirun_not_yet_is_refused(words: list[str]) -> None:
    error = failure(RUN, *words, "debian")
    assert isinstance(error, UnsupportedError)
    assert "is not supported yet" in error.what


@pytest.mark.parametrize(
    "words",
    [
        ["--memory", "0"],
        ["--restart", "no"],
        ["--privileged=false"],
        ["--log-driver=json-file"],
        ["--pids-limit", "-1"],
        ["--ipc", "private"],
        ["--no-healthcheck"],
        ["--disable-content-trust"],
    ],
)
def test_asking_for_what_happens_anyway_is_granted(words: list[str]) -> None:
    assert run(*words, "debian")[1] == ["debian"]


def test_signatures_cannot_be_asked_for() -> None:
    assert isinstance(failure(RUN, "--disable-content-trust=false", "debian"), UnsupportedError)


@pytest.mark.parametrize(
    "words", [["--help"], ["-h"], ["-a", "--help"], ["-ah"], ["--help=true"], ["-h=1"], ["--help", "x"]]
)
def test_help_is_asked_for(words: list[str]) -> None:
    with pytest.raises(HelpRequest):
        listed(*words)


@pytest.mark.parametrize("words", [["--help=false"], ["-h=0"], ["--help", "--help=false"], ["-ah=F"]])
def test_help_is_a_switch_like_others(words: list[str]) -> None:
    listed(*words)


@pytest.mark.parametrize("verb, words", [(LIST, ["--help=x"]), (LIST, ["-h=x"]), (RUN, ["--privileged=x"])])
def test_switches_take_no_other_value(verb: Verb, words: list[str]) -> None:
    error = failure(verb, *words)
    name = "privileged" if verb is RUN else "help"
    assert str(error) == f'invalid argument "x" for "--{name}" flag: strconv.ParseBool: parsing "x": invalid syntax'


def test_an_unknown_flag_is_told_before_the_help() -> None:
    assert str(failure(LIST, "--help", "--bogus")) == "unknown flag: --bogus"


def test_h_is_the_hostname_of_run() -> None:
    assert run("-h", "box", "debian")[0].text("hostname") == "box"


def test_every_option_of_docker_run_is_known() -> None:
    names = {name for option in CONTAINER_OPTIONS for name in (option.name, *option.also)}
    # The options of `docker run --help` of 28.2, without --help and those that only run has.
    docker = """add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count
    cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems device device-cgroup-rule
    device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option dns-search domainname
    entrypoint env env-file expose gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period
    health-timeout hostname init interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link
    link-local-ip log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name network
    network-alias no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet
    read-only restart rm runtime security-opt shm-size stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket
    user userns uts volume volume-driver volumes-from workdir net net-alias dns-opt""".split()
    assert set(docker) <= names
