"""The error tree: every error carries what failed and, where there is one, the way out.

    OcirunError                       exit 125   HTTP 500
    ├── UsageError                    exit 125   HTTP 400   the words of a command or request are wrong
    ├── InvalidError                  exit 125   HTTP 400   data from outside breaks its specification
    │   └── DigestMismatchError       exit 125   HTTP 400   bytes are not what their digest says
    ├── NotFoundError                 exit 125   HTTP 404   no such container, image, volume, file
    ├── ConflictError                 exit 125   HTTP 409   a name in use, a state that forbids the verb
    ├── UnsupportedError              exit 125   HTTP 501   asked for something ocirun does not do
    ├── HostError                     exit 125   HTTP 500   this machine lacks or forbids something
    ├── StorageError                  exit 125   HTTP 500   disk full, read-only, input or output errors
    └── StepError (also OSError)      exit 125   HTTP 500   one step of a plan failed; errno and path kept
        ├── CommandNotFoundError      exit 127   HTTP 400   the program of the container does not exist
        └── CommandNotExecutableError exit 126   HTTP 400   the program of the container cannot be executed

Raised low, printed once, in the doors (`cli`, `api`, `shim`). This module imports nothing.
"""


class OcirunError(Exception):
    """An error that its user can understand: one sentence, and the way out in `hint`.

    `str(error)` is the sentence alone; doors add the hint in brackets.
    """

    exit_code = 125
    http_status = 500

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return self.what


class UsageError(OcirunError):
    """The words of a command or a request are wrong."""

    http_status = 400


class InvalidError(OcirunError):
    """Data from outside breaks its specification."""

    http_status = 400


class DigestMismatchError(InvalidError):
    """Bytes are not what their digest or size says."""


class NotFoundError(OcirunError):
    """The named container, image, volume or file does not exist."""

    http_status = 404


class ConflictError(OcirunError):
    """The object exists already, or its state forbids the verb."""

    http_status = 409


class UnsupportedError(OcirunError):
    """Asked for something that ocirun does not do."""

    http_status = 501


class HostError(OcirunError):
    """This machine lacks or forbids something; the hint names the setting."""


class StorageError(OcirunError):
    """The disk is full, read-only, or fails."""


class StepError(OcirunError, OSError):
    """One step of a plan failed in the C core.

    `step` is the index into the plan (-1 before the first), `errno` the kernel's, `path` the object it failed on.
    """

    def __init__(self, what: str, hint: str = "", *, errno: int = 0, step: int = -1, path: str = "") -> None:
        OcirunError.__init__(self, what, hint)
        self.errno = errno
        self.step = step
        self.path = path


class CommandNotFoundError(StepError):
    """The program that the container should run does not exist (exit status 127)."""

    exit_code = 127
    http_status = 400


class CommandNotExecutableError(StepError):
    """The program that the container should run cannot be executed (exit status 126)."""

    exit_code = 126
    http_status = 400
