"""The files of a container that follow its network: hosts, hostname and resolv.conf, bind mounted over the image's."""

import os

from ocirun.files import write_file

NAMES = ("hosts", "hostname", "resolv.conf")

_LOCALHOST = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def write_network_files(directory: str, hostname: str, network: str, hosts: "list[str]") -> None:
    """Write the three files into the container's `directory`.

    With network "host" they are the machine's own; `hosts` are "name:address" words added at the end. Raises StorageError.
    """
    text = _read("/etc/hosts") if network == "host" else b""
    if not text:
        # With no address but loopback's, that is where the container's own name leads.
        text = f"{_LOCALHOST}127.0.0.1\t{hostname}\n".encode()
    for word in hosts:
        name, _, address = word.partition(":")
        text += f"{address}\t{name}\n".encode()
    for name, content in zip(NAMES, (text, f"{hostname}\n".encode(), _read("/etc/resolv.conf")), strict=True):
        write_file(f"{directory}/{name}", content, durable=False)
        # Every user of the container reads them, whatever the umask out here.
        os.chmod(f"{directory}/{name}", 0o644)


def network_files(directory: str) -> "dict[str, str]":
    """Target in the container -> path on the host, of the files of the container at `directory`."""
    return {f"/etc/{name}": f"{directory}/{name}" for name in NAMES}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""
