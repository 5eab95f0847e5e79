"""The texts of --help, made from the tables that the parser reads."""

from ocirun.cli.commands import COMMANDS, GROUPS, SYNONYMS, unknown_command
from ocirun.cli.options import Option, Verb

COMMON = ("run", "exec", "ps", "images", "inspect", "info", "version")


def help_text(names: "list[str]", global_verb: Verb) -> str:
    """The help of the command `names` (["container", "ls"]), of a group, or of ocirun itself for []. Raises UsageError."""
    if not names:
        return _program_help(global_verb)
    name = names[0]
    if name in GROUPS:
        sentence, members = GROUPS[name]
        if len(names) == 1:
            return _group_help(name, sentence, members)
        member = SYNONYMS.get(name, {}).get(names[1], names[1])
        if member not in members:
            raise unknown_command(f"ocirun {name}", names[1], list(members))
        return _verb_help(f"ocirun {name} {member}", *members[member])
    if name not in COMMANDS:
        raise unknown_command("ocirun", name, [*COMMANDS, *GROUPS])
    return _verb_help(f"ocirun {name}", *COMMANDS[name])


def _program_help(verb: Verb) -> str:
    common = [(name, COMMANDS[name][1]) for name in COMMON]
    others = [(name, sentence) for name, (_, sentence) in COMMANDS.items() if name not in COMMON]
    groups = [(name, sentence) for name, (sentence, _) in GROUPS.items()]
    return (
        f"Usage:  ocirun {verb.usage}\n\nContainers and images without root and without a daemon\n\n"
        f"Common Commands:\n{_listed(common)}\nManagement Commands:\n{_listed(groups)}\n"
        f"Commands:\n{_listed(others)}\nGlobal Options:\n{options_text(_shown(verb))}\n"
        "Run 'ocirun COMMAND --help' for more information on a command.\n"
    )


def _group_help(name: str, sentence: str, members: "dict[str, tuple[str, str]]") -> str:
    rows = [(member, text) for member, (_, text) in sorted(members.items())]
    return (
        f"Usage:  ocirun {name} COMMAND\n\n{sentence}\n\nCommands:\n{_listed(rows)}\n"
        f"Run 'ocirun {name} COMMAND --help' for more information on a command.\n"
    )


def _verb_help(path: str, module_name: str, sentence: str) -> str:
    module = __import__(f"ocirun.cli.{module_name}", fromlist=("VERB",))
    verb: Verb = module.VERB
    text = f"Usage:  {path} {verb.usage}".rstrip() + f"\n\n{sentence}\n"
    if len(verb.aliases) > 1:
        text += "\nAliases:\n  " + ", ".join(f"ocirun {alias}" for alias in verb.aliases) + "\n"
    shown = _shown(verb)
    if shown:
        text += f"\nOptions:\n{options_text(shown)}"
    refused = sorted(f"--{option.name}" for option in verb.options if option.refused)
    if refused:
        text += "\nNot supported yet:\n" + "".join(f"  {line}\n" for line in wrap(" ".join(refused), 76))
    if verb.aside:
        text += f"\n{verb.aside}\n"
    return text


def _shown(verb: Verb) -> "tuple[Option, ...]":
    return tuple(option for option in verb.options if not option.refused)


def _listed(rows: "list[tuple[str, str]]") -> str:
    width = max(len(name) for name, _ in rows)
    return "".join(f"  {name.ljust(width)}  {text}\n" for name, text in rows)


def options_text(options: "tuple[Option, ...]") -> str:
    """The table of `options`, one or more lines each, in the order of their names."""
    rows = [(_left(option), _right(option)) for option in sorted(options, key=lambda option: option.name)]
    width = max(len(left) for left, _ in rows) + 3
    room = max(79 - width, 30)
    text = ""
    for left, right in rows:
        lines = wrap(right, room)
        text += left.ljust(width) + lines[0] + "\n"
        text += "".join(" " * width + line + "\n" for line in lines[1:])
    return text


def _left(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    kind = "" if option.kind == "bool" else f" {option.kind}"
    return f"  {short}--{option.name}{kind}"


def _right(option: Option) -> str:
    default = option.default
    if default in (None, "", False):
        return option.help
    shown = "true" if default is True else f'"{default}"' if isinstance(default, str) else str(default)
    return f"{option.help} (default {shown})"


def wrap(text: str, width: int) -> "list[str]":
    """The words of `text` in lines of at most `width` characters; a longer word stands alone."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines
