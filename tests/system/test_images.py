"""import, load, save, images, tag, history, inspect, rmi, validate; and what other tools say of our files."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import BUSYBOX, MODE, Ocirun, add_other, entries, make_tar


def need(tool: str) -> str:
    """The path of a peer's tool; its absence is a skip."""
    path = shutil.which(tool)
    if not path:
        pytest.skip(f"{tool} is not installed")
    return path


def output_of(*command: str) -> str:
    """The output of another tool, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def members(archive: Path) -> dict[str, bytes]:
    """The regular files of a tar by name."""
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]  # isfile


def names_of(ocirun: Ocirun) -> list[str]:
    return ocirun("images", "--format", "{{.Repository}}:{{.Tag}}").lines


def test_import_from_a_file_and_from_stdin(empty: Ocirun, tmp_path: Path) -> None:
    data = make_tar([("hello", b"hi\n")], tmp_path / "plain.tar")
    first = empty("import", str(tmp_path / "plain.tar"), "plain").word
    assert first.startswith("sha256:")
    assert empty("import", "-", "from-stdin:v1", input=data).word.startswith("sha256:")
    assert empty("import", "-", "packed:v1", input=gzip.compress(data)).word.startswith("sha256:")
    assert set(names_of(empty)) == {"plain:latest", "from-stdin:v1", "packed:v1"}
    assert {empty.inspect(name)["RootFS"]["Layers"][0] for name in ("plain", "from-stdin:v1", "packed:v1")} == {
        "sha256:" + hashlib.sha256(data).hexdigest()
    }


def test_import_zstd(empty: Ocirun, tmp_path: Path) -> None:
    path = tmp_path / "packed.tar"
    make_tar([("hello", b"hi\n")], path)
    output_of(need("zstd"), "-q", str(path))
    assert empty("import", f"{path}.zst", "packed").word.startswith("sha256:")


def test_import_changes_and_message(empty: Ocirun, busybox_archive: Path) -> None:
    changes = [
        'CMD ["echo", "from cmd"]',
        "ENV A=b C=d",
        "WORKDIR /tmp",
        "USER 0",
        "LABEL k=v",
        "EXPOSE 80",
        "VOLUME /data",
    ]
    flags = [word for change in changes for word in ("-c", change)]
    empty("import", *flags, "-m", "made here", str(busybox_archive), "changed")
    document = empty.inspect("changed")
    config = document["Config"]
    assert config["Cmd"] == ["echo", "from cmd"]
    assert {"A=b", "C=d"} <= set(config["Env"])
    assert (config["WorkingDir"], config["User"], config["Labels"]) == ("/tmp", "0", {"k": "v"})
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/data": {}})
    assert "made here" in empty("history", "--no-trunc", "changed").stdout
    assert empty("run", "--rm", "changed").stdout == "from cmd\n"


def test_import_of_what_is_no_tar(empty: Ocirun, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no tar at all" * 100)
    assert empty("import", str(tmp_path / "text"), "text", status=1).error_line()
    assert str(tmp_path / "missing") in empty("import", str(tmp_path / "missing"), "x", status=1).error_line()
    assert names_of(empty) == []
    assert entries(empty.root / "images/blobs/sha256") == []


def check_layout(directory: Path) -> dict[str, Any]:
    """Assert that a directory is an OCI layout whose blobs are what their names say; returns its index."""
    assert json.loads((directory / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    for blob in (directory / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    index: dict[str, Any] = json.loads((directory / "index.json").read_text())
    assert index["schemaVersion"] == 2
    for descriptor in index["manifests"]:
        blob = directory / "blobs" / descriptor["digest"].replace(":", "/")
        assert blob.stat().st_size == descriptor["size"]
    return index


def test_save_is_a_layout_and_docker_s_archive_in_one(fresh: Ocirun, tmp_path: Path) -> None:
    archive = tmp_path / "saved.tar"
    fresh("save", "-o", str(archive), BUSYBOX)
    files = members(archive)
    assert {"oci-layout", "index.json", "manifest.json", "repositories"} <= set(files)
    (tmp_path / "layout").mkdir()
    output_of("tar", "-C", str(tmp_path / "layout"), "-xf", str(archive))
    check_layout(tmp_path / "layout")
    entry = json.loads(files["manifest.json"])[0]
    assert entry["RepoTags"] == [f"docker.io/library/{BUSYBOX}"]  # in full, which docker and podman both read
    config = json.loads(files[entry["Config"]])
    assert ["sha256:" + hashlib.sha256(unpacked(files[name])).hexdigest() for name in entry["Layers"]] == config[
        "rootfs"
    ]["diff_ids"]


def unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def test_save_then_load_gives_the_same_image(fresh: Ocirun, tmp_path: Path) -> None:
    identifier = fresh("inspect", "--format", "{{.Id}}", BUSYBOX).word
    archive = fresh("save", BUSYBOX).output
    fresh("rmi", BUSYBOX)
    assert names_of(fresh) == []
    assert entries(fresh.root / "images/blobs/sha256") == []
    assert fresh("load", input=archive).stdout == f"Loaded image: {BUSYBOX}\n"
    assert fresh("inspect", "--format", "{{.Id}}", BUSYBOX).word == identifier
    assert fresh("save", BUSYBOX).output == archive
    assert fresh("run", "--rm", BUSYBOX, "echo", "works").stdout == "works\n"


def test_several_images_in_one_file(fresh: Ocirun, tmp_path: Path) -> None:
    fresh("import", "-", "small:v1", input=make_tar([("x", b"1")]))
    fresh("tag", "small:v1", "example.org/team/small:v2")
    archive = tmp_path / "all.tar"
    fresh("save", "-o", str(archive), BUSYBOX, "small:v1", "example.org/team/small:v2")
    tags = sorted(tag for entry in json.loads(members(archive)["manifest.json"]) for tag in entry["RepoTags"])
    assert tags == ["docker.io/library/busybox:latest", "docker.io/library/small:v1", "example.org/team/small:v2"]
    fresh("rmi", *names_of(fresh))
    names = [BUSYBOX, "example.org/team/small:v2", "small:v1"]
    assert sorted(fresh("load", "-i", str(archive)).lines) == [f"Loaded image: {name}" for name in names]


def test_save_refuses_a_terminal_and_an_unknown_image(fresh: Ocirun, tmp_path: Path) -> None:
    terminal = fresh.terminal("save", BUSYBOX)
    terminal.expect("cowardly refusing|refusing to (save|write) to a terminal|terminal")
    assert terminal.wait() == 1
    assert "nobody" in fresh("save", "-o", str(tmp_path / "x"), "nobody", status=1).error_line()
    assert not (tmp_path / "x").exists()


def test_directory_layout_out_and_in(fresh: Ocirun, tmp_path: Path) -> None:
    fresh("save", "--format", "oci-dir", "-o", str(tmp_path / "layout"), BUSYBOX)
    check_layout(tmp_path / "layout")
    fresh("rmi", BUSYBOX)
    assert fresh("load", "-i", str(tmp_path / "layout")).stdout == f"Loaded image: {BUSYBOX}\n"
    assert fresh("run", "--rm", BUSYBOX, "echo", "works").stdout == "works\n"


def test_the_store_is_a_layout_while_containers_run(fresh: Ocirun) -> None:
    fresh("run", "-d", BUSYBOX, "sleep", "600")
    index = check_layout(fresh.root / "images")
    names = {descriptor["annotations"]["org.opencontainers.image.ref.name"] for descriptor in index["manifests"]}
    assert names == {BUSYBOX, "docker.io/library/busybox:latest"}


@pytest.mark.parametrize("reference", [BUSYBOX, "docker.io/library/busybox:latest"])
def test_skopeo_reads_the_store_in_place(fresh: Ocirun, reference: str) -> None:
    skopeo = need("skopeo")
    fresh("run", "-d", BUSYBOX, "sleep", "600")
    document = json.loads(output_of(skopeo, "inspect", "--config", f"oci:{fresh.root}/images:{reference}"))
    assert document["config"]["Cmd"] == ["sh"]


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_skopeo_reads_what_save_writes(fresh: Ocirun, tmp_path: Path, transport: str) -> None:
    skopeo = need("skopeo")
    fresh("save", "-o", str(tmp_path / "saved.tar"), BUSYBOX)
    source = f"{transport}:{tmp_path}/saved.tar"
    output_of(skopeo, "--tmpdir", str(tmp_path), "copy", "--insecure-policy", source, f"dir:{tmp_path}/copied")
    assert (tmp_path / "copied/manifest.json").exists()


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive", "oci"])
def test_load_reads_what_skopeo_writes(fresh: Ocirun, tmp_path: Path, transport: str) -> None:
    skopeo = need("skopeo")
    source = f"oci:{fresh.root}/images:{BUSYBOX}"
    target = tmp_path / "written"
    output_of(
        skopeo, "--tmpdir", str(tmp_path), "copy", "--insecure-policy", source, f"{transport}:{target}:busybox:again"
    )
    before = fresh("inspect", "--format", "{{json .RootFS.Layers}}", BUSYBOX).json()
    fresh("rmi", BUSYBOX)
    loaded = fresh("load", "-i", str(target)).stdout
    assert loaded.startswith("Loaded image: ")
    reference = loaded.split(": ", 1)[1].strip()
    assert reference.endswith("busybox:again")
    assert fresh("inspect", "--format", "{{json .RootFS.Layers}}", reference).json() == before
    assert fresh("run", "--rm", reference, "echo", "works").stdout == "works\n"


def test_umoci_unpacks_the_store(fresh: Ocirun, tmp_path: Path) -> None:
    umoci = need("umoci")
    rootless = [] if MODE == "root" else ["--rootless"]
    output_of(umoci, "unpack", *rootless, "--image", f"{fresh.root}/images:{BUSYBOX}", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle/rootfs/bin/busybox").exists()


def test_tag_list_and_remove(fresh: Ocirun) -> None:
    identifier = fresh("inspect", "--format", "{{.Id}}", BUSYBOX).word
    short = identifier.removeprefix("sha256:")[:12]
    fresh("tag", BUSYBOX, "second")
    fresh("tag", short, "registry.example.org:5000/team/third:v1.0")
    header, *rows = fresh("images").lines
    assert header.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert len(rows) == 3
    assert {row.split()[2] for row in rows} == {short}
    assert set(fresh("images", "-q").lines) == {short}
    assert fresh("images", "--no-trunc", "-q", "second").word == identifier
    assert fresh("rmi", "second").lines == ["Untagged: second:latest"]
    refused = fresh("rmi", short, status=1).error_line()
    assert "must be forced" in refused
    lines = fresh("rmi", "-f", short).lines
    assert min(lines).startswith("Deleted: sha256:")
    assert len([line for line in lines if line.startswith("Untagged: ")]) == 2
    assert entries(fresh.root / "images/blobs/sha256") == []
    assert "No such image: second" in fresh("rmi", "second", status=1).error_line()


def test_image_in_use_is_not_removed(fresh: Ocirun, name: str) -> None:
    fresh("create", "--name", name, BUSYBOX, "true")
    refused = fresh("rmi", BUSYBOX, status=1).error_line()
    assert "container" in refused
    assert name[:5] in refused or fresh("ps", "-aq").word in refused
    assert names_of(fresh) == [BUSYBOX]
    fresh("rmi", "-f", BUSYBOX)
    assert fresh("start", "-a", name).status == 0


def test_image_filters_and_formats(fresh: Ocirun) -> None:
    fresh("import", "-c", "LABEL kind=small", "-", "small:v1", input=make_tar([("x", b"1")]))
    assert fresh("images", "--filter", "label=kind=small", "--format", "{{.Repository}}").word == "small"
    assert fresh("images", "--filter", "reference=busy*", "--format", "{{.Tag}}").word == "latest"
    assert fresh("images", "small", "--format", "json").json()["Repository"] == "small"
    assert fresh("images", "nobody", "-q").stdout == ""


def test_history_and_inspect(fresh: Ocirun) -> None:
    header, row = fresh("history", BUSYBOX).lines
    assert header.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert "MB" in row or "kB" in row
    document = fresh.inspect(BUSYBOX)
    assert document["RepoTags"] == [BUSYBOX]
    assert document["Os"] == "linux"
    assert document["Architecture"] in {"amd64", "arm64"}
    assert document["RootFS"]["Type"] == "layers"
    assert document["Size"] > 100_000


@pytest.mark.parametrize("reference", ["UPPER", "a//b", "a:b:c:d", "a@sha256:12", "", "a b", "-x", "a" * 300])
def test_reference_that_is_none(fresh: Ocirun, reference: str) -> None:
    assert fresh("tag", BUSYBOX, reference, status=None).status in {1, 125}


def test_truncated_archives_leave_nothing(fresh: Ocirun, tmp_path: Path) -> None:
    whole = fresh("save", BUSYBOX).output
    fresh("rmi", BUSYBOX)
    for length in (0, 100, 512, 5000, len(whole) // 2, len(whole) - 20000):
        result = fresh("load", input=whole[:length], status=1)
        assert result.error_line()
        assert names_of(fresh) == []
        assert entries(fresh.root / "images/blobs/sha256") == []
    assert fresh("load", input=whole).stdout


def test_altered_blob_is_named(fresh: Ocirun, tmp_path: Path) -> None:
    fresh("save", "--format", "oci-dir", "-o", str(tmp_path / "layout"), BUSYBOX)
    fresh("rmi", BUSYBOX)
    blobs = sorted((tmp_path / "layout/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    for blob in blobs:
        good = blob.read_bytes()
        blob.chmod(0o644)
        blob.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert blob.name[:12] in fresh("load", "-i", str(tmp_path / "layout"), status=1).error_line()
        blob.write_bytes(good)
    assert names_of(fresh) == []
    assert fresh("load", "-i", str(tmp_path / "layout")).stdout


def test_wrong_diff_id_is_found(fresh: Ocirun, tmp_path: Path) -> None:
    """The config promises other bytes than the layer holds: told at the latest when the layer is unpacked."""
    layout = tmp_path / "layout"
    fresh("save", "--format", "oci-dir", "-o", str(layout), BUSYBOX)
    fresh("rmi", BUSYBOX)
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_text())
    config = json.loads((layout / "blobs" / manifest["config"]["digest"].replace(":", "/")).read_text())
    config["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64
    manifest["config"].update(put_blob(layout, config))
    descriptor = index["manifests"][0]
    descriptor.update(put_blob(layout, manifest))
    index["manifests"] = [descriptor]
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "manifest.json").unlink(missing_ok=True)
    loaded = fresh("load", "-i", str(layout), status=None)
    if loaded.status == 0:
        assert "0" * 12 in fresh("run", "--rm", BUSYBOX, "true", status=125).error_line()
        fresh("rmi", "-f", BUSYBOX)
    else:
        assert "0" * 12 in loaded.error_line()


def put_blob(layout: Path, document: object) -> dict[str, object]:
    """Write a JSON blob into a layout and return its digest and size."""
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def test_schema_violation_names_the_path(fresh: Ocirun, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    fresh("save", "--format", "oci-dir", "-o", str(layout), BUSYBOX)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0]["size"] = "many"
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "manifest.json").unlink(missing_ok=True)
    assert "manifests" in fresh("load", "-i", str(layout), status=1).error_line()
    result = fresh("validate", str(layout / "index.json"), status=1)
    assert "size" in result.stdout + result.stderr
    assert fresh("validate", BUSYBOX).status == 0


def test_hostile_layer_stays_inside(fresh: Ocirun, tmp_path: Path) -> None:
    """.., absolute names, links to outside and writes through them: refused, or meant inside the root."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("untouched\n")
    cases: dict[str, list[tuple[str, bytes, str]]] = {
        "dots": [("../" * 12 + f"{victim}/file".lstrip("/"), tarfile.REGTYPE, "")],
        "absolute": [(f"{victim}/file", tarfile.REGTYPE, "")],
        "through-link": [("link", tarfile.SYMTYPE, str(victim)), ("link/file", tarfile.REGTYPE, "")],
        "through-relative-link": [
            ("link", tarfile.SYMTYPE, "../" * 12 + str(victim).lstrip("/")),
            ("link/new", tarfile.REGTYPE, ""),
        ],
        "hard-link": [("hard", tarfile.LNKTYPE, f"{victim}/file"), ("hard", tarfile.REGTYPE, "")],
        "whiteout-through-link": [("link", tarfile.SYMTYPE, str(victim)), ("link/.wh.file", tarfile.REGTYPE, "")],
        "opaque-through-link": [("link", tarfile.SYMTYPE, str(victim)), ("link/.wh..wh..opq", tarfile.REGTYPE, "")],
        "whiteout-dots": [("a/.wh...", tarfile.REGTYPE, "")],
        "root": [("/", tarfile.SYMTYPE, str(victim)), ("file", tarfile.REGTYPE, "")],
    }
    for number, (case, listed) in enumerate(cases.items()):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, kind, target in listed:
                add_other(archive, name, kind, target, 0o644)
        reference = f"hostile-{number}"
        result = fresh("import", "-", reference, input=stream.getvalue(), status=None)
        if result.status == 0:
            result = fresh("run", "--rm", reference, "/nothing", status=None)
        assert result.error_line(), case
        assert entries(victim) == ["file"], case
        assert (victim / "file").read_text() == "untouched\n", case
        assert (victim / "file").stat().st_nlink == 1, case


def test_layers_of_all_kinds_of_files(fresh: Ocirun, import_kinds: str) -> None:
    script = (
        "cat /long/$(printf '%0120d' 0)/name; cat /hard /hard-2; readlink /soft; ls -ln /fifo | cut -c1; stat -c %a /setuid;"
        "stat -c %Y /old; test -s /sparse && stat -c %s /sparse; test ! -e /gone && echo whiteout works"
    )
    lines = fresh("run", "--rm", import_kinds, "sh", "-c", script).lines
    assert lines == ["long name", "linked", "linked", "hard", "p", "4755", "12345", "1000000", "whiteout works"]


@pytest.fixture
def import_kinds(fresh: Ocirun, busybox_archive: Path) -> str:
    """An image with a file of every kind."""
    stream = io.BytesIO(busybox_archive.read_bytes())
    with tarfile.open(fileobj=stream, mode="a", format=tarfile.PAX_FORMAT) as archive:
        for name, data, mode in (
            (f"long/{0:0120d}/name", b"long name\n", 0o644),
            ("hard", b"linked\n", 0o644),
            ("setuid", b"", 0o4755),
            ("old", b"", 0o644),
            ("sparse", b"\0" * 1_000_000, 0o644),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, 12345.25
            archive.addfile(member, io.BytesIO(data))
        add_other(archive, "hard-2", tarfile.LNKTYPE, "hard")
        add_other(archive, "soft", tarfile.SYMTYPE, "hard")
        add_other(archive, "fifo", tarfile.FIFOTYPE)
    fresh("import", "-c", "ENV PATH=/bin", "-", "kinds", input=stream.getvalue())
    return "kinds"
