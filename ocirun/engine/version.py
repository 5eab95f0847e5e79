"""`version`: what this is, in the shape of docker's version document."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocirun.engine.context import Engine


def version_document(engine: "Engine") -> "dict[str, Any]":
    """Client and Server (they are one program) as docker's `version --format` templates know them."""
    import platform

    from ocirun import __version__

    host = engine.host
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(host.architecture, host.architecture)
    common = {"Version": __version__, "Os": "linux", "Arch": architecture}
    client = {
        "Platform": {"Name": "ocirun"},
        **common,
        "PythonVersion": platform.python_version(),
        "Context": "default",
    }
    components = [
        {
            "Name": "ocirun",
            "Version": __version__,
            "Details": {"IdMode": host.id_mode, "Python": platform.python_version()},
        },
        {"Name": "Linux", "Version": host.kernel_release, "Details": {}},
    ]
    server = {"Platform": {"Name": "ocirun"}, "Components": components, **common, "KernelVersion": host.kernel_release}
    return {"Client": client, "Server": server}
