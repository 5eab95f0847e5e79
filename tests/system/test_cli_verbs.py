"""Verbs of the command line over real containers: groups, prune, sizes, streams, and what a run imports."""

import json
import os
import sys
from pathlib import Path

from tests.system.harness import Ocirun

IMPORTS = """
import sys
before = set(sys.modules)
from ocirun.cli.main import main
status = main(sys.argv[1:])
print("\\n".join(sorted(set(sys.modules) - before)), file=sys.stderr)
sys.exit(status)
"""
HEAVY = set(
    "argparse asyncio dataclasses email http inspect jsonschema logging multiprocessing pathlib selectors subprocess tempfile typing "
    "unittest urllib urllib3".split()
)


def test_container_group_is_the_same_verbs(ocirun: Ocirun, name: str) -> None:
    identifier = ocirun("container", "run", "-d", "--name", name, "busybox", "sleep", "100").word
    assert ocirun("container", "ls", "-q", "--no-trunc").word == identifier
    assert ocirun("container", "ps", "-aq").word == identifier[:12]
    document = ocirun("container", "inspect", name).json()
    assert document == ocirun("inspect", "--type", "container", name).json()
    assert ocirun("container", "exec", name, "echo", "in").word == "in"
    assert ocirun("container", "remove", "-f", name).word == name


def test_inspect_finds_the_kind_by_itself(ocirun: Ocirun, name: str) -> None:
    ocirun("create", "--name", name, "busybox", "true")
    ocirun("volume", "create", f"{name}-volume")
    documents = ocirun("inspect", name, "busybox", f"{name}-volume").json()
    assert documents[0]["Name"] == f"/{name}"
    assert documents[1]["RepoTags"] == ["busybox:latest"]
    assert documents[2]["Driver"] == "local"
    result = ocirun("inspect", "--format", "{{.Id}}", "nosuch", name, status=1)
    assert result.word == documents[0]["Id"]
    assert result.error_line() == "ocirun: Error: No such object: nosuch"
    assert ocirun("inspect", "--type", "volume", name, status=1).stdout == "[]\n"
    ocirun("volume", "rm", f"{name}-volume")


def test_inspect_templates(ocirun: Ocirun, name: str, tmp_path: Path) -> None:
    ocirun(
        "run",
        "--name",
        name,
        "-l",
        "b=2",
        "-l",
        "a=1",
        "-v",
        f"{tmp_path}:/mnt/x:ro",
        "busybox",
        "sh",
        "-c",
        "exit 3",
        status=3,
    )

    def form(template: str) -> str:
        return ocirun("inspect", "--format", template, name).word

    assert form("{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}") == "exited 3 false"
    assert form("{{.Config.Labels}}") == "map[a:1 b:2]"
    assert form("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}") == "a=1;b=2;"
    assert form("{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} {{.Name}}{{end}}") == "bind /mnt/x false"
    assert form("{{if .State.Health}}yes{{else}}no{{end}}") == "no"
    assert form("{{.Config.Entrypoint}} {{.Config.Cmd}}") == "[] [sh -c exit 3]"
    assert json.loads(form("{{json .State}}"))["ExitCode"] == 3
    assert (
        ocirun("inspect", "--format", "{{", name, status=64).error_line().startswith("ocirun: template parsing error:")
    )
    missing = ocirun("inspect", "--format", "{{.Foo}}", name, status=1).error_line()
    assert missing.endswith('executing "" at <.Foo>: map has no entry for key "Foo"')


def test_size_of_what_a_container_wrote(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", name, "busybox", "dd", "if=/dev/zero", "of=/big", "bs=1000", "count=2000")
    line = ocirun("ps", "-as", "--format", "{{.Size}}", "--filter", f"name={name}").word
    assert line.startswith("2MB (virtual ")
    assert "SIZE" in ocirun("ps", "-as").lines[0]
    assert ocirun("inspect", "-s", "--format", "{{.SizeRw}}", name).word == "2000000"


def test_only_the_streams_asked_for(ocirun: Ocirun) -> None:
    words = ("busybox", "sh", "-c", "echo out; echo err >&2")
    result = ocirun("run", "--rm", "-a", "stderr", *words)
    assert (result.stdout, result.stderr) == ("", "err\n")
    result = ocirun("run", "--rm", "-a", "STDOUT", *words)
    assert (result.stdout, result.stderr) == ("out\n", "")


def test_prune_asks_first_and_takes_only_what_stands_still(ocirun: Ocirun, name: str) -> None:
    ocirun("run", "--name", f"{name}-a", "-l", "keep", "busybox", "true")
    ocirun("run", "--name", f"{name}-b", "busybox", "true")
    ocirun("run", "-d", "--name", f"{name}-c", "busybox", "sleep", "100")
    assert "Are you sure you want to continue? [y/N]" in ocirun("container", "prune", input="n\n").stdout
    assert len(ocirun("ps", "-aq").lines) == 3
    result = ocirun("container", "prune", "--filter", "label!=keep", input="y\n")
    assert "Deleted Containers:" in result.stdout
    assert "Total reclaimed space:" in result.lines[-1]
    assert sorted(ocirun("ps", "-a", "--format", "{{.Names}}").lines) == [f"{name}-a", f"{name}-c"]
    ocirun("container", "prune", "-f")
    assert ocirun("ps", "-a", "--format", "{{.Names}}").lines == [f"{name}-c"]


def test_volumes(fresh: Ocirun, name: str) -> None:
    assert fresh("volume", "create", "--label", "a=b", "data").word == "data"
    anonymous = fresh("volume", "create").word
    assert len(anonymous) == 64
    assert fresh("volume", "ls").lines[0].split() == ["DRIVER", "VOLUME", "NAME"]
    assert fresh("volume", "ls", "-q", "--filter", "label=a=b").lines == ["data"]
    assert fresh("volume", "inspect", "--format", "{{.Name}} {{.Labels.a}} {{.Mountpoint}}", "data").word == (
        f"data b {fresh.root}/volumes/data/_data"
    )
    fresh("run", "--name", name, "-v", "data:/data", "busybox", "true")
    assert fresh("volume", "ls", "-q", "-f", "dangling=true").lines == [anonymous]
    fresh("volume", "prune", "-f")
    assert fresh("volume", "ls", "-q").lines == ["data"]
    assert "in use" in fresh("volume", "rm", "data", status=1).error_line()
    fresh("rm", name)
    assert fresh("volume", "prune", "-af").lines[1] == "data"
    assert fresh("volume", "rm", "data", status=1).error_line() == "ocirun: get data: no such volume"


def test_system_prune_leaves_what_is_used(fresh: Ocirun, name: str) -> None:
    fresh("run", "-d", "--name", name, "busybox", "sleep", "100")
    fresh("run", "--name", "done", "busybox", "true")
    (fresh.root / "names" / "stale").symlink_to("../containers/" + "0" * 64)
    text = fresh("system", "prune", "-f", "-a", "--volumes").stdout
    assert "Deleted Containers:" in text
    assert "name stale" in text
    assert fresh("ps", "-a", "--format", "{{.Names}}").lines == [name]
    assert fresh("run", "--rm", "busybox", "echo", "still here").word == "still here"
    fresh("rm", "-f", name)
    fresh("system", "prune", "-f", "-a")
    assert fresh("images", "-q").lines == []


def test_run_imports_nothing_heavy(ocirun: Ocirun) -> None:
    # Once before: the first start compiles the seccomp filter and unpacks layers.
    ocirun("run", "--rm", "busybox", "true")
    process = ocirun.start("run", "--rm", "busybox", "true")
    process.communicate()
    import subprocess

    result = subprocess.run(
        [sys.executable, "-c", IMPORTS, "run", "--rm", "-e", "A=1", "busybox", "true"],
        env=ocirun.environment,
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    modules = set(result.stderr.split())
    assert "ocirun.engine.start" in modules
    assert modules & HEAVY == set()
    assert not modules & {"ocirun.cli.help", "ocirun.cli.templates", "ocirun.image.unpack", "ocirun.engine.inspect"}


def test_many_containers_are_listed_at_once(fresh: Ocirun) -> None:
    for index in range(20):
        fresh("create", "--name", f"many-{index}", "busybox", "true")
    assert len(fresh("ps", "-aq").lines) == 20
    assert fresh("ps", "-a", "-n", "1", "--format", "{{.Names}}").word == "many-19"
    fresh("rm", *[f"many-{index}" for index in range(20)])
