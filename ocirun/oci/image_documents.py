"""The JSON documents of the image spec as types. Never imported at run time: `typing` costs 3 ms."""

from typing import Any, Required, TypedDict

Platform = TypedDict(
    "Platform",
    {"architecture": str, "os": str, "os.version": str, "os.features": list[str], "variant": str},
    total=False,
)


class Descriptor(TypedDict, total=False):
    """A descriptor (descriptor.md), with the `platform` of an index entry."""

    mediaType: Required[str]
    digest: Required[str]
    size: Required[int]
    urls: list[str]
    annotations: dict[str, str]
    data: str
    artifactType: str
    platform: Platform


class Manifest(TypedDict, total=False):
    """An image manifest (manifest.md), also docker's schema 2."""

    schemaVersion: Required[int]
    mediaType: str
    artifactType: str
    config: Required[Descriptor]
    layers: Required[list[Descriptor]]
    subject: Descriptor
    annotations: dict[str, str]


class Healthcheck(TypedDict, total=False):
    """docker's extension of the execution parameters; times in nanoseconds."""

    Test: list[str]
    Interval: int
    Timeout: int
    StartPeriod: int
    StartInterval: int
    Retries: int


class ExecutionConfig(TypedDict, total=False):
    """The execution parameters of an image (config.md, `config`), with docker's extensions."""

    User: str
    ExposedPorts: "dict[str, dict[str, Any]] | None"
    Env: "list[str] | None"
    Entrypoint: "list[str] | None"
    Cmd: "list[str] | None"
    Volumes: "dict[str, dict[str, Any]] | None"
    WorkingDir: str
    Labels: "dict[str, str] | None"
    StopSignal: str
    StopTimeout: int
    ArgsEscaped: bool
    Healthcheck: "Healthcheck | None"
    OnBuild: "list[str] | None"
    Shell: "list[str] | None"


class RootFilesystem(TypedDict):
    """The layers by the digests of their uncompressed tars, bottom first."""

    type: str
    diff_ids: list[str]


class History(TypedDict, total=False):
    """How one layer, or one step without a layer, came to be."""

    created: str
    author: str
    created_by: str
    comment: str
    empty_layer: bool


ImageConfig = TypedDict(
    "ImageConfig",
    {
        "created": str,
        "author": str,
        "architecture": Required[str],
        "os": Required[str],
        "os.version": str,
        "os.features": list[str],
        "variant": str,
        "config": "ExecutionConfig | None",
        "rootfs": Required[RootFilesystem],
        "history": "list[History] | None",
        "docker_version": str,
    },
    total=False,
)
