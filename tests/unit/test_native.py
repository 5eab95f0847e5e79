"""The door to the C core: the decoder believes nothing, paths stay below their root, sealed files stay as they are."""

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

import pytest

from ocirun import native
from ocirun.errors import HostError, StepError
from ocirun.runtime.steps import KINDS, MAGIC, VERSION, Plan, Step

ONE_OF_EACH_LENGTH = ["", "1234567", "12345678", "123"]


def whole_plan() -> bytes:
    return Plan([Step("hostname", text) for text in ONE_OF_EACH_LENGTH] + [Step("rlimit", 7, 2**64 - 1, 5)]).encode()


def plan_of(body: bytes, steps: int = 1) -> bytes:
    return struct.pack("<8sIIII", MAGIC, VERSION, 24 + len(body), steps, 0) + body


def raw_step(kind: int, integers: list[int], strings: list[bytes], *, reserved: int = 0) -> bytes:
    body = struct.pack("<4I", kind, reserved, len(integers), len(strings)) + struct.pack(
        f"<{len(integers)}Q", *integers
    )
    for text in strings:
        body += struct.pack("<I", len(text)) + text + b"\0" * (8 - (4 + len(text)) % 8)
    return body


def refused(plan: bytes) -> StepError:
    with pytest.raises(StepError) as caught:
        native.check_plan(plan)
    return caught.value


def minimal_step(kind: str) -> Step:
    """The step with as few fields as it may have, each of a value that its place allows."""
    _, integer_names, string_names, _ = KINDS[kind]
    integers = [
        7 if name in {"descriptor", "input", "output"} else 1 for name in integer_names.split() if name[-1] != "*"
    ]
    strings = [f"/{name}" for name in string_names.split() if name[-1] != "*"]
    return Step(kind, *integers, *(strings or (["word"] if kind == "command" else [])))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_decoded(kind: str) -> None:
    assert native.check_plan(Plan([minimal_step(kind)]).encode()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_counts_its_fields(kind: str) -> None:
    step = minimal_step(kind)
    number = KINDS[kind][0]
    strings = [text.encode() for text in step.strings if isinstance(text, str)]
    integers = list(step.integers)
    if not KINDS[kind][1].endswith("*"):
        refused(plan_of(raw_step(number, [*integers, 1], strings)))
    if integers:
        refused(plan_of(raw_step(number, integers[:-1], strings)))
    if not KINDS[kind][2].endswith("*"):
        refused(plan_of(raw_step(number, integers, [*strings, b"/more"])))
    if strings:
        refused(plan_of(raw_step(number, integers, strings[:-1])))


def test_an_empty_plan_is_sound() -> None:
    assert native.check_plan(plan_of(b"", 0)) == 0


@pytest.mark.parametrize("length", range(len(whole_plan())))
def test_a_plan_cut_off_anywhere_is_refused(length: int) -> None:
    plan = whole_plan()
    assert refused(plan[:length]).errno == errno.EINVAL
    # Also when its length says that this is all.
    if length >= 24:
        refused(plan[:12] + struct.pack("<I", length) + plan[16:length])


def test_no_single_changed_byte_confuses_the_decoder() -> None:
    """Some changes make another sound plan; what matters is that each is answered, and that sanitizers see nothing."""
    plan = whole_plan()
    for position in range(len(plan)):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            changed = bytearray(plan)
            changed[position] = value
            try:
                native.check_plan(bytes(changed))
            except StepError as error:
                assert error.errno in {errno.EINVAL, errno.E2BIG}  # noqa: PT017 - either answer is right here


HEADERS = {
    "another magic": (b"OCIRPLAM" + whole_plan()[8:], "this is no plan"),
    "nothing": (b"", "this is no plan"),
    "another version": (
        whole_plan()[:8] + struct.pack("<I", 2) + whole_plan()[12:],
        "the plan has another version than this helper",
    ),
    "bytes behind the end": (whole_plan() + b"\0" * 8, "the plan's length is wrong"),
    "a length that counts more": (
        whole_plan()[:12] + struct.pack("<I", 4096) + whole_plan()[16:],
        "the plan's length is wrong",
    ),
    "a reserved word": (whole_plan()[:20] + b"\1\0\0\0" + whole_plan()[24:], "the plan's length is wrong"),
    "fewer steps than there are": (plan_of(whole_plan()[24:], 4), "bytes are left after the last step"),
    "more steps than there are": (plan_of(whole_plan()[24:], 6), "a step is cut off"),
    "very many steps": (plan_of(b"", 2**32 - 1), "the plan has too many steps"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_broken_header_is_refused_with_its_reason(case: str) -> None:
    plan, reason = HEADERS[case]
    assert refused(plan).path == reason


MASK, HOSTNAME, CLONE, COMMAND, SECCOMP = (
    KINDS[kind][0] for kind in ("mask", "hostname", "clone", "command", "seccomp")
)
STEPS = {
    "an unknown kind": (raw_step(9999, [], []), "a step of unknown kind"),
    "kind zero": (raw_step(0, [], []), "a step of unknown kind"),
    "a reserved word": (raw_step(MASK, [], [b"/x"], reserved=1), "a step of unknown kind"),
    "four billion strings": (struct.pack("<4I", COMMAND, 0, 2, 2**32 - 1) + bytes(16), "a string is cut off"),
    "four billion integers": (
        struct.pack("<4I", KINDS["tar_changes"][0], 0, 2**32 - 1, 0),
        "the integers of a step are cut off",
    ),
    "a string longer than the plan": (struct.pack("<5I", MASK, 0, 0, 1, 2**32 - 1) + b"/x\0\0", "a string is cut off"),
    "a string without its NUL": (struct.pack("<5I", MASK, 0, 0, 1, 4) + b"/xyz", "a string is cut off"),
    "padding that is not zero": (struct.pack("<5I", MASK, 0, 0, 1, 2) + b"/x\0A", "a string is not padded with zeros"),
    "a NUL inside a string": (raw_step(MASK, [], [b"/x\0y"]), "a string holds what it may not"),
    "an empty path": (raw_step(MASK, [], [b""]), "a string holds what it may not"),
    "a path longer than PATH_MAX": (raw_step(MASK, [], [b"/" * 4096]), "a string holds what it may not"),
    "flags of more than 32 bits": (raw_step(CLONE, [2**32], []), "an integer is out of range"),
    "a truth value of 2": (raw_step(KINDS["pivot"][0], [2], []), "an integer is out of range"),
    "an id of -1": (raw_step(KINDS["become"][0], [2**32 - 1, 0], []), "an integer is out of range"),
    "the plan's own descriptor": (raw_step(KINDS["join_process"][0], [3, 0], []), "an integer is out of range"),
    "a negative descriptor": (raw_step(KINDS["join_process"][0], [2**64 - 1, 0], []), "an integer is out of range"),
    "an OOM score beyond 32 bits": (raw_step(KINDS["oom_score"][0], [2**40], []), "an integer is out of range"),
    "more arguments than words": (raw_step(COMMAND, [3, 0], [b"a", b"b"]), "a command with more arguments than words"),
    "a command without arguments": (raw_step(COMMAND, [0, 0], [b"a"]), "a command with more arguments than words"),
}


@pytest.mark.parametrize("case", STEPS)
def test_a_broken_step_is_refused_with_its_number_and_reason(case: str) -> None:
    body, reason = STEPS[case]
    error = refused(plan_of(raw_step(HOSTNAME, [], [b"before"]) + body, 2))
    assert (error.step, error.errno, error.path) == (1, errno.EINVAL, reason)


def test_what_may_be_out_of_the_ordinary() -> None:
    """Programs hold NULs, scores are negative, -1 leaves an owner as it is."""
    plan = Plan(
        [
            Step("seccomp", 0, b"\0" * 16),
            Step("oom_score", -500),
            Step("make_directory", 0o755, -1, -1, "/x"),
            Step("hostname", ""),
        ]
    )
    assert native.check_plan(plan.encode()) == 4


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with links that lead out of it, and what they lead to when followed without care."""
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (root / "secret").write_text("inside")
    (root / "up").symlink_to("../../../../secret")
    (root / "absolute").symlink_to("/secret")
    (root / "magic").symlink_to("/proc/self/root")
    (root / "inside" / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize("path", ["secret", "/secret", "up", "absolute", "../../secret", "inside/../../secret"])
def test_every_path_ends_below_the_root(tree: Path, path: str) -> None:
    root = os.open(tree, os.O_PATH)
    try:
        descriptor = native.open_in_root(root, path, os.O_RDONLY)
        assert os.read(descriptor, 20) == b"inside"
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
    finally:
        os.close(root)


@pytest.mark.parametrize(
    ("path", "number"),
    [("inside/loop", errno.ELOOP), ("missing", errno.ENOENT), ("magic", errno.ENOENT), ("secret/x", errno.ENOTDIR)],
)
def test_what_is_not_there_is_an_oserror_with_the_path(tree: Path, path: str, number: int) -> None:
    root = os.open(tree, os.O_PATH)
    try:
        with pytest.raises(OSError, match=f"open {path}") as caught:
            native.open_in_root(root, path, os.O_RDONLY)
        assert (caught.value.errno, caught.value.filename) == (number, path)
    finally:
        os.close(root)


def test_magic_links_are_refused() -> None:
    root = os.open("/", os.O_PATH)
    try:
        with pytest.raises(OSError, match="symbolic links"):
            native.open_in_root(root, "/proc/self/exe", os.O_RDONLY)
    finally:
        os.close(root)


def test_a_sealed_file_cannot_be_changed() -> None:
    descriptor = native.seal_memfd("x", b"content")
    try:
        assert os.pread(descriptor, 100, 0) == b"content"
        for change in (
            lambda: os.write(descriptor, b"y"),
            lambda: os.ftruncate(descriptor, 3),
            lambda: os.ftruncate(descriptor, 30),
        ):
            with pytest.raises(OSError, match="not permitted"):
                change()
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        assert seals & (fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE) == fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE
    finally:
        os.close(descriptor)


def test_the_helper_refuses_a_malformed_plan_by_itself() -> None:
    with pytest.raises(StepError, match="this is no plan"):
        native.run_task(b"nonsense", {}, str)


def test_a_task_leaves_no_descriptor_and_no_process() -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        assert native.run_task(Plan([]).encode(), {}, str) == b""
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_descriptor_that_is_not_open_is_one_error() -> None:
    with pytest.raises(HostError, match="Bad file descriptor"):
        native.run_task(Plan([]).encode(), {7: 999}, str)


def test_the_monitor_is_nobodys_child() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        pid = native.spawn(b"nonsense", "monitor", {4: theirs.fileno()})
        theirs.close()
        assert pid > 1
        assert ours.recv(4096)[:1] == b"F"
        assert ours.recv(4096) == b""
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
