"""Files that appear whole: JSON of what is no UTF-8."""

import json
import os
from pathlib import Path

from ocirun.files import json_bytes, write_json


def test_json_is_utf8_and_compact() -> None:
    assert json_bytes({"é": [1, "ß"]}) == '{"é":[1,"ß"]}'.encode()


def test_what_is_no_utf8_comes_back_as_it_was(tmp_path: Path) -> None:
    name = os.fsdecode(b"/d\xff\xe9")
    write_json(f"{tmp_path}/record", {"source": name})
    data = (tmp_path / "record").read_bytes()
    assert data.decode("ascii") == '{"source":"/d\\udcff\\udce9"}'
    assert os.fsencode(json.loads(data)["source"]) == b"/d\xff\xe9"
