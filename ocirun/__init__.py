"""ocirun: a rootless OCI container engine, runtime and image tool."""

__version__ = "0.1.0"
