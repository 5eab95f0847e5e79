"""Fuzz the parsers of untrusted bytes: build each target with sanitizers and run it for some seconds.

With clang and its libFuzzer it is guided by coverage; with another compiler it is a blind loop (fuzz_loop.c). Seeds are made
here. Status 1 when something is found; the input is left below build/fuzz and its path printed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ocirun.runtime.steps import Plan, Step  # noqa: E402 (the checkout is not on the path of a script)
from tests.unit.image.archives import (  # noqa: E402 (the same)
    archive,
    directory,
    hard_link,
    member,
    padded,
    pax_header,
    raw_header,
    record,
    symlink,
)

CORE = ROOT / "cext"
BUILD = ROOT / "build" / "fuzz"
HERE = Path(__file__).parent
FLAGS = [
    *("-std=gnu17", "-D_GNU_SOURCE", "-DOCIRUN_SANITIZE", "-g", "-O1", "-fno-omit-frame-pointer", "-Wall", "-Wextra"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{CORE}"),
]
# The parts of the core that each target is made of.
READER = (
    "tar_header",
    "tar_input",
    "tar_pax",
    "tar_reader",
    "tar_sparse",
    "tree",
    "system_calls",
    "plan",
    "untar_path",
)
EXTRACTOR = ("tree_copy", "tree_layers", "tree_remove", "tree_walk", "untar", "untar_entry", "untar_metadata")
TARGETS = {"plan": ("plan",), "tar": (*READER, *EXTRACTOR), "untar": (*READER, *EXTRACTOR)}


def tar_seeds() -> list[bytes]:
    """Archives with all that the reader knows."""
    pax = (
        record(b"path", b"a/b") + record(b"mtime", b"1.5") + record(b"SCHILY.xattr.user.a", b"b") + record(b"uid", b"7")
    )
    sparse = (
        record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0") + record(b"GNU.sparse.realsize", b"2000")
    )
    old_map = raw_header(
        b"s", type_=b"S", size=b"00000000003", magic=b"ustar  \0", rest=bytes(41) + b"00000000010\x0000000000003\0"
    )
    content = b"1\n500\n3\n"
    return [
        archive(directory("d"), member("d/f", b"x" * 600), symlink("l", "d"), hard_link("h", "d/f"), member("l/g", b"y")),
        archive(member("d/.wh.x"), member("d/.wh..wh..opq"), directory("d"), member("../x"), symlink("e", "../outside"), member("e/secret")),
        archive(symlink("a", "/"), hard_link("b", "a/../outside/secret"), member("n" * 120, b"z"), directory("./", 0o700)),
        pax_header(record(b"comment", b"c"), b"g") + pax_header(pax) + raw_header(b"x") + bytes(1024),
        pax_header(sparse) + raw_header(b"x", size=b"%011o" % 515) + padded(content) + padded(b"abc") + bytes(1024),
        pax_header(record(b"GNU.sparse.size", b"99") + record(b"GNU.sparse.map", b"1,2,50,1")) + raw_header(b"x", size=b"00000000003") + padded(b"abc"),
        old_map + padded(b"abc") + bytes(1024),
        raw_header(b"././@LongLink", type_=b"L", size=b"00000000005") + padded(b"long\0") + raw_header(b"x", size=b"\x80" + bytes(10) + b"\1") + padded(b"c"),
        raw_header(b"c", type_=b"3", rest=b"") + raw_header(b"p", type_=b"6") + raw_header(b"v7/", type_=b"\0", magic=b""),
    ]  # fmt: skip


def plan_seeds() -> list[bytes]:
    """Plans with steps of several shapes."""
    steps = [
        Step("hostname", "name"), Step("clone", 0x20000000), Step("untar", 5, 1, 0, "/target", "/lower"),
        Step("seccomp", 0, b"\0\1\2\3" * 16), Step("command", 1, 0, "sh", "A=b"), Step("rlimit", 7, 2**64 - 1, 5),
    ]  # fmt: skip
    return [Plan(steps).encode(), Plan(steps[:1]).encode(), Plan([]).encode()]


def has_libfuzzer() -> bool:
    """Whether clang can link a fuzzer."""
    if not shutil.which("clang"):
        return False
    probe = "int LLVMFuzzerTestOneInput(const char *d, long s); int LLVMFuzzerTestOneInput(const char *d, long s) { return !d && s; }"
    command = ["clang", "-x", "c", "-", "-fsanitize=fuzzer,address", "-o", str(BUILD / "probe")]
    return subprocess.run(command, input=probe.encode(), capture_output=True, check=False).returncode == 0


def build(name: str, *, guided: bool) -> Path:
    """Compile the target `name`; returns the program."""
    program = BUILD / f"fuzz_{name}"
    sources = [HERE / f"fuzz_{name}.c", *(CORE / f"{part}.c" for part in TARGETS[name])]
    if name == "tar":
        sources.append(HERE / "no_control.c")
    if guided:
        command = ["clang", *FLAGS, "-fsanitize=fuzzer", *map(str, sources), "-o", str(program)]
    else:
        loop = ["-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION", str(HERE / "fuzz_loop.c")]
        command = [os.environ.get("CC", "cc"), *FLAGS, *loop, *map(str, sources), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def run(name: str, program: Path, seconds: int, *, guided: bool) -> bool:
    """Run one target for `seconds`; False when it has found something."""
    place = BUILD / name
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(plan_seeds() if name == "plan" else tar_seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    if guided:
        words = [
            f"-max_total_time={seconds}",
            "-max_len=8192",
            "-timeout=10",
            "-print_final_stats=1",
            f"-artifact_prefix={place}/",
            str(corpus),
        ]
    else:
        words = [str(seconds), *sorted(map(str, corpus.iterdir()))]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="ocirun-fuzz-", dir=memory) as scratch:
        environment = {**os.environ, "TMPDIR": scratch, "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1"}
        done = subprocess.run([str(program), *words], cwd=place, env=environment, capture_output=True, check=False)
    if done.returncode == 0:
        units = [line.split()[-1] for line in done.stderr.decode().splitlines() if "number_of_executed_units" in line]
        print(f"fuzz {name}: {units[0] + ' runs, nothing found' if units else done.stdout.decode().strip()}")
        return True
    sys.stderr.write(done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")[-8000:])
    found = [str(path) for path in place.iterdir() if path.is_file()]
    print(f"fuzz {name}: FOUND something, the input is {' '.join(found)}")
    return False


def main() -> int:
    """Fuzz what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all of them by default")
    arguments = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    guided = has_libfuzzer()
    if not guided:
        print("no clang with libFuzzer here: fuzzing blindly")
    programs = {name: build(name, guided=guided) for name in arguments.targets or TARGETS}
    results = [run(name, program, arguments.seconds, guided=guided) for name, program in programs.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
