"""Every command: the module of `ocirun.cli` that is loaded when it is named, and the sentence that help shows.

A module holds `VERB` (ocirun.cli.options.Verb) and `execute(engine, flags, arguments)`. Only the named one is imported.
"""

# fmt: off
COMMANDS: "dict[str, tuple[str, str]]" = {
    "run": ("run", "Make a container from an image and run it"),
    "exec": ("exec", "Run one more command in a running container"),
    "ps": ("ps", "List containers"),
    "images": ("images", "List images"),
    "attach": ("attach", "Connect this terminal to a running container"),
    "commit": ("commit", "Make an image from the changes of a container"),
    "create": ("create", "Make a container without starting it"),
    "diff": ("diff", "List what a container changed in its file system"),
    "history": ("history", "Show how an image was made"),
    "import": ("import_image", "Make an image from a tar of a file system"),
    "info": ("info", "Show this machine and this store as ocirun sees them"),
    "inspect": ("inspect", "Show all that is known of containers, images and volumes"),
    "kill": ("kill", "Send a signal to running containers"),
    "load": ("load", "Read images from an archive"),
    "logs": ("logs", "Show the output of a container"),
    "rm": ("rm", "Remove containers"),
    "rmi": ("rmi", "Remove images"),
    "save": ("save", "Write images to an archive"),
    "start": ("start", "Start containers that do not run"),
    "stop": ("stop", "Stop running containers"),
    "tag": ("tag", "Give an image one more name"),
    "validate": ("validate", "Check an image, or a file, against the OCI specifications"),
    "version": ("version", "Show the versions of ocirun and of what it uses"),
    "wait": ("wait", "Wait until containers stop, and print their exit codes"),
}

GROUPS: "dict[str, tuple[str, dict[str, tuple[str, str]]]]" = {
    "container": ("Work with containers", {
        **{name: COMMANDS[name] for name in (
            "attach", "commit", "create", "diff", "exec", "kill", "logs", "rm", "run", "start", "stop", "wait",
        )},
        "inspect": ("container_inspect", "Show all that is known of containers"),
        "ls": COMMANDS["ps"],
        "prune": ("container_prune", "Remove all containers that do not run"),
    }),
    "image": ("Work with images", {
        **{name: COMMANDS[name] for name in ("history", "import", "load", "save", "tag")},
        "inspect": ("image_inspect", "Show all that is known of images"),
        "ls": COMMANDS["images"],
        "prune": ("image_prune", "Remove images that have no name"),
        "rm": COMMANDS["rmi"],
    }),
    "system": ("Work with the whole store", {
        "info": COMMANDS["info"],
        "prune": ("system_prune", "Remove what nothing uses"),
    }),
    "volume": ("Work with volumes", {
        "create": ("volume_create", "Make a volume"),
        "inspect": ("volume_inspect", "Show all that is known of volumes"),
        "ls": ("volume_ls", "List volumes"),
        "prune": ("volume_prune", "Remove volumes that no container uses"),
        "rm": ("volume_rm", "Remove volumes"),
    }),
}
# fmt: on

# Other words for members of groups, as docker has them.
SYNONYMS: "dict[str, dict[str, str]]" = {
    "container": {"list": "ls", "ps": "ls", "remove": "rm"},
    "image": {"list": "ls", "remove": "rm"},
    "volume": {"list": "ls", "remove": "rm"},
}

# What docker has and ocirun has not yet: known words get a better answer than unknown ones.
LATER = frozenset(
    "build builder buildx checkpoint compose context cp events export login logout manifest network pause plugin port pull push "
    "rename restart search stats top unpause update config node secret service stack swarm trust df".split()
)


def find(words: "list[str]") -> "tuple[str, str, list[str]]":
    """The path ("ocirun container ls"), the module ("" for a group alone) and the words after it. Raises UsageError."""
    name = words[0]
    if name in COMMANDS:
        return f"ocirun {name}", COMMANDS[name][0], words[1:]
    if name not in GROUPS:
        raise unknown_command("ocirun", name, [*COMMANDS, *GROUPS])
    path = f"ocirun {name}"
    rest = words[1:]
    if not rest or rest[0] in ("--help", "-h", "help"):
        return path, "", rest
    member = SYNONYMS.get(name, {}).get(rest[0], rest[0])
    members = GROUPS[name][1]
    if member not in members:
        raise unknown_command(path, rest[0], list(members))
    return f"{path} {member}", members[member][0], rest[1:]


def unknown_command(path: str, name: str, known: "list[str]") -> Exception:
    """The error for `name`, which is not among the commands of `path`."""
    from ocirun.cli.options import WordsError, quote
    from ocirun.errors import UnsupportedError

    if name.startswith("-"):
        from ocirun.errors import UsageError

        return UsageError(f"unknown flag: {name}", f"see '{path} --help'")
    if name in LATER:
        return UnsupportedError(f"'{path} {name}' is not supported yet", f"see '{path} --help' for what is")
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{path} {close[0]}'?" if close else f"see '{path} --help'"
    shown = name if name.isprintable() else quote(name)
    return WordsError(f"unknown command: {path} {shown}", hint)
