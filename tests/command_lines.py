"""Whether a command line of the pages would be understood, without running it."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from typing import Any

import typer

from diverloop import cli

from .documented import ROOT, Block

_SEPARATE = {";", "&&", "||", "|", "&"}
_BEFORE = {"xvfb-run": 1, "chrt": 2, "nice": 0, "sudo": 0}
_ELSEWHERE = {"apt", "chmod", "ls", "cat", "cd", ".", "git", "py", "cp", "mkdir", "ssh"}
_EXTRAS = re.compile(r"(?:diverloop|\.)\[([a-z0-9,-]+)\]")


def wrong(block: Block) -> list[str]:
    """What is not understood in a block of commands; ``...`` and capitals stand for anything."""
    found: list[str] = []
    for line in block.commands():
        try:
            commands = _split(line)
        except ValueError as error:
            found.append(f"{block.place}: {line}: {error}")
            continue
        for words in commands:
            problem = _look(words, loose=block.inline or "..." in line)
            found += [f"{block.place}: {' '.join(words)}: {problem}"] if problem else []
    return found


def _split(line: str) -> list[list[str]]:
    """The single commands of a line, as words, without what is set before or stands around."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word in _SEPARATE:
            commands.append([])
        else:
            commands[-1].append(word)
    return [kept for words in commands if (kept := _bare(words))]


def _bare(words: list[str]) -> list[str]:
    words = words[: words.index(">")] if ">" in words else words
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words and words[0] in _BEFORE:
        flags = sum(word.startswith("-") for word in words[1:3])
        return _bare(words[1 + max(flags, _BEFORE[words[0]]) :])
    return words


def _look(words: list[str], *, loose: bool) -> str:
    head = words[0].replace("\\", "/").rsplit("/")[-1]
    rest = words[1:]
    if extras := {
        name for word in words for one in _EXTRAS.findall(word) for name in one.split(",")
    }:
        unknown = extras - _project()["optional-dependencies"].keys()
        return f"no extra {', '.join(sorted(unknown))}" if unknown else ""
    if head == "diverloop":
        return _parse(rest, loose=loose)
    if head.startswith("python"):
        return _python(rest, loose=loose)
    if head == "make":
        makefile = (ROOT / "Makefile").read_text("utf-8")
        targets = [word for word in rest if "=" not in word]
        missing = [one for one in targets if f"\n{one}:" not in makefile]
        return f"no target {missing[0]}" if missing else ""
    if head in ("pip", "pipx"):
        return ""
    if head == "bash" and rest and (ROOT / rest[0]).is_file():
        return ""
    return "" if head in _ELSEWHERE else "a program that nobody said is there"


@cache
def _command() -> Any:
    """The whole command line; making it takes longer than parsing with it."""
    return typer.main.get_command(cli.app)


@cache
def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _python(words: list[str], *, loose: bool) -> str:
    """Modules and files of ours are looked at, the rest is taken as it is."""
    if "diverloop" in words and words[words.index("diverloop") - 1] == "-m":
        return _parse(words[words.index("diverloop") + 1 :], loose=loose)
    if words[:1] == ["-c"]:
        compile(words[1], "-c", "exec")
        return ""
    named = words[1].removeprefix("diverloop.").replace(".", "/") if words[:1] == ["-m"] else ""
    if named.split("/")[0] in ("venv", "pip", "pytest", "sphinx"):
        return ""
    places = (f"{named}.py", f"{named}/__main__.py") if named else (words[0],)
    path = next((ROOT / place for place in places if (ROOT / place).is_file()), None)
    if path is None:
        return "no such file"
    source = path.read_text("utf-8")
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    unknown = [option for option in options if f'"{option}"' not in source]
    return f"no option {unknown[0]} in {path.name}" if unknown else ""


def _parse(words: list[str], *, loose: bool) -> str:
    """Let the command line parse words without doing anything; the error, or nothing."""
    command, parent, name = _command(), None, "diverloop"
    if loose:
        words = [word for word in words if word != "..."]
    try:
        while True:
            context = command.make_context(name, list(words), parent=parent)
            if not hasattr(command, "commands"):
                return ""
            rest = [*getattr(context, "_protected_args", []), *context.args]
            name, command, words = command.resolve_command(context, rest)
            parent = context
    except typer.Exit:
        return ""
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what a reader would see
        lacking = type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError")
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        return "" if loose and lacking else said or type(error).__name__
