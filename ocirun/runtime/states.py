"""Which verb is allowed on a container in which status: one table, in docker's words.

Statuses are docker's: created, running, paused, restarting, removing, exited, dead.
"""

from ocirun.errors import ConflictError

STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")

ALLOWED = "allowed"
NOTHING = "nothing to do"

_NOT_RUNNING = "container {id} is not running"
_REMOVING = "container {name} is marked for removal and cannot be started"

# verb: status: ALLOWED, NOTHING or why not
TABLE: "dict[str, dict[str, str]]" = {
    "start": {
        "created": ALLOWED,
        "running": NOTHING,
        "paused": "cannot start a paused container, try unpause instead",
        "restarting": ALLOWED,
        "removing": _REMOVING,
        "exited": ALLOWED,
        "dead": _REMOVING,
    },
    "stop": {
        "created": NOTHING,
        "running": ALLOWED,
        "paused": ALLOWED,
        "restarting": ALLOWED,
        "removing": NOTHING,
        "exited": NOTHING,
        "dead": NOTHING,
    },
    "kill": {
        "created": "cannot kill container: {name}: " + _NOT_RUNNING,
        "running": ALLOWED,
        "paused": ALLOWED,
        "restarting": ALLOWED,
        "removing": "cannot kill container: {name}: " + _NOT_RUNNING,
        "exited": "cannot kill container: {name}: " + _NOT_RUNNING,
        "dead": "cannot kill container: {name}: " + _NOT_RUNNING,
    },
    "remove": {
        "created": ALLOWED,
        "running": 'cannot remove container "/{name}": container is running: stop the container before removing or force remove',
        "paused": 'cannot remove container "/{name}": container is paused and must be unpaused first',
        "restarting": 'cannot remove container "/{name}": container is restarting: stop the container before removing or '
        "force remove",
        "removing": "removal of container {name} is already in progress",
        "exited": ALLOWED,
        "dead": ALLOWED,
    },
    "exec": {
        "created": _NOT_RUNNING,
        "running": ALLOWED,
        "paused": "container {name} is paused, unpause the container before exec",
        "restarting": "container {name} is restarting, wait until the container is running",
        "removing": _NOT_RUNNING,
        "exited": _NOT_RUNNING,
        "dead": _NOT_RUNNING,
    },
    "attach": {
        "created": "you cannot attach to a stopped container, start it first",
        "running": ALLOWED,
        "paused": "you cannot attach to a paused container, unpause it first",
        "restarting": "you cannot attach to a restarting container, wait until it is running",
        "removing": "you cannot attach to a stopped container, start it first",
        "exited": "you cannot attach to a stopped container, start it first",
        "dead": "you cannot attach to a stopped container, start it first",
    },
    "commit": {
        "created": ALLOWED,
        "running": ALLOWED,
        "paused": ALLOWED,
        "restarting": ALLOWED,
        "removing": "You cannot commit container {name} which is being removed",
        "exited": ALLOWED,
        "dead": "You cannot commit container {name} which is Dead",
    },
}


HINTS = {
    ("remove", "running"): "use rm -f",
    ("exec", "exited"): "start the container first",
    ("exec", "created"): "start the container first",
}


def check(verb: str, status: str, name: str, container_id: str = "") -> bool:
    """Whether `verb` has anything to do on the container `name` in `status`: False when it is done already.

    Where docker's message has the id, it is `container_id`, or the name when that is "".

    Raises ConflictError when the status forbids it.
    """
    entry = TABLE[verb][status]
    if entry == ALLOWED:
        return True
    if entry == NOTHING:
        return False
    raise ConflictError(entry.format(name=name, id=container_id or name), HINTS.get((verb, status), ""))
