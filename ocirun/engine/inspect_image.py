"""`inspect` of images: the document that docker 28 prints."""

from ocirun.image import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine
    from ocirun.image.image import Image
    from ocirun.oci.platform import Platform

_NEVER = "0001-01-01T00:00:00Z"
# docker's order of the execution parameters; those in the second list are left out when they are empty.
_ALWAYS = ("User", "Env", "Cmd", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels")
_SOMETIMES = ("ExposedPorts", "ArgsEscaped", "Healthcheck", "StopSignal", "StopTimeout", "Shell")
_TEXTS = ("User", "WorkingDir")


def image_document(engine: "Engine", name: str, platform: "Platform | None" = None) -> "dict[str, Any]":
    """The document of one image, by name, id or beginning of an id. Raises NotFoundError, InvalidError."""
    from ocirun.engine.image_sizes import image_size

    descriptors = engine.store.descriptors()
    found = engine.store.resolve(name, platform)
    same = [entry for entry in descriptors if engine.store.image_id(entry) == found.id]
    image = engine.store.image(found.descriptor, same)
    names = index.names(same)
    config = image.config
    document: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": [name.familiar for name in names if name.tag],
        "RepoDigests": [f"{name.familiar_name}@{name.digest}" for name in names if name.digest],
        "Parent": "",
        "Comment": _last_comment(image),
        "Created": config.get("created") or _NEVER,
        "DockerVersion": config.get("docker_version") or "",
        "Author": config.get("author") or "",
        "Config": execution_document(image),
        "Architecture": config["architecture"],
    }
    if config.get("variant"):
        document["Variant"] = config["variant"]
    document["Os"] = config["os"]
    if config.get("os.version"):
        document["OsVersion"] = config["os.version"]
    document["Size"] = image_size(image, descriptors)
    document["GraphDriver"] = _graph_driver(engine, image)
    document["RootFS"] = {"Type": "layers", "Layers": list(image.diff_ids)}
    document["Metadata"] = {"LastTagTime": _last_tag_time(same)}
    document["Descriptor"] = {key: image.descriptor[key] for key in ("mediaType", "digest", "size")}
    return document


def execution_document(image: "Image") -> "dict[str, Any]":
    """The image's execution parameters with docker's keys, also those that are empty."""
    execution: dict[str, Any] = {**image.execution}
    document: dict[str, Any] = {}
    for key in _ALWAYS:
        document[key] = execution.get(key) or ("" if key in _TEXTS else None)
    for key in _SOMETIMES:
        if execution.get(key):
            document[key] = execution[key]
    return document


def _last_comment(image: "Image") -> str:
    history = image.config.get("history") or []
    return (history[-1].get("comment") or "") if history else ""


def _graph_driver(engine: "Engine", image: "Image") -> "dict[str, Any]":
    """Where the layers are unpacked, in the words of docker's overlay2."""
    layers = engine.layers
    paths = [layers.path(chain_id) for chain_id in reversed(image.chain_ids) if layers.has(chain_id)]
    if len(paths) < len(image.chain_ids) or not paths:
        return {"Data": None, "Name": "overlay"}
    data = {"UpperDir": paths[0]}
    if len(paths) > 1:
        data["LowerDir"] = ":".join(paths[1:])
    return {"Data": data, "Name": "overlay"}


def _last_tag_time(entries: "list[Any]") -> str:
    times = [index.annotation(entry, index.TAGGED) for entry in entries]
    return max(times) or _NEVER
