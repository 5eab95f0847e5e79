"""--security-opt: docker's words turned into plain values, and the labels they mean.

Deliberately small: profiles and policies are the machine's business, here they are only named.
"""

from ocirun.errors import HostError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TRUE_WORDS = ("1", "t", "T", "TRUE", "true", "True")
FALSE_WORDS = ("0", "f", "F", "FALSE", "false", "False")

# The context that container-selinux gives containers; its categories ("c1,c2") would part containers from each other.
SELINUX_DEFAULT = ("system_u", "system_r", "container_t", "s0")
SELINUX_PARTS = ("user", "role", "type", "level")


class SecurityOptions:
    """What --security-opt asks for.

    `seccomp` is "" (the default profile), "unconfined", "nested" (the default profile and what a sandbox inside the
    container needs) or the path of a profile in docker's format. `apparmor` is a profile name or "". `labels` are the
    SELinux words after "label=".
    """

    __slots__ = ("apparmor", "labels", "no_new_privileges", "seccomp", "system_paths_unconfined")

    def __init__(
        self,
        *,
        no_new_privileges: bool = False,
        seccomp: str = "",
        apparmor: str = "",
        labels: "list[str] | None" = None,
        system_paths_unconfined: bool = False,
    ) -> None:
        self.no_new_privileges = no_new_privileges
        self.seccomp = seccomp
        self.apparmor = apparmor
        self.labels = labels or []
        self.system_paths_unconfined = system_paths_unconfined


def parse_security_options(words: "Iterable[str]") -> SecurityOptions:
    """Read the values of --security-opt, later ones overriding. Raises UsageError for one that docker does not know."""
    result = SecurityOptions()
    for word in words:
        name, separator, value = word.partition("=")
        if not separator:
            name, separator, value = word.partition(":")
        if name == "no-new-privileges":
            result.no_new_privileges = _truth(word, value) if separator else True
        elif word == "disable":
            result.labels.append("disable")
        elif not separator:
            raise UsageError(f'invalid --security-opt: "{word}"', "name=value is expected, such as seccomp=unconfined")
        elif name == "seccomp":
            result.seccomp = "" if value == "builtin" else value
        elif name == "apparmor":
            result.apparmor = value
        elif name == "label":
            result.labels.append(value)
        elif name == "systempaths" and value == "unconfined":
            result.system_paths_unconfined = True
        else:
            raise UsageError(
                f'invalid --security-opt: "{word}"',
                "known are no-new-privileges, seccomp, apparmor, label and systempaths=unconfined",
            )
    return result


def _truth(word: str, value: str) -> bool:
    if value in TRUE_WORDS:
        return True
    if value in FALSE_WORDS:
        return False
    raise UsageError(f'invalid --security-opt: "{word}"', "no-new-privileges takes true or false")


def apparmor_profile(options: SecurityOptions, *, has_apparmor: bool) -> str:
    """The profile for the container's process, "" for none. Raises HostError when this machine has no AppArmor."""
    if options.apparmor in ("", "unconfined"):
        return ""
    if not has_apparmor:
        raise HostError(
            f"AppArmor profile {options.apparmor}: AppArmor is not enabled on this machine",
            "leave --security-opt apparmor away, or use apparmor=unconfined",
        )
    return options.apparmor


def selinux_label(options: SecurityOptions, *, has_selinux: bool) -> str:
    """The process label, "" for none. Raises HostError without SELinux, UsageError for a part that no label has."""
    if not options.labels or "disable" in options.labels:
        return ""
    parts = dict(zip(SELINUX_PARTS, SELINUX_DEFAULT, strict=True))
    for label in options.labels:
        name, _, value = label.partition(":")
        if name not in parts or not value:
            raise UsageError(f'invalid --security-opt: "label={label}"', "use user:, role:, type:, level: or disable")
        parts[name] = value
    if not has_selinux:
        raise HostError(
            f"SELinux label {options.labels[0]}: SELinux is not enabled on this machine",
            "leave --security-opt label away, or use label=disable",
        )
    return ":".join(parts.values())
