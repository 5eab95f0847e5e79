"""The grammar of Go's text/template: tokens become a tree of statements, pipelines, commands and operands.

Left out: define, template and block, which no one-line format uses; they are errors that say so.
"""

from ocirun.cli.template_lexer import KEYWORDS, Lexer, TemplateError, Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container


class Node:
    """A piece of the tree. `position` is its offset in the template; `text` how Go's messages print it."""

    __slots__ = ("position", "text")

    def __init__(self, position: int, text: str = "") -> None:
        self.position = position
        self.text = text


class Text(Node):
    """Literal text."""

    __slots__ = ()


class Literal(Node):
    """A string, number, boolean or nil."""

    __slots__ = ("value",)

    def __init__(self, position: int, text: str, value: object) -> None:
        super().__init__(position, text)
        self.value = value


class Function(Node):
    """The name of a function."""

    __slots__ = ()


class Path(Node):
    """Fields looked up one after the other, beginning at the dot (`base` None), a variable's name or another operand."""

    __slots__ = ("base", "names")

    def __init__(self, position: int, text: str, base: "str | Node | None", names: "list[str]") -> None:
        super().__init__(position, text)
        self.base = base
        self.names = names


class Command(Node):
    """A function, method or value with its arguments."""

    __slots__ = ("operands",)

    def __init__(self, operands: "list[Node]") -> None:
        super().__init__(operands[0].position, " ".join(operand.text for operand in operands))
        self.operands = operands


class Pipeline(Node):
    """Commands, each the last argument of the next; the value may go to `variables` (new ones when `declares`)."""

    __slots__ = ("commands", "declares", "variables")

    def __init__(self, position: int, variables: "list[str]", commands: "list[Command]", *, declares: bool) -> None:
        sign = " := " if declares else " = "
        text = (", ".join(variables) + sign if variables else "") + " | ".join(command.text for command in commands)
        super().__init__(position, text)
        self.variables = variables
        self.commands = commands
        self.declares = declares


class Parenthesis(Node):
    """A pipeline in parentheses, used as an operand."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline.position, f"({pipeline.text})")
        self.pipeline = pipeline


class Action(Node):
    """A pipeline whose value is printed."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline.position, "{{" + pipeline.text + "}}")
        self.pipeline = pipeline


class Branch(Node):
    """if, with or range (`kind`)."""

    __slots__ = ("body", "kind", "otherwise", "pipeline")

    def __init__(self, kind: str, pipeline: Pipeline, body: "list[Node]", otherwise: "list[Node]") -> None:
        super().__init__(pipeline.position, kind)
        self.kind = kind
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Jump(Node):
    """break or continue (`text`)."""

    __slots__ = ()


class Parser:
    """Reads one template. `functions` are the names that may be called."""

    __slots__ = ("functions", "index", "loops", "source", "tokens", "variables")

    def __init__(self, source: str, functions: "Container[str]") -> None:
        self.source = source
        self.functions = functions
        self.tokens = Lexer(source).run()
        self.index = 0
        self.loops = 0
        self.variables = ["$"]

    def parse(self) -> "list[Node]":
        """The statements of the whole template. Raises TemplateError."""
        nodes, ending = self._statements(())
        del ending
        return nodes

    def _fail(self, message: str, token: "Token | None" = None) -> TemplateError:
        position = token.position if token else len(self.source)
        line = self.source.count("\n", 0, position) + 1
        return TemplateError(f"template: :{line}: {message}")

    def _peek(self) -> "Token | None":
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def _next(self, context: str) -> Token:
        token = self._peek()
        if token is None:
            raise self._fail(f"unexpected EOF in {context}")
        self.index += 1
        return token

    def _statements(self, endings: "tuple[str, ...]") -> "tuple[list[Node], str]":
        """Statements up to one of the keywords `endings`, which is consumed but for what follows it."""
        nodes: list[Node] = []
        while (token := self._peek()) is not None:
            self.index += 1
            if token.kind == "text":
                nodes.append(Text(token.position, token.text))
                continue
            word = self._peek()
            keyword = word.text if word is not None and word.kind == "word" and word.text in KEYWORDS else ""
            if keyword in endings:
                self.index += 1
                return nodes, keyword
            nodes.append(self._statement(keyword, token))
        if endings:
            raise self._fail("unexpected EOF")
        return nodes, ""

    def _statement(self, keyword: str, begin: Token) -> Node:
        if not keyword:
            return Action(self._pipeline("command", "end"))
        self.index += 1
        if keyword in ("if", "with", "range"):
            return self._branch(keyword)
        if keyword in ("break", "continue"):
            if not self.loops:
                raise self._fail(f"{{{{{keyword}}}}} outside {{{{range}}}}", begin)
            self._end_of(keyword)
            return Jump(begin.position, keyword)
        if keyword in ("else", "end"):
            raise self._fail(f"unexpected {{{{{keyword}}}}}", begin)
        raise self._fail(f"{{{{{keyword}}}}} is not supported by ocirun", begin)

    def _branch(self, kind: str) -> Branch:
        known = len(self.variables)
        pipeline = self._pipeline(kind, "end")
        self.loops += kind == "range"
        body, ending = self._statements(("else", "end"))
        self.loops -= kind == "range"
        otherwise: list[Node] = []
        if ending == "else":
            word = self._peek()
            if word is not None and word.text == kind and kind in ("if", "with"):
                # {{else if}} is an if of its own, closed by the same end.
                self.index += 1
                otherwise = [self._branch(kind)]
                del self.variables[known:]
                return Branch(kind, pipeline, body, otherwise)
            self._end_of("else")
            otherwise, ending = self._statements(("else", "end"))
            if ending == "else":
                raise self._fail("expected end; found {{else}}", self._peek())
        self._end_of("end")
        del self.variables[known:]
        return Branch(kind, pipeline, body, otherwise)

    def _end_of(self, context: str) -> None:
        token = self._next(context)
        if token.kind != "end":
            raise self._fail(f"unexpected {_shown(token)} in {context}", token)

    def _pipeline(self, context: str, closing: str) -> Pipeline:
        first = self._peek()
        position = first.position if first else len(self.source)
        variables, declares = self._declaration(context)
        commands: list[Command] = []
        while True:
            token = self._peek()
            if token is not None and token.kind == closing:
                self.index += 1
                if not commands:
                    raise self._fail(f"missing value for {context}", token)
                break
            commands.append(self._command(context))
            token = self._next(context)
            if token.kind == "|":
                follower = self._peek()
                if follower is None or follower.kind in ("end", ")", "|"):
                    raise self._fail(f"missing value for {context}", token)
            else:
                self.index -= 1
        for command in commands[1:]:
            if isinstance(command.operands[0], Literal):
                raise self._fail(f"non executable command in pipeline stage {commands.index(command) + 1}", first)
        if declares:
            self.variables.extend(variables)
        return Pipeline(position, variables, commands, declares=declares)

    def _declaration(self, context: str) -> "tuple[list[str], bool]":
        start = self.index
        names: list[str] = []
        while (token := self._peek()) is not None and token.kind == "variable" and len(names) < 2:
            names.append(token.text)
            self.index += 1
            sign = self._peek()
            if sign is not None and sign.kind in (":=", "="):
                self.index += 1
                if sign.kind == "=":
                    for name in names:
                        self._check_variable(name, token)
                return names, sign.kind == ":="
            if sign is None or sign.kind != "," or context != "range":
                break
            self.index += 1
        self.index = start
        return [], False

    def _command(self, context: str) -> Command:
        operands: list[Node] = []
        while True:
            token = self._peek()
            if token is None or token.kind in ("|", "end", ")"):
                break
            if operands and not token.spaced:
                raise self._fail(f"unexpected {_shown(token)} in operand", token)
            operands.append(self._operand(context))
        if not operands:
            raise self._fail("empty command", self._peek())
        return Command(operands)

    def _operand(self, context: str) -> Node:
        token = self._next(context)
        node = self._term(token, context)
        names: list[str] = []
        position = token.position
        text = node.text
        while (following := self._peek()) is not None and following.kind == "field" and not following.spaced:
            if following.text == ".":
                raise self._fail("unexpected . after term", following)
            # Go places a chain of fields where its second one begins.
            position = following.position if not names else position
            names.append(following.text[1:])
            text += following.text
            self.index += 1
        if not names:
            return node
        if isinstance(node, Literal):
            raise self._fail(f"unexpected . after term {node.text}", token)
        if isinstance(node, Path) and (node.base is None or isinstance(node.base, str)) and node.text != ".":
            return Path(position, text, node.base, node.names + names)
        return Path(position, f"{node.text}{text[len(node.text) :]}", node, names)

    def _term(self, token: Token, context: str) -> Node:
        if token.kind == "field":
            return Path(token.position, token.text, None, [token.text[1:]] if token.text != "." else [])
        if token.kind == "variable":
            self._check_variable(token.text, token)
            return Path(token.position, token.text, token.text, [])
        if token.kind in ("string", "number", "char"):
            return Literal(token.position, token.text, token.value)
        if token.kind == "(":
            return Parenthesis(self._pipeline("parenthesized pipeline", ")"))
        if token.kind == "word":
            if token.text in ("true", "false", "nil"):
                return Literal(token.position, token.text, {"true": True, "false": False}.get(token.text))
            if token.text not in KEYWORDS:
                if token.text not in self.functions:
                    raise self._fail(f'function "{token.text}" not defined', token)
                return Function(token.position, token.text)
        raise self._fail(f"unexpected {_shown(token)} in {context}", token)

    def _check_variable(self, name: str, token: Token) -> None:
        if name not in self.variables:
            raise self._fail(f'undefined variable "{name}"', token)


def _shown(token: Token) -> str:
    if token.kind == "end":
        return '"}}"'
    if token.kind == "word" and token.text in KEYWORDS:
        return f"<{token.text}>"
    return f'"{token.text}"'
