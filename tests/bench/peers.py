"""ocirun and the peers of this machine, each with a store of its own, behind the same few verbs."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

TRUE = "/bin/true"


def call(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command that must succeed; its output."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout


def remove(directory: Path) -> None:
    """Remove a store with all that subordinate ids own in it."""
    subprocess.run(
        ["unshare", "--map-root-user", "--map-auto", "rm", "-rf", str(directory)], check=False, capture_output=True
    )
    shutil.rmtree(directory, ignore_errors=True)


class Engine:
    """What ocirun and podman have in common: docker's grammar."""

    name = ""
    monitor = ""

    def __init__(self, directory: Path) -> None:
        self.base = directory
        self.number = 0
        self.new_store()
        self.environment = dict(os.environ)

    def command(self, *words: str) -> list[str]:
        """The command line of these words."""
        raise NotImplementedError

    def call(self, *words: str) -> str:
        """Run these words; the output."""
        return call(self.command(*words), self.environment)

    def load_plain(self, archive: Path) -> None:
        """Make the image busybox of a plain tar."""
        self.call("import", str(archive), "busybox:latest")

    def load(self, archive: Path) -> None:
        """Load an image archive."""
        self.call("load", "-i", str(archive))

    def run_true(self, image: str = "busybox:latest") -> None:
        """One container that does nothing, from its start to its removal."""
        words = [TRUE] if image.startswith("busybox") else ["/bench/true", "true"]
        self.call("run", "--rm", "--network", "none", *self.entrypoint(image), image, *words[1:] or words)

    def entrypoint(self, image: str) -> list[str]:
        """Flags that make the program of the big image its busybox."""
        return [] if image.startswith("busybox") else ["--entrypoint", "/bench/true"]

    def saver(self, path: Path, image: str) -> Callable[[], None]:
        """A function that saves the image as an OCI archive."""

        def save() -> None:
            path.unlink(missing_ok=True)
            self.call("save", *self.save_flags(), "-o", str(path), image)

        return save

    def save_flags(self) -> list[str]:
        """What makes save write an OCI archive."""
        return []

    def create(self) -> None:
        """One more container."""
        self.call("create", "--network", "none", "busybox:latest", TRUE)

    def list_all(self) -> None:
        """List all containers."""
        self.call("ps", "-a")

    def monitor_pss(self) -> float:
        """The PSS in kB of what watches a detached container."""
        identifier = self.call("run", "-d", "--network", "none", "busybox:latest", "/bin/sleep", "600").strip()
        pid = self.call("inspect", "--format", "{{.State.Pid}}", identifier).strip()
        parent = re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]
        value = re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{parent}/smaps_rollup").read_text(), re.MULTILINE)[0]
        self.call("rm", "-f", identifier)
        return float(value)

    def new_store(self) -> None:
        """Go on in an empty store.

        The one before is removed at the very end: ext4 does not reuse an inode for some seconds after its file was deleted, and looks at
        all of those for each new file, so whoever creates files right after a removal pays for it.
        """
        self.number += 1
        self.directory = self.base / str(self.number)
        self.directory.mkdir(parents=True)

    def close(self) -> None:
        """Remove all stores."""
        remove(self.base)


class Ocirun(Engine):
    """The checkout, as the console script runs it."""

    name = "ocirun"
    monitor = "ocirun-init"

    def command(self, *words: str) -> list[str]:
        script = Path(sys.executable).with_name("ocirun")
        program = [str(script)] if script.exists() else [sys.executable, "-m", "ocirun"]
        return [*program, "--root", f"{self.directory}/root", "--runroot", f"{self.directory}/run", *words]


class Podman(Engine):
    """podman with native overlay and a store of its own."""

    name = "podman"
    monitor = "conmon"

    def command(self, *words: str) -> list[str]:
        flags = [
            "--root",
            f"{self.directory}/root",
            "--runroot",
            f"{self.directory}/run",
            "--cgroup-manager",
            "cgroupfs",
        ]
        return ["podman", *flags, "--storage-driver", "overlay", "--events-backend", "file", *words]

    def save_flags(self) -> list[str]:
        return ["--format", "oci-archive"]

    def run_true(self, image: str = "busybox:latest") -> None:
        super().run_true(image if image.startswith("busybox") else f"docker.io/library/{image}")

    def entrypoint(self, image: str) -> list[str]:
        return [] if image.startswith("busybox") else ["--entrypoint", "/bench/true"]

    def saver(self, path: Path, image: str) -> Callable[[], None]:
        return super().saver(path, f"docker.io/library/{image}")


def engines(directory: Path) -> list[Engine]:
    """First ocirun, then podman where it is installed."""
    found: list[Engine] = [Ocirun(directory / "ocirun")]
    if shutil.which("podman"):
        found.append(Podman(directory / "podman"))
    return found


def bundles(directory: Path, archive: Path) -> dict[str, Callable[[], None]]:
    """Functions that run a bundle of busybox with each OCI runtime that is installed."""
    found: dict[str, Callable[[], None]] = {}
    for name in ("crun", "runc"):
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if path:
            bundle = directory / name
            make_bundle(path, bundle, archive)
            found[f"{name} run of a bundle"] = bundle_runner(path, bundle)
    return found


def make_bundle(runtime: str, bundle: Path, archive: Path) -> None:
    """Unpack busybox and let the runtime write its own rootless config."""
    (bundle / "rootfs").mkdir(parents=True)
    call(["tar", "-C", str(bundle / "rootfs"), "-xf", str(archive)])
    subprocess.run([runtime, "spec", "--rootless"], cwd=bundle, check=True, capture_output=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(args=[TRUE], terminal=False)
    (bundle / "config.json").write_text(json.dumps(config))


def bundle_runner(runtime: str, bundle: Path) -> Callable[[], None]:
    """A function that runs the bundle once."""
    number = iter(range(1_000_000))

    def run() -> None:
        call([runtime, "--root", f"{bundle}/state", "run", "--bundle", str(bundle), f"bench-{next(number)}"])

    return run
