"""The CFFI extension `_ocirun_native`: what Python calls of the C core. setup.py builds it."""

import os
import sysconfig
from pathlib import Path

from cffi import FFI

HERE = Path("cext")
STRICT = ["-Werror"] if os.environ.get("OCIRUN_WERROR") != "0" else []

DECLARATIONS = """
struct failure { int32_t step; int32_t error; char path[...]; ...; };
struct plan { uint32_t step_count; ...; };
int plan_decode(const void *bytes, size_t length, struct plan *plan, struct failure *failure);
void plan_free(struct plan *plan);

int seal_memory(const char *name, const void *bytes, size_t length);
int seal_program(const char *path);
int spawn_helper(int program, const char *mode, const int *numbers, const int *sources, size_t count, int detached);

int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode);
int syncfs(int descriptor);
"""


def include_directories() -> "list[str]":
    """Where headers are: ours, and where this machine has no Python.h, the part of the stable ABI that cffi needs."""
    directories = [HERE]
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        directories.append(HERE / "stable_abi")
    return [str(directory) for directory in directories]


ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "_ocirun_native",
    '#include <unistd.h>\n#include "plan.h"\n#include "spawn_helper.h"\n#include "system_calls.h"\n',
    sources=[str(HERE / name) for name in ("plan.c", "spawn_helper.c", "system_calls.c")],
    depends=[str(path) for path in sorted(HERE.glob("*.h"))],
    include_dirs=include_directories(),
    define_macros=[
        ("_GNU_SOURCE", None),
        *([("OCIRUN_SANITIZE", None)] if os.environ.get("OCIRUN_SANITIZE") == "1" else []),
    ],
    # What cffi generates casts and ignores freely; our own files are compiled without these two exceptions for the helper.
    extra_compile_args=["-std=c17", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-unused-function", *STRICT],
)
