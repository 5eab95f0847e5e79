"""`diff`: what a container's program changed, read from the overlays' upper directories."""

import os

from ocirun.engine.base import overlay_places
from ocirun.engine.tasks import FIRST_DESCRIPTOR, run_task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine
    from ocirun.engine.records import Container
    from ocirun.runtime.id_maps import IdMaps
    from ocirun.runtime.steps import Step

_RESTORE_OWNERS = 1


def container_changes(engine: "Engine", container: "Container") -> "list[tuple[str, str]]":
    """(kind, path) of each change, by path; kind is "A" added, "C" changed or "D" deleted. Raises StepError."""
    output = os.memfd_create("changes", os.MFD_CLOEXEC)
    try:
        step = changes_step("list_changes", container)
        run_task(engine, container_maps(engine, container), [step], {FIRST_DESCRIPTOR: output})
        with open(os.dup(output), "rb") as file:
            file.seek(0)
            data = file.read()
    finally:
        os.close(output)
    found = [(chr(record[0]), os.fsdecode(record[1:])) for record in data.split(b"\0") if record]
    return sorted(found, key=lambda change: change[1])


def changes_step(kind: str, container: "Container") -> "Step":
    """The step `kind` ("list_changes", "tar_changes") over all trees of the container; output goes to FIRST_DESCRIPTOR."""
    from ocirun.runtime.steps import Step

    record = container.record
    places = overlay_places(container.directory, record)
    prefixes = ["", *(path.lstrip("/") for path, _ in record["trees"])]
    counts = [len(lowers) for _, _, lowers in places]
    words = []
    for prefix, (upper, _, lowers) in zip(prefixes, places, strict=True):
        words += [prefix, upper, *lowers]
    return Step(kind, FIRST_DESCRIPTOR, _RESTORE_OWNERS, *counts, *words)


def container_maps(engine: "Engine", container: "Container") -> "IdMaps":
    """The maps that the container's files are owned by."""
    from ocirun.engine.start import load_config
    from ocirun.runtime.id_maps import maps_of

    if not container.record["foreign_root"]:
        return engine.maps
    return maps_of(load_config(container))
