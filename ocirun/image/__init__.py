"""The image store: an OCI layout on disk, what comes in, what goes out, unpacked layers."""
