"""bench.py [--write FILE] [--rounds N] [--only start,load,...]: ocirun beside the peers of this machine, in one run.

Every figure is a ratio of medians, measured in the same minutes: the rounds of the candidates are interleaved, so
that what else the machine does falls on all of them. As root it runs as the ordinary user of the system tests.
Peers that are not installed are left out, and named.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP))

from tests.bench import images, peers  # noqa: E402  the checkout is what is measured
from tests.bench.measure import Table, interleaved  # noqa: E402  the same
from tests.bench.tree import enter_tree  # noqa: E402  the same

MACHINE = TOP / "tests/system/machine.py"


def bench_start(work: Path, rounds: int) -> Table:
    """The whole process of one short container, and of a bundle by the runtimes."""
    archive = images.busybox(work)
    engines = peers.engines(work / "start")
    candidates: dict[str, Callable[[], None]] = {}
    for engine in engines:
        engine.load_plain(archive)
        candidates[f"{engine.name} run --rm --network none busybox true"] = engine.run_true
    candidates.update(peers.bundles(work / "bundle", archive))
    table = Table("Start: one container that runs `true`, whole process", "s", "at most half of podman's time")
    table.add_all(interleaved(candidates, rounds))
    for engine in engines:
        engine.close()
    return table


def bench_load(work: Path, rounds: int) -> Table:
    """Load of a gzip image and the first run of it, each time into an empty store."""
    archive, description = images.debian(work)
    engines = peers.engines(work / "load")

    def candidate(engine: peers.Engine) -> Callable[[], None]:
        def load_and_run() -> None:
            engine.load(archive)
            engine.run_true("debian:bench")

        return load_and_run

    table = Table(f"Load plus first run: {description}", "s", "at least 3 times as fast as podman")
    measured = interleaved(
        {engine.name: candidate(engine) for engine in engines}, rounds, after=[engine.new_store for engine in engines]
    )
    table.add_all(measured)
    for engine in engines:
        engine.close()
    return table


def bench_save(work: Path, rounds: int) -> Table:
    """Save of the same image as an OCI archive."""
    archive, description = images.debian(work)
    engines = peers.engines(work / "save")
    for engine in engines:
        engine.load(archive)
    table = Table(f"Save to a file: {description}", "s", "at least 10 times as fast as podman")
    table.add_all(
        interleaved(
            {engine.name: engine.saver(work / f"saved-{engine.name}.tar", "debian:bench") for engine in engines}, rounds
        )
    )
    for engine in engines:
        engine.close()
    return table


def bench_list(work: Path, rounds: int) -> Table:
    """`ps -a` with a hundred containers."""
    archive = images.busybox(work)
    engines = peers.engines(work / "list")
    for engine in engines:
        engine.load_plain(archive)
        for _ in range(100):
            engine.create()
    table = Table("`ps -a` with 100 containers", "s", "less than podman's time")
    table.add_all(interleaved({engine.name: engine.list_all for engine in engines}, rounds))
    for engine in engines:
        engine.close()
    return table


def bench_memory(work: Path, rounds: int) -> Table:
    """What stays in memory beside the processes of a detached container."""
    archive = images.busybox(work)
    table = Table("Memory beside a detached container (PSS of the monitor)", "kB", "under 1 MB, and under conmon's")
    for engine in peers.engines(work / "memory"):
        engine.load_plain(archive)
        table.add(engine.monitor, [engine.monitor_pss() for _ in range(max(3, rounds // 7))])
        engine.close()
    return table


BENCHMARKS = {"start": bench_start, "load": bench_load, "save": bench_save, "list": bench_list, "memory": bench_memory}
ROUNDS = {"start": 31, "load": 5, "save": 7, "list": 15, "memory": 21}


def versions() -> list[str]:
    """One line for each program that took part."""
    found = [f"kernel {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"]
    for name in ("podman", "crun", "runc", "conmon", "umoci"):
        path = shutil.which(name)
        if path:
            shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            found.append(shown.splitlines()[0] if shown else name)
        else:
            found.append(f"{name}: not installed, left out")
    return found


def report(tables: list[Table], command: str) -> str:
    """The Markdown page of one run."""
    lines = ["# Performance", "", "Made by `make bench`; every table is from one run, the candidates interleaved.", ""]
    lines += ["```text", command, *versions(), "```", ""]
    for table in tables:
        lines += [table.markdown(), ""]
    return "\n".join(lines)


def as_the_test_user(tree: Path | None, target: Path | None) -> int:
    """Run the same command again as the ordinary user of the system tests; its report goes to `target` too."""
    images.prepare_as_root()
    again = [sys.executable, str(MACHINE), "--enter", "ranges", sys.executable, *sys.argv, "--write", os.devnull]
    done = subprocess.run(
        again, stdout=subprocess.PIPE, check=False, preexec_fn=(lambda: enter_tree(tree)) if tree else None
    )
    sys.stdout.buffer.write(done.stdout)
    if target and done.returncode == 0:
        target.write_bytes(done.stdout)
    return done.returncode


def main() -> int:
    """Read the words, become the ordinary user, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="put the report there")
    parser.add_argument("--rounds", type=float, default=1.0, help="factor on the number of rounds")
    parser.add_argument("--tree", type=Path, help="as root: with the peers of the system in this directory")
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="names, comma-separated")
    arguments = parser.parse_args()
    if os.geteuid() == 0:
        return as_the_test_user(arguments.tree, arguments.write)
    tables = []
    work = Path(tempfile.mkdtemp(prefix="ocirun-bench-"))
    try:
        for name in arguments.only.split(","):
            print(f"measuring {name}", file=sys.stderr, flush=True)
            tables.append(BENCHMARKS[name](work, max(1, round(ROUNDS[name] * arguments.rounds))))
    finally:
        peers.remove(work)
    command = f"python {' '.join(sys.argv)}".replace(f"{TOP}/", "").removesuffix(f" --write {os.devnull}")
    if arguments.tree:
        command = command.replace(str(arguments.tree), "TREE")
    text = report(tables, command)
    if arguments.write:
        arguments.write.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
