"""Removal of directories whose files may belong to subordinate ids.

What goes is first renamed into <root>/tmp, so that it vanishes at once and a crash leaves only garbage for prune;
then a task removes it, inside the user namespace where those ids are ours.
"""

import os

from ocirun.errors import OcirunError, StorageError
from ocirun.files import storage_error
from ocirun.image.staging import Staging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocirun.engine.context import Engine


class Discarded:
    """Directories that wait for their removal, most often out of sight already."""

    __slots__ = ("_engine", "_paths", "_staging")

    def __init__(self, engine: "Engine", paths: "list[str]", staging: "Staging | None") -> None:
        self._engine = engine
        self._paths = paths
        self._staging = staging

    def finish(self) -> None:
        """Remove them. Raises StorageError; what could not be removed stays for prune."""
        try:
            for path in self._paths:
                remove_tree(self._engine, path)
        finally:
            if self._staging is not None:
                self._staging.remove()


def discard(engine: "Engine", paths: "list[str]") -> Discarded:
    """Take `paths` (of the same file system as the root) out of sight; missing ones are passed over. Raises StorageError.

    A disk that is so full that no directory can be made is no reason to refuse: then `finish` removes them where they are.
    """
    engine.prepare()
    try:
        staging = Staging(engine.temporary_directory)
    except StorageError:
        return Discarded(engine, paths, None)
    for index, path in enumerate(paths):
        try:
            os.rename(path, f"{staging.path}/{index}")
        except FileNotFoundError:
            continue
        except OSError as error:
            staging.remove()
            raise storage_error(error, f"remove {path}") from error
    return Discarded(engine, [staging.path], staging)


def remove_tree(engine: "Engine", path: str) -> None:
    """Remove `path` and all below it, whoever of the container's ids owns it; success also when it is not there.

    Raises StepError, HostError.
    """
    if not os.path.lexists(path):
        return
    if _remove_own(path):
        return
    from ocirun.engine.tasks import run_task
    from ocirun.runtime.steps import Step

    try:
        run_task(engine, engine.maps, [Step("remove_tree", path)])
    except OcirunError:
        # Where user namespaces are switched off, what never ran has only files of our own.
        import shutil

        shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path):
            raise


def _remove_own(path: str) -> bool:
    """Remove a small tree that is all ours without starting a process; False when the task has to do it."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    return False
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        os.rmdir(path)
    except OSError:
        return False
    return True
