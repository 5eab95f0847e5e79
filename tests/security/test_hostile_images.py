"""Images whose config or layers want to get at the machine, or to break what reads them."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.security.conftest import PYTHON, member
from tests.system.harness import BUSYBOX, MODE, Ocirun, add_file, busybox_tar, entries


def docker_archive(config: Any, layer: bytes, name: str) -> bytes:
    """What `docker save` writes, with this config (bytes, or a value for JSON)."""
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member_name, content in (("manifest.json", manifest), ("config.json", data), ("layer.tar", layer)):
            add_file(archive, member_name, content)
    return stream.getvalue()


@pytest.fixture
def load(ocirun: Ocirun) -> Any:
    """Load busybox with a config of one's own: load({"Cmd": ...}, status=0) -> Result; the image is "evil:latest"."""
    layer = busybox_tar()

    def run(config: dict[str, Any], *, status: int | None = 0, **document: Any) -> Any:
        whole = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], **config},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
            **document,
        }
        return ocirun("load", input=docker_archive(whole, layer, "evil:latest"), status=status)

    yield run
    ocirun.remove_all()
    ocirun("rmi", "-f", "evil:latest", status=None)


@pytest.mark.parametrize(
    "config",
    [
        {"User": "4294967295"},
        {"User": "-1"},
        {"User": "99999999999999999999999"},
        {"User": "9" * 5000},
        {"User": "root\n"},
        {"User": "٣"},
        {"User": "a:b:c"},
        {"User": "0:99999999999999"},
        {"WorkingDir": "relative/place"},
        {"WorkingDir": "/" + "a/" * 3000},
        {"WorkingDir": "/" + "b" * 300},
        {"WorkingDir": "/bin/sh"},
        {"WorkingDir": "/x\nEvil: y"},
        {"WorkingDir": "/nul\0byte"},
        {"Env": ["A=b\nC=d", "NOEQUALS", "=x", "", "PATH=/bin"]},
        {"Env": ["NUL=a\0b", "PATH=/bin"]},
        {"Entrypoint": [""]},
        {"Entrypoint": ["/bin"]},
        {"Entrypoint": ["\0"]},
        {"Entrypoint": ["../../../../bin/true"]},
        {"Cmd": ["true\0"]},
        {"Volumes": {"/": {}}},
        {"Volumes": {"../../../etc": {}}},
        {"Volumes": {"relative": {}}},
        {"Volumes": {"/proc": {}}},
        {"Volumes": {"/proc/self": {}}},
        {"Volumes": {"/proc/sys/kernel": {}}},
        {"Volumes": {"/sys": {}}},
        {"Volumes": {"/sys/fs/cgroup": {}}},
        {"Volumes": {"/dev": {}}},
        {"Volumes": {"/dev/pts": {}}},
        {"Volumes": {"/dev/null": {}}},
        {"Volumes": {"/etc/passwd": {}}},
        {"Volumes": {"/a:b": {}, "/c,d": {}, "/e\nf": {}, "/g\\h": {}}},
        {"Volumes": {"/" + "v" * 300: {}}},
        {"Volumes": {"": {}}},
        {"StopSignal": "SIGEVIL"},
        {"StopSignal": "99999"},
        {"Labels": {"a\nb": "c\0d", "": ""}},
        {"Hostname": "../../x\ny", "Domainname": "evil\n"},
        {"OnBuild": ["RUN evil"], "Shell": ["/bin/sh\0"]},
    ],
    ids=lambda config: json.dumps(config)[:60],
)
def test_config_that_is_not_as_it_should_be(ocirun: Ocirun, load: Any, config: dict[str, Any]) -> None:
    """It runs, or fails with a line: never a traceback (the harness looks), never anything outside of the container."""
    if load(config, status=None).status != 0:
        return
    for flags in ([], ["-w", "/"], ["-t"]):
        result = ocirun("run", "--rm", *flags, "evil:latest", "true", status=None)
        if result.status != 0:
            result.error_line() if "-t" not in flags else None
    ocirun("create", "--name", "evil", "evil:latest", "true", status=None)
    for words in (("ps", "-a"), ("inspect", "evil:latest"), ("images",), ("history", "evil:latest")):
        ocirun(*words, status=None)


@pytest.mark.parametrize("user", ["4294967295", "-1", "4294967296"])
def test_a_user_that_would_stay_root_is_refused(ocirun: Ocirun, load: Any, user: str) -> None:
    """setresuid(-1) changes nothing."""
    load({"User": user})
    result = ocirun("run", "--rm", "evil:latest", "id", "-u", status=None)
    assert result.status != 0, result


@pytest.mark.parametrize("number", ["4294967295", "4294967296", "9" * 5000, "٣", "99999999999"])
def test_passwd_with_ids_out_of_range(ocirun: Ocirun, load_members: Callable[..., str], number: str) -> None:
    passwd = f"evil:x:{number}:{number}::/:/bin/sh\n".encode()
    group = f"evil:x:{number}:evil\n".encode()
    image = load_members((member("etc/passwd"), passwd), (member("etc/group"), group))
    for user in ("evil", "evil:evil", "5:evil"):
        result = ocirun("run", "--rm", "-u", user, image, "id", "-u", status=None)
        assert result.status != 0, result
        result.error_line()


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, "huge", "host"])
def test_passwd_that_is_no_list_of_users(
    ocirun: Ocirun, load_members: Callable[..., str], kind: Any, tmp_path: Path
) -> None:
    """A fifo must not hang, a large file not fill the memory, a link not lead to the machine's files."""
    secret = tmp_path / "passwd"
    secret.write_text("evil:x:7:7::/:/bin/sh\n")
    tmp_path.chmod(0o755)
    if kind == "huge":
        hostile: Any = (member("etc/passwd"), b"x" * (3 << 20))
    elif kind == "host":
        hostile = member("etc/passwd", tarfile.SYMTYPE, linkname=str(secret))
    else:
        hostile = member("etc/passwd", kind, linkname="/proc/self/fd/0")
    image = load_members(member("etc/passwd.d", tarfile.DIRTYPE), hostile)
    assert ocirun("run", "--rm", "-u", "evil", image, "id", "-u", status=None).status != 0


def test_config_that_is_nested_deeply_or_has_giant_numbers(ocirun: Ocirun) -> None:
    layer = busybox_tar()
    for config in (
        b"[" * 200_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"a": ' + b"9" * 6000 + b"}",
        b"\xff\xfe",
        b"",
    ):
        result = ocirun("load", input=docker_archive(config, layer, "evil:latest"), status=None)
        assert result.status != 0
        result.error_line()


def test_volume_at_proc_or_sys_is_not_trusted(ocirun: Ocirun, load: Any, name: str) -> None:
    """CVE-2023-27561: with another thing at /proc, what is written there or masked there lands elsewhere."""
    for places in (["/proc"], ["/sys"], ["/proc", "/sys", "/dev"]):
        load({"Volumes": {place: {} for place in places}})
        script = "cat /proc/sys/kernel/core_pattern; ls /proc/1/exe; echo x >/proc/sysrq-trigger"
        result = ocirun(
            "run",
            "--rm",
            "--hostname",
            "x",
            "--sysctl",
            "net.ipv4.ip_forward=1",
            "evil:latest",
            "sh",
            "-c",
            script,
            status=None,
        )
        if result.status == 0:
            assert "core" not in result.stdout


def test_links_as_mount_targets_stay_inside(
    ocirun: Ocirun, load_members: Callable[..., str], tmp_path: Path, name: str
) -> None:
    """CVE-2021-30465 without the race: what is mounted through a link lands in the container."""
    outside = tmp_path / "outside"
    outside.mkdir()
    tmp_path.chmod(0o777)
    image = load_members(
        member("absolute", tarfile.SYMTYPE, linkname=str(outside)),
        member("up", tarfile.SYMTYPE, linkname="../../../../../../.." + str(outside)),
        member("root", tarfile.SYMTYPE, linkname="/proc/1/root"),
        member("cwd", tarfile.SYMTYPE, linkname="/proc/self/cwd"),
        member("etc/hosts", tarfile.SYMTYPE, linkname=f"{outside}/hosts"),
        member("etc/resolv.conf", tarfile.SYMTYPE, linkname="/proc/sysrq-trigger"),
        options=("-c", "VOLUME /absolute/image-volume", "-c", "WORKDIR /up/work"),
    )
    source = tmp_path / "source"
    source.mkdir()
    for target in ("/absolute/a", "/up/b", "/root/c", "/cwd/d"):
        ocirun("run", "--rm", "-v", f"{source}:{target}", "--tmpfs", f"{target}-tmpfs", image, "true", status=None)
    assert entries(outside) == []
    assert entries(source) == []


@pytest.mark.parametrize(
    "link", ["/proc/self/fd/3", "/proc/1/root", "/proc/1/cwd", "/proc/self/exe", "/proc/thread-self/fd/4"]
)
def test_working_directory_through_a_link_in_the_image(
    ocirun: Ocirun, load_members: Callable[..., str], link: str, name: str
) -> None:
    """CVE-2024-21626, with the descriptor behind a link of the image; for exec the directory is made while it runs."""
    image = load_members(member("work", tarfile.SYMTYPE, linkname=link), options=("-c", "WORKDIR /work"))
    for words in (["pwd"], ["ls", ".."], ["cat", "../../../../etc/shadow"]):
        result = ocirun("run", "--rm", image, *words, status=None)
        assert "(unreachable)" not in result.stdout
        assert result.status != 0 or "root:" not in result.stdout
    ocirun("run", "-d", "-w", "/", "--name", name, image, "sleep", "600")
    for number in range(3, 12):
        result = ocirun("exec", "-w", f"/proc/self/fd/{number}", name, "sh", "-c", "pwd; ls ../..", status=None)
        assert result.status != 0 or "bin" in result.stdout.split(), result


def test_label_of_host_images_does_not_show_the_machine(ocirun: Ocirun, load: Any) -> None:
    """An image from elsewhere that says it lies on `host` must not see this machine's files for it."""
    for label in ("ocirun.base", "org.opencontainers.image.base.name"):
        load({"Labels": {label: "host"}})
        result = ocirun(
            "run", "--rm", "evil:latest", "cat", "/etc/machine-id", "/etc/shells", "/etc/debian_version", status=None
        )
        assert not result.stdout, (label, result)
    load({"Labels": {"ocirun.base": "host"}})
    refused = ocirun("run", "--rm", "evil:latest", "true", status=125)
    assert refused.stderr.count("\n") == 1
    assert "ocirun run --base host evil:latest" in refused.stderr


def test_layers_of_host_images_cannot_redirect_its_trees(ocirun: Ocirun, tmp_path: Path, name: str) -> None:
    """A layer on `host` whose /usr is a link to a hidden place of the machine."""
    secrets = Path.home() / f"ocirun-secret-{MODE}"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(member("usr", tarfile.SYMTYPE, linkname=str(secrets)))
        archive.addfile(member("opt", tarfile.SYMTYPE, linkname=str(secrets)))
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / "key").write_text("secret\n")
    try:
        for label in ("ocirun.base", "org.opencontainers.image.base.name"):
            options = ("-c", f"LABEL {label}=host", "-c", "CMD true")
            ocirun("import", *options, "-", "redirect", input=stream.getvalue())
            for base in ([], ["--base", "host"]):
                result = ocirun("run", "--rm", *base, "redirect", "cat", "/usr/key", "/opt/key", status=None)
                assert "secret" not in result.stdout, result
    finally:
        (secrets / "key").unlink()
        secrets.rmdir()
        ocirun("rmi", "-f", "redirect", status=None)


def test_attributes_of_overlayfs_in_a_layer_are_not_obeyed(ocirun: Ocirun, fresh: Ocirun) -> None:
    """user.overlay.redirect and the like would make the kernel look at other places than the layer."""
    stream = io.BytesIO(busybox_tar())
    with tarfile.open(fileobj=stream, mode="a", format=tarfile.PAX_FORMAT) as archive:
        for number, (key, value) in enumerate(
            [
                ("redirect", "/../../../etc"),
                ("metacopy", ""),
                ("opaque", "y"),
                ("origin", "x"),
                ("whiteout", "y"),
                ("xwhiteouts", "y"),
            ]
        ):
            for prefix in ("user.overlay.", "trusted.overlay."):
                header = member(f"d{number}{prefix[0]}", tarfile.DIRTYPE)
                header.pax_headers = {f"SCHILY.xattr.{prefix}{key}": value}
                archive.addfile(header)
    fresh("import", "-", "marked", input=stream.getvalue())
    found = []
    for path in (fresh.root / "layers").rglob("d[0-9][ut]"):
        found += [key for key in os.listxattr(path) if "overlay" in key]
    assert found == []


MARK = """
import os
for key in ("user.overlay.opaque", "user.overlay.redirect", "user.overlay.metacopy", "user.overlay.whiteout"):
    for path in ("/etc", "/etc/marked"):
        os.makedirs(path, exist_ok=True)
        try:
            os.setxattr(path, key, b"y" if path == "/etc" else b"/../../root")
        except OSError:
            pass
"""


def test_attributes_of_overlayfs_set_inside_have_no_effect(ocirun: Ocirun, name: str) -> None:
    """Kernels before 6.7 refuse them, later ones keep them under another name."""
    if not PYTHON.startswith("/usr/"):
        pytest.skip(f"image `host` does not show {PYTHON}")
    script = f"{PYTHON} -I -c '{MARK}'; ls /etc/marked; exec cat /etc/passwd"
    ocirun("run", "--name", name, "host", "sh", "-c", script)
    first = ocirun("start", "-a", name).stdout
    assert "root:" in first
    ocirun("commit", name, "marked")
    assert "root:" in ocirun("run", "--rm", "marked", "cat", "/etc/passwd").stdout
    with tarfile.open(fileobj=io.BytesIO(ocirun("save", "marked").output), mode="r") as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        layer = archive.extractfile(manifest[0]["Layers"][-1])
        with tarfile.open(fileobj=layer, mode="r:*") as changes:
            assert [header.name for header in changes if any("overlay" in key for key in header.pax_headers)] == []
    ocirun("rm", name)
    ocirun("rmi", "marked")


def test_host_busybox_is_as_it_was(ocirun: Ocirun) -> None:
    assert ocirun("run", "--rm", BUSYBOX, "echo", "fine").stdout == "fine\n"
