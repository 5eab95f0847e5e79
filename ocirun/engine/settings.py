"""Where ocirun keeps its things: one immutable value, made by a door and handed down every call."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings:
    """The directories of one store, and whether errors show their details.

    `root` holds what lasts, `runroot` what a reboot may lose; both are absolute paths that need not exist yet.
    `search_path` is where helpers such as newuidmap are looked for ($PATH), `home` the user's home directory,
    `layer_limits` how far a layer may blow up, as text (ocirun/image/limits.py).
    """

    __slots__ = ("debug", "home", "layer_limits", "root", "runroot", "search_path")

    def __init__(
        self,
        root: str,
        runroot: str,
        *,
        search_path: str = "",
        home: str = "",
        layer_limits: str = "",
        debug: bool = False,
    ) -> None:
        self.root = root
        self.runroot = runroot
        self.search_path = search_path
        self.home = home
        self.layer_limits = layer_limits
        self.debug = debug


def default_settings(environment: "Mapping[str, str]", uid: int) -> Settings:
    """The settings of user `uid` as the XDG base directory specification and OCIRUN_ROOT, OCIRUN_RUNROOT place them."""
    home = environment.get("HOME", "")
    if not home.startswith("/"):
        home = _home_of(uid)
    root = environment.get("OCIRUN_ROOT", "")
    if not root:
        # The specification says that a relative value is to be ignored.
        data = environment.get("XDG_DATA_HOME", "")
        data = data if data.startswith("/") else f"{home}/.local/share"
        root = "/var/lib/ocirun" if uid == 0 else f"{data}/ocirun"
    runroot = environment.get("OCIRUN_RUNROOT", "")
    if not runroot:
        runtime = environment.get("XDG_RUNTIME_DIR", "")
        if uid == 0:
            runroot = "/run/ocirun"
        elif runtime.startswith("/"):
            runroot = f"{runtime}/ocirun"
        else:
            # Its owner is checked before anything is put there (Engine.prepare_runroot).
            runroot = f"/tmp/ocirun-{uid}"
    return Settings(
        root,
        runroot,
        search_path=environment.get("PATH", ""),
        home=home,
        layer_limits=environment.get("OCIRUN_LAYER_LIMITS", ""),
    )


def _home_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"
