"""Go's text/template, as far as `--format` uses it: parse once, apply to each value.

Fields, variables, pipelines, if, with, range, else, break and continue, Go's functions and docker's. Errors have
the form of Go's, since that is what users search for: `template: :1:2: executing "" at <.Foo>: ...`.
"""

from ocirun.cli.go_values import NIL, NO_VALUE, GoMap, Nil, Row, left_out, show, type_name
from ocirun.cli.template_functions import FUNCTIONS, CallError
from ocirun.cli.template_lexer import TemplateError
from ocirun.cli.template_parser import (
    Action,
    Branch,
    Command,
    Function,
    Jump,
    Literal,
    Node,
    Parenthesis,
    Parser,
    Path,
    Pipeline,
    Text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_NOTHING = object()


class _Break(Exception):  # noqa: N818 - control flow of a template, not an error
    """{{break}} was met."""


class _Continue(Exception):  # noqa: N818 - control flow of a template, not an error
    """{{continue}} was met."""


class Template:
    """A parsed template. Making one raises TemplateError when the text is wrong."""

    __slots__ = ("nodes", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes = Parser(source, FUNCTIONS).parse()

    def execute(self, value: "Any", functions: "dict[str, Callable[..., Any]] | None" = None) -> str:
        """The text that the template makes of `value`; `functions` take the place of the usual ones. Raises TemplateError."""
        execution = _Execution(self.source, value, {**FUNCTIONS, **(functions or {})})
        execution.run(self.nodes, value)
        return "".join(execution.output)


class _Execution:
    """One application of a template to a value."""

    __slots__ = ("functions", "output", "source", "variables")

    def __init__(self, source: str, value: "Any", functions: "dict[str, Callable[..., Any]]") -> None:
        self.source = source
        self.functions = functions
        self.output: list[str] = []
        self.variables: list[tuple[str, Any]] = [("$", value)]

    def fail(self, node: Node, message: str) -> TemplateError:
        """The error `message` at `node`."""
        line = self.source.count("\n", 0, node.position) + 1
        column = node.position - (self.source.rfind("\n", 0, node.position) + 1)
        return TemplateError(f'template: :{line}:{column}: executing "" at <{node.text}>: {message}')

    def run(self, nodes: "list[Node]", dot: "Any") -> None:
        for node in nodes:
            if isinstance(node, Text):
                self.output.append(node.text)
            elif isinstance(node, Action):
                value = self.pipeline(node.pipeline, dot)
                if not node.pipeline.variables:
                    self.output.append(show(value))
            elif isinstance(node, Branch):
                known = len(self.variables)
                if node.kind == "range":
                    self.loop(node, dot)
                else:
                    self.branch(node, dot)
                del self.variables[known:]
            elif isinstance(node, Jump):
                raise _Break if node.text == "break" else _Continue

    def branch(self, node: Branch, dot: "Any") -> None:
        value = self.pipeline(node.pipeline, dot)
        if truth(value):
            self.run(node.body, value if node.kind == "with" else dot)
        else:
            self.run(node.otherwise, dot)

    def loop(self, node: Branch, dot: "Any") -> None:
        value = self.pipeline(node.pipeline, dot, bind=False)
        pairs = list(self.elements(node, value))
        names = node.pipeline.variables
        known = len(self.variables)
        for key, item in pairs:
            bound = (key, item) if len(names) == 2 else (item,)
            for name, part in zip(names, bound, strict=False):
                self.assign(name, part, declares=node.pipeline.declares)
            try:
                self.run(node.body, item)
            except _Continue:
                pass
            except _Break:
                break
            finally:
                del self.variables[known:]
        if not pairs:
            self.run(node.otherwise, dot)

    def elements(self, node: Branch, value: "Any") -> "Iterable[tuple[Any, Any]]":
        if isinstance(value, Nil) or value is None:
            return ()
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return enumerate(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return [(index, index) for index in range(value)]
        raise self.fail(node.pipeline, f"range can't iterate over {show(value)}")

    def assign(self, name: str, value: "Any", *, declares: bool) -> None:
        if not declares:
            for index in range(len(self.variables) - 1, -1, -1):
                if self.variables[index][0] == name:
                    self.variables[index] = (name, value)
                    return
        self.variables.append((name, value))

    def pipeline(self, pipeline: Pipeline, dot: "Any", *, bind: bool = True) -> "Any":
        value: Any = _NOTHING
        for command in pipeline.commands:
            value = self.command(command, dot, value)
        if bind:
            for name in pipeline.variables:
                self.assign(name, value, declares=pipeline.declares)
        return value

    def command(self, command: Command, dot: "Any", final: "Any") -> "Any":
        first, *rest = command.operands
        if isinstance(first, Function):
            return self.call(command, first, rest, dot, final)
        if isinstance(first, Path) and first.names:
            return self.path(first, dot, rest, final)
        if rest or final is not _NOTHING:
            raise self.fail(first, f"can't give argument to non-function {first.text}")
        if isinstance(first, Literal) and first.text == "nil":
            raise self.fail(first, "nil is not a command")
        return self.operand(first, dot)

    def call(self, command: Command, function: Function, rest: "list[Node]", dot: "Any", final: "Any") -> "Any":
        name = function.text
        if name in ("and", "or"):
            return self.choose(name, command, rest, dot, final)
        arguments = [self.operand(node, dot) for node in rest]
        if final is not _NOTHING:
            arguments.append(final)
        try:
            return self.functions[name](*arguments)
        except CallError as error:
            raise self.fail(command, f"error calling {name}: {error}") from None
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise self.fail(command, self.misfit(name, len(arguments))) from None

    def misfit(self, name: str, given: int) -> str:
        """Why the function cannot be called with so many arguments, in the words of Go's message."""
        code = self.functions[name].__code__
        # The third bit of co_flags tells that a function takes any number more.
        is_open = bool(code.co_flags & 4)
        least = max(code.co_argcount, 1) if is_open else code.co_argcount
        if given == least or (is_open and given > least):
            return f"error calling {name}: wrong type for value"
        return f"wrong number of args for {name}: want {'at least ' if is_open else ''}{least} got {given}"

    def choose(self, name: str, command: Command, rest: "list[Node]", dot: "Any", final: "Any") -> "Any":
        """`and` and `or` stop at the argument that decides."""
        value: Any = _NOTHING
        for node in rest:
            value = self.operand(node, dot)
            if truth(value) == (name == "or"):
                return value
        value = final if final is not _NOTHING else value
        if value is _NOTHING:
            raise self.fail(command, f"wrong number of args for {name}: want at least 1 got 0")
        return value

    def operand(self, node: Node, dot: "Any") -> "Any":
        if isinstance(node, Literal):
            return NIL if node.text == "nil" else node.value
        if isinstance(node, Parenthesis):
            return self.pipeline(node.pipeline, dot)
        if isinstance(node, Function):
            return self.call(Command([node]), node, [], dot, _NOTHING)
        if isinstance(node, Path):
            return self.path(node, dot, [], _NOTHING)
        raise self.fail(node, "can't handle node")

    def path(self, node: Path, dot: "Any", rest: "list[Node]", final: "Any") -> "Any":
        if node.base is None:
            value = dot
        elif isinstance(node.base, str):
            value = next(item for name, item in reversed(self.variables) if name == node.base)
        else:
            value = self.operand(node.base, dot)
        for index, name in enumerate(node.names):
            arguments: list[Any] = []
            if index == len(node.names) - 1:
                arguments = [self.operand(argument, dot) for argument in rest]
                arguments += [] if final is _NOTHING else [final]
            # docker finds a nil pointer itself missing when it looks again without types.
            missing = isinstance(value, Nil) and value.kind == "pointer" and index > 0
            value = self.field(node, value, node.names[index - 1] if missing else name, arguments)
        return value

    def field(self, node: Path, value: "Any", name: str, arguments: "list[Any]") -> "Any":
        if isinstance(value, Row):
            return self.row_field(node, value, name, arguments)
        if arguments:
            raise self.fail(node, f"{name} is not a method but has arguments")
        if isinstance(value, GoMap):
            return value.get(name, NO_VALUE)
        if isinstance(value, dict):
            key = name if name in value else alias(value, name)
            if key:
                return value[key]
            missing = left_out(value, name)
            if missing is not None:
                return missing
            raise self.fail(node, f'map has no entry for key "{name}"')
        if isinstance(value, Nil) or value is None:
            raise self.fail(node, f'map has no entry for key "{name}"')
        # docker decodes documents without their types when a template fails.
        kind = "interface {}" if isinstance(self.variables[0][1], dict) else type_name(value)
        raise self.fail(node, f"can't evaluate field {name} in type {kind}")

    def row_field(self, node: Path, row: Row, name: str, arguments: "list[Any]") -> "Any":
        if name in row.methods:
            if len(arguments) != 1 or not isinstance(arguments[0], str):
                raise self.fail(node, f"wrong number of args for {name}: want 1 got {len(arguments)}")
            return row.methods[name](row.subject, arguments[0])
        if name not in row.fields:
            raise self.fail(node, f"can't evaluate field {name} in type {row.type_name}")
        if arguments:
            raise self.fail(node, f"wrong number of args for {name}: want 0 got {len(arguments)}")
        return row.fields[name](row.subject)


def alias(document: "dict[str, Any]", name: str) -> str:
    """The key of `document` that Go's struct calls `name`: its abbreviations are upper case (ID for Id), or "" for none."""
    lowered = name.lower()
    for key in document:
        if key.lower() == lowered and all(
            ours == theirs or ours.isupper() for ours, theirs in zip(name, key, strict=True)
        ):
            return key
    return ""


def truth(value: "Any") -> bool:
    """Whether an if takes `value` for true: nothing empty, zero or nil; a struct always."""
    if isinstance(value, dict) and not isinstance(value, GoMap):
        return True
    return value is not None and bool(value)
