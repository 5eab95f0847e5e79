"""Fixtures of the system tests: a store with busybox in it, a fresh store, and the id mode that the run is in."""

import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness import (
    BUSYBOX,
    MODE,
    Ocirun,
    add_file,
    busybox_path,
    busybox_tar,
    leftovers,
    new_directory,
    remove_directory,
)


def pytest_report_header() -> str:
    """Say which mode this is; the counts of machine.py are by mode."""
    return f"id mode: {MODE}"


def pytest_configure(config: pytest.Config) -> None:
    """Slow kinds run only when asked for by name."""
    if not config.option.markexpr:
        config.option.markexpr = "not soak"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with its reason, what this mode cannot show."""
    wanted = {
        "ranges": MODE == "ranges",
        "single": MODE == "single",
        "root": MODE == "root",
        "rootless": MODE != "root",
    }
    reasons = {
        "ranges": "needs subordinate ids and newuidmap",
        "single": "shows what happens without newuidmap",
        "root": "needs root",
        "rootless": "shows what an ordinary user has",
    }
    for item in items:
        for mark, fits in wanted.items():
            if item.get_closest_marker(mark) and not fits:
                item.add_marker(pytest.mark.skip(reason=f"{reasons[mark]} (id mode {MODE})"))


@pytest.fixture(scope="session")
def mode() -> str:
    """The id mode of this run: ranges, single or root."""
    return MODE


@pytest.fixture(scope="session")
def busybox_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of a root file system with busybox."""
    if not busybox_path():
        pytest.skip("no statically linked busybox on PATH (install busybox-static)")
    path = tmp_path_factory.mktemp("busybox") / "busybox.tar"
    path.write_bytes(busybox_tar())
    return path


def import_busybox(ocirun: Ocirun, archive: Path) -> None:
    """Make the image busybox:latest in a store."""
    ocirun("import", "-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin:/usr/bin", str(archive), BUSYBOX)


@pytest.fixture(scope="session")
def store(busybox_archive: Path) -> Iterator[Ocirun]:
    """One store for all tests of containers, with the image busybox."""
    directory = new_directory()
    ocirun = Ocirun(directory)
    import_busybox(ocirun, busybox_archive)
    yield ocirun
    remove_directory(directory)


@pytest.fixture
def ocirun(store: Ocirun) -> Iterator[Ocirun]:
    """The CLI on the common store. Afterwards its containers are removed, and nothing of them may be left."""
    yield store
    store.remove_all()
    assert leftovers(store) == {}


@pytest.fixture
def empty() -> Iterator[Ocirun]:
    """The CLI on a store of its own with nothing in it."""
    directory = new_directory()
    ocirun = Ocirun(directory)
    yield ocirun
    ocirun.remove_all()
    found = leftovers(ocirun)
    remove_directory(directory)
    assert found == {}


@pytest.fixture
def fresh(empty: Ocirun, busybox_archive: Path) -> Ocirun:
    """The CLI on a store of its own with busybox in it."""
    import_busybox(empty, busybox_archive)
    return empty


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A container name that says which test it belongs to."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:60].strip("-")


@pytest.fixture
def import_tar(ocirun: Ocirun) -> Iterator[Callable[..., str]]:
    """Make an image of busybox and further files: import_tar({"path": b"content"}, "-c", "CMD x") -> reference."""
    made: list[str] = []

    def make(files: dict[str, bytes], *options: str, modes: dict[str, int] | None = None) -> str:
        stream = io.BytesIO(busybox_tar())
        with tarfile.open(fileobj=stream, mode="a") as archive:
            for path, data in files.items():
                add_file(archive, path, data, (modes or {}).get(path, 0o644))
        reference = f"made-{len(made)}:latest"
        ocirun("import", "-c", "ENV PATH=/bin:/usr/bin", *options, "-", reference, input=stream.getvalue())
        made.append(reference)
        return reference

    yield make
    ocirun.remove_all()
    for reference in made:
        ocirun("rmi", "-f", reference)
