"""Changes to an image's config in Dockerfile's words."""

from typing import Any

import pytest

from ocirun.errors import UsageError
from ocirun.image.config_changes import apply_changes
from ocirun.image.dockerfile_words import process_word, split_words


@pytest.mark.parametrize(
    "config, changes, expected",
    [
        ({}, ['CMD ["sh", "-c", "x"]'], {"Cmd": ["sh", "-c", "x"]}),
        ({}, ['cmd echo "$HOME"'], {"Cmd": ["/bin/sh", "-c", 'echo "$HOME"']}),
        ({"Shell": ["/bin/bash", "-lc"]}, ["CMD x"], {"Shell": ["/bin/bash", "-lc"], "Cmd": ["/bin/bash", "-lc", "x"]}),
        ({}, ["CMD []"], {"Cmd": []}),
        ({}, ['CMD ["a", 1]'], {"Cmd": ["/bin/sh", "-c", '["a", 1]']}),
        ({"Cmd": ["old"]}, ['ENTRYPOINT ["/e"]'], {"Entrypoint": ["/e"]}),
        ({"Cmd": ["old"]}, ['ENTRYPOINT ["/e"]', "CMD x"], {"Entrypoint": ["/e"], "Cmd": ["/bin/sh", "-c", "x"]}),
        ({"Cmd": ["old"]}, ['CMD ["x"]', 'ENTRYPOINT ["/e"]'], {"Entrypoint": ["/e"], "Cmd": ["x"]}),
        ({}, ["ENV A=1 B='two words' C=\"$A\""], {"Env": ["A=1", "B=two words", "C="]}),
        ({"Env": ["A=1", "P=/bin"]}, ["ENV A=2", "ENV P=$P:/x Q=${P}/y"], {"Env": ["A=2", "P=/bin:/x", "Q=/bin/y"]}),
        ({}, ["ENV A  some words "], {"Env": ["A=some words"]}),
        (
            {},
            ["EXPOSE 80 53/udp 8000-8002/TCP"],
            {"ExposedPorts": {f"{port}": {} for port in ("80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp")}},
        ),
        (
            {"ExposedPorts": {"1/tcp": {}}, "Env": ["P=2"]},
            ["EXPOSE $P"],
            {"ExposedPorts": {"1/tcp": {}, "2/tcp": {}}, "Env": ["P=2"]},
        ),
        (
            {"Labels": {"a": "1"}},
            ['LABEL a=2 "b c"="d e"', "LABEL old form"],
            {"Labels": {"a": "2", "b c": "d e", "old": "form"}},
        ),
        ({}, ["ONBUILD RUN make", "onbuild copy . /"], {"OnBuild": ["RUN make", "copy . /"]}),
        ({}, ["STOPSIGNAL SIGINT"], {"StopSignal": "SIGINT"}),
        ({}, ["STOPSIGNAL 9"], {"StopSignal": "9"}),
        ({}, ["STOPSIGNAL RTMIN+3"], {"StopSignal": "RTMIN+3"}),
        ({}, ["USER 1000:100"], {"User": "1000:100"}),
        ({}, ["VOLUME /a /b"], {"Volumes": {"/a": {}, "/b": {}}}),
        ({"Volumes": {"/a": {}}}, ['VOLUME ["/c d"]'], {"Volumes": {"/a": {}, "/c d": {}}}),
        ({}, ["WORKDIR /a", "WORKDIR b/../c"], {"WorkingDir": "/a/c"}),
        ({}, ["WORKDIR x"], {"WorkingDir": "/x"}),
        ({"Env": ["D=/d"]}, ["WORKDIR $D/e"], {"Env": ["D=/d"], "WorkingDir": "/d/e"}),
        ({}, ["HEALTHCHECK NONE"], {"Healthcheck": {"Test": ["NONE"]}}),
        ({}, ['HEALTHCHECK CMD ["x", "y"]'], {"Healthcheck": {"Test": ["CMD", "x", "y"]}}),
        (
            {},
            [
                "HEALTHCHECK --interval=30s --timeout=1m --start-period=5s --start-interval=1s --retries=3 CMD curl x || exit 1"
            ],
            {
                "Healthcheck": {
                    "Test": ["CMD-SHELL", "curl x || exit 1"],
                    "Interval": 30 * 10**9,
                    "Timeout": 60 * 10**9,
                    "StartPeriod": 5 * 10**9,
                    "StartInterval": 10**9,
                    "Retries": 3,
                }
            },
        ),
        ({}, ["# nothing", "", "USER a\n# more\nWORKDIR /b"], {"User": "a", "WorkingDir": "/b"}),
        ({}, ["ENV A=1 \\\n  B=2"], {"Env": ["A=1", "B=2"]}),
        ({}, ["USER a\\"], {"User": "a"}),
    ],
)
def test_changes(config: Any, changes: list[str], expected: Any) -> None:
    before = dict(config)
    assert apply_changes(config, changes) == expected
    assert config == before


@pytest.mark.parametrize(
    "change, message",
    [
        ("FROM x", "FROM is not a valid change command"),
        ("nonsense x", "NONSENSE is not a valid change command"),
        ("CMD", "CMD requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV A=1 B", "can't find = in 'B'"),
        ("ENV =x", "names can not be blank"),
        ("ENV A='x", "matching single-quote"),
        ('ENV A="x', "matching double-quote"),
        ("LABEL a", "LABEL must have two arguments"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 65536", "invalid containerPort"),
        ("EXPOSE 80/icmp", "invalid proto: icmp"),
        ("EXPOSE 9-8", "invalid range"),
        ("ONBUILD ONBUILD x", "ONBUILD isn't allowed as an ONBUILD trigger"),
        ("ONBUILD from x", "FROM isn't allowed"),
        ("STOPSIGNAL SIGNOTHING", "invalid signal: SIGNOTHING"),
        ("STOPSIGNAL 65", "invalid signal: 65"),
        ("STOPSIGNAL FOO+1", "invalid signal"),
        ("USER a b", "USER requires exactly one argument"),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("HEALTHCHECK x", "Unknown type 'x'"),
        ("HEALTHCHECK NONE x", "takes no arguments"),
        ("HEALTHCHECK CMD", "Missing command"),
        ("HEALTHCHECK --interval=x CMD y", "invalid duration 'x'"),
        ("HEALTHCHECK --interval=-1s CMD y", "invalid duration"),
        ("HEALTHCHECK --retries=x CMD y", "--retries must be a number"),
        ("HEALTHCHECK --what=1 CMD y", "Unknown flag: what"),
    ],
)
def test_what_is_no_change(change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        apply_changes({}, [change])


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("a  b\tc", ["a", "b", "c"]),
        ("a='b c' d", ["a='b c'", "d"]),
        (r"a\ b c", [r"a\ b", "c"]),
        (r'"a\" b" c', [r'"a\" b"', "c"]),
        (r"'a\' b", [r"'a\'", "b"]),
    ],
)
def test_split_words(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


@pytest.mark.parametrize(
    "word, expected",
    [
        ("a'b c'd", "ab cd"),
        ("'$A'", "$A"),
        ('"$A b"', "1 b"),
        (r"\$A", "$A"),
        (r'"\$A \x \\"', r"$A \x " + "\\"),
        ("$A$B$", "1$"),
        ("${A}x", "1x"),
        ("${B:-x}${E:-y}${E-z}", "xy"),
        ("${A:+x}${B:+y}${E+z}", "xz"),
        ("${B:-$A}", "1"),
        ("${A:?no}${A?no}", "11"),
        ("$A_B.", "."),
    ],
)
def test_process_word(word: str, expected: str) -> None:
    assert process_word(word, {"A": "1", "E": ""}) == expected


@pytest.mark.parametrize("word", ["${", "${}", "${A", "${A:x}", "${A%x}", "${B:?gone}", "${B?}", "'", '"'])
def test_words_that_are_none(word: str) -> None:
    with pytest.raises(UsageError):
        process_word(word, {"A": "1"})
