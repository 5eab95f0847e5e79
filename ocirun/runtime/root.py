"""The root file system of a container as data: where it is, and which overlays make it."""

# `userxattr` keeps overlay's marks in user.overlay.*, which a user may write; rootful does the same, so that layers and
# uppers look alike everywhere.
OVERLAY_OPTIONS = "userxattr"
# For a container that is removed when it ends: nothing is synced to disk when the overlay goes.
VOLATILE_OPTIONS = "userxattr,volatile"


class Overlay:
    """One overlay mount.

    `target` is the path inside the container. `lowers` are host paths, the uppermost first. `upper` and `work` are host
    paths. With `prepare` the two are made by the plan, inside the user namespace and owned by the container's root, where
    the caller could not give them to that id itself; the upper, whose attributes the merged directory shows, with `mode`.
    """

    __slots__ = ("lowers", "mode", "options", "prepare", "target", "upper", "work")

    def __init__(
        self,
        target: str,
        lowers: "list[str]",
        upper: str,
        work: str,
        *,
        options: str = OVERLAY_OPTIONS,
        prepare: bool = False,
        mode: int = 0o755,
    ) -> None:
        self.target = target
        self.lowers = lowers
        self.upper = upper
        self.work = work
        self.options = options
        self.prepare = prepare
        self.mode = mode


class RootFilesystem:
    """A container's root at the host path `path`.

    Without overlays it is that directory itself (a bundle's rootfs). With overlays, the first one has the target "/" and
    is mounted on `path`; the others come on top of it in order, as the image `host` has one for each top-level directory.
    """

    __slots__ = ("overlays", "path")

    def __init__(self, path: str, overlays: "list[Overlay] | None" = None) -> None:
        self.path = path
        self.overlays = overlays or []
        if self.overlays and self.overlays[0].target != "/":
            raise ValueError(f"the first overlay of {path} is on {self.overlays[0].target}, not on /")
