"""An engine on a directory whose layers are unpacked without privileges."""

import json
import shutil
from pathlib import Path
from typing import Any

from ocirun.engine.context import Engine
from ocirun.engine.settings import default_settings
from ocirun.image.layers import Layers
from tests.unit.image.archives import extract


class PlainEngine(Engine):
    """The real engine but for the id maps: layers have the owners of who runs the tests."""

    def __init__(self, directory: Path) -> None:
        environment = {"OCIRUN_ROOT": f"{directory}/root", "OCIRUN_RUNROOT": f"{directory}/run", "HOME": str(directory)}
        super().__init__(default_settings(environment, 1000))

    @property
    def layers(self) -> Layers:
        return self.layers_in("plain")

    def layers_in(self, key: str) -> Layers:
        return Layers(f"{self.layers_directory}/{key}", extract, shutil.rmtree)

    def add_container(
        self, container_id: str, image_id: str, layers: "list[str]", state: "dict[str, Any] | None" = None
    ) -> None:
        """A record as `create` writes it, as far as images are concerned."""
        self.prepare()
        directory = Path(self.container_directory(container_id))
        directory.mkdir()
        record = {
            "id": container_id,
            "name": container_id[:5],
            "image_id": image_id,
            "layers": layers,
            "created": "2026-01-01T00:00:00Z",
        }
        (directory / "container.json").write_text(json.dumps(record))
        if state is not None:
            (directory / "state.json").write_text(json.dumps(state))
