"""The index as a pure value: names come, move and go."""

from typing import Any

import pytest

from ocirun.errors import InvalidError
from ocirun.image import index
from ocirun.oci.reference import Reference

ONE: Any = {"mediaType": "a/b", "digest": "sha256:" + 64 * "1", "size": 1, "annotations": {index.IMAGE_ID: "x"}}
TWO: Any = {"mediaType": "a/b", "digest": "sha256:" + 64 * "2", "size": 1}


def ref(text: str) -> Reference:
    return Reference.parse(text).with_default_tag()


def ref_names(descriptors: Any) -> list[tuple[str, str]]:
    """(beginning of the digest, name) of each entry."""
    return [(entry["digest"][7], index.annotation(entry, index.REF_NAME)) for entry in descriptors]


def test_docker_io_has_two_entries_and_others_one() -> None:
    entries = index.add_name([], ONE, ref("debian:12"))
    assert ref_names(entries) == [("1", "debian:12"), ("1", "docker.io/library/debian:12")]
    entries = index.add_name(entries, TWO, ref("quay.io/x"))
    assert ref_names(entries)[2:] == [("2", "quay.io/x:latest")]
    assert {index.annotation(entry, index.FULL_NAME) for entry in entries} == {
        "docker.io/library/debian:12",
        "quay.io/x:latest",
    }


def test_a_name_moves_and_the_old_image_stays_without_one() -> None:
    entries = index.add_name([], ONE, ref("x"))
    entries = index.add_name(entries, TWO, ref("docker.io/library/x"))
    assert ref_names(entries) == [("1", ""), ("2", "x:latest"), ("2", "docker.io/library/x:latest")]
    entries = index.add_name(entries, ONE, ref("y"))
    assert ("1", "") not in ref_names(entries)


def test_the_last_name_leaves_one_entry() -> None:
    entries = index.add_name(index.add_name([], ONE, ref("x")), ONE, ref("y"))
    entries = index.remove_name(entries, ref("x"))
    assert ref_names(entries) == [("1", "y:latest"), ("1", "docker.io/library/y:latest")]
    entries = index.remove_name(entries, ref("y"))
    assert ref_names(entries) == [("1", "")]
    assert index.annotation(entries[0], index.IMAGE_ID) == "x"
    assert index.remove_name(entries, ref("y")) == entries
    assert index.remove_manifest(entries, ONE["digest"]) == []


def test_add_unnamed_once() -> None:
    entries = index.add_unnamed([], TWO)
    assert index.add_unnamed(entries, TWO) == entries == [{**TWO, "annotations": {}}]


def test_names_written_by_other_tools() -> None:
    entries: Any = [
        {**ONE, "annotations": {index.REF_NAME: "docker.io/debian"}},
        {**TWO, "annotations": {index.REF_NAME: "Not A Reference"}},
        {**TWO, "annotations": None},
    ]
    assert index.find_name(entries, ref("debian")) is entries[0]
    assert index.find_name(entries, ref("debian:13")) is None
    assert [str(name) for name in index.names(entries)] == ["docker.io/library/debian:latest"]
    assert index.remove_name(entries, ref("debian"))[-1]["annotations"] == {}


def test_layer_sizes() -> None:
    digests = ["sha256:" + 64 * "a", "sha256:" + 64 * "b"]
    text = index.layer_sizes_text(digests, [5, 7])
    entry: Any = {**ONE, "annotations": {index.LAYER_SIZES: text + " junk x=y"}}
    sizes = index.known_layer_sizes([entry])
    assert [index.layer_size(sizes, digest) for digest in [*digests, "sha256:" + 64 * "c"]] == [5, 7, None]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"manifests": {}},
        {"manifests": [1]},
        {"manifests": [{}]},
        {"manifests": [{**ONE, "digest": "sha256:../../x"}]},
        {"manifests": [{**ONE, "size": "1"}]},
        {"manifests": [{**ONE, "annotations": []}]},
        {"manifests": [{**ONE, "annotations": "x"}]},
    ],
)
def test_a_damaged_index(document: object) -> None:
    if document == {"manifests": [{**ONE, "annotations": []}]}:
        # What Go would write for no annotations at all.
        index.check_descriptors(document, "it")
        return
    with pytest.raises(InvalidError, match="it is damaged"):
        index.check_descriptors(document, "it")
