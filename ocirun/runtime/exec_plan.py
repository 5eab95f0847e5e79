"""Run a further process in a running container: its description, and the plan that joins and starts it."""

from ocirun.errors import HostError
from ocirun.runtime import capabilities
from ocirun.runtime.id_maps import maps_of
from ocirun.runtime.plan import MONITOR_EXEC, Monitor, working_directory
from ocirun.runtime.plan_namespaces import NAMESPACE_FLAGS, namespace_types
from ocirun.runtime.plan_process import command_step, credential_steps, limit_steps, seccomp_flags
from ocirun.runtime.steps import Plan, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocirun.host import Host
    from ocirun.oci.runtime_documents import Config, Process
    from ocirun.runtime.users import User

PROCESS_DESCRIPTOR = 6
SIGKILL = 9


def exec_process(
    config: "Config",
    host: "Host",
    *,
    arguments: "list[str]",
    environment: "Iterable[str]" = (),
    user: "User | None" = None,
    working_directory: str = "",
    terminal: bool = False,
    privileged: bool = False,
) -> "Process":
    """The `process` object of the specification for a further process in the container of `config`.

    What is not given is the container's own: environment, user, directory, capabilities, limits. `environment` is laid over
    it (docker's rules). With `privileged` it gets all capabilities there are.
    """
    from ocirun.runtime.config import process_user

    first = config["process"]
    maps = maps_of(config)
    result = first.copy()
    result.update({"args": arguments, "terminal": terminal, "cwd": working_directory or first["cwd"]})
    result.pop("consoleSize", None)
    result["env"] = _environment(first.get("env") or [], environment, terminal=terminal, home=user.home if user else "")
    if user is not None:
        result["user"] = process_user(maps, user)
    if privileged:
        names = capabilities.available(host, user_namespace=maps.user_namespace)
        result["capabilities"] = {"bounding": names, "effective": names, "permitted": names}
    return result


def _environment(first: "list[str]", added: "Iterable[str]", *, terminal: bool, home: str) -> "list[str]":
    values = dict(entry.split("=", 1) for entry in first if "=" in entry)
    if home:
        values["HOME"] = home
    if terminal:
        values.setdefault("TERM", "xterm")
    for entry in added:
        name, separator, value = entry.partition("=")
        if separator:
            values[name] = value
        else:
            values.pop(name, None)
    return [f"{name}={value}" for name, value in values.items()]


def compile_exec(
    config: "Config",
    process: "Process",
    *,
    seccomp: bytes = b"",
    flags: int = 0,
    rows: int = 0,
    columns: int = 0,
) -> Plan:
    """The plan that starts `process` in the running container of `config`.

    The container's init is behind descriptor 6, a pidfd. `flags` are MONITOR_* bits besides MONITOR_EXEC. The session dies
    with its monitor, as the container does. Raises HostError when the container shares all namespaces with the host.
    """
    maps = maps_of(config)
    wanted = 0
    for kind in namespace_types(config):
        wanted |= NAMESPACE_FLAGS[kind]
    if not wanted:
        raise HostError("the container has no namespaces to join")
    steps = Monitor(flags=flags | MONITOR_EXEC).steps()
    steps.append(Step("join_process", PROCESS_DESCRIPTOR, wanted))
    if maps.user_namespace:
        steps.append(Step("become", maps.root_uid, maps.root_gid))
    steps.append(Step("session_keyring", ""))
    if process.get("terminal"):
        steps.append(Step("console", rows, columns))
    steps += limit_steps(process)
    steps.append(Step("working_directory", 0, 0, 0, working_directory(process)))
    steps += credential_steps(process, maps, seccomp, seccomp_flags(config))
    steps += [Step("parent_death_signal", SIGKILL), command_step(process)]
    return Plan(steps)
