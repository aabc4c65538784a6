"""Blocks of code in the pages: what each is, and what is to be done with it.

Every block in ``console``, ``sh``, ``python`` and ``toml`` is looked at: commands are parsed by the
real command line, settings by the real parsers, Python is compiled. Beyond that it is *run*, in a
temporary folder, in the order of the page, unless a comment before it (or, for a whole page, near
its top, with ``page:``) says otherwise::

    <!-- not run: needs an amplifier -->
    <!-- long -->                          only by make test-long
    <!-- long: needs S001_R06.npz -->      the same, if the real recordings are there
    <!-- run -->                           on a page that is not
    <!-- file: session.toml -->            the block is a file of that name, for what follows
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("console", "sh", "python", "toml")
_FENCE = re.compile(r"^( *)(`{3,})([a-z]*)\n(.*?)^\1\2 *$", re.M | re.S)
_MARK = re.compile(r"<!-- (page: )?(run|not run|long|file)(?:: (.*?))? -->", re.S)
_INLINE = re.compile(
    r"`((?:diverloop|make|pip) [^`]+)`|^    ((?:diverloop|make|pip|python) .+(?:\\\n.+)*)", re.M
)
_ASIDE = re.compile(r" {3,}.*")  # what stands beside a command in a second column


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of code, or a command in the text."""

    page: Path
    line: int
    language: str
    text: str
    mark: str = "run"
    about: str = ""
    inline: bool = False

    @property
    def place(self) -> str:
        """``docs/tour.md:12``, for whoever has to mend it."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def needed(self) -> list[str]:
        """Real recordings that must be there for it."""
        return self.about.removeprefix("needs ").split() if self.mark == "long" else []

    def commands(self) -> list[str]:
        """Command lines, each in one line; what is printed between them is left out."""
        text = self.text.replace("\\\n", " ")
        if self.language == "console":
            lines = [
                line.replace("\\", "/") if line[:2] == "> " else line for line in text.splitlines()
            ]
            return [line[2:] for line in lines if line[:2] in ("$ ", "> ")]
        return [line for line in text.splitlines() if line.strip()]


def pages() -> list[Path]:
    """Every page that people read."""
    made = ("_build", "api")
    found = (ROOT / "docs").rglob("*.md")
    kept = [page for page in found if page.relative_to(ROOT / "docs").parts[0] not in made]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(kept)]


def blocks(page: Path) -> list[Block]:
    """Blocks of a page, in order, in the languages that are looked at."""
    text = page.read_text("utf-8")
    whole = [mark for mark in _MARK.finditer(text) if mark[1]]
    usual = (whole[0][2], whole[0][3] or "") if whole else ("run", "")
    found = []
    for fence in _FENCE.finditer(text):
        if fence[3] not in LANGUAGES:
            continue
        own = [m for m in _MARK.finditer(text[: fence.start()]) if not m[1]]
        touches = own and not text[own[-1].end() : fence.start()].strip()
        mark, about = (own[-1][2], own[-1][3] or "") if touches else usual
        line = text.count("\n", 0, fence.start()) + 1
        block = Block(page=page, line=line, language=fence[3], text=fence[4])
        found.append(replace(block, mark=mark, about=about))
    return found


def said(page: Path) -> Iterator[Block]:
    """Commands of ours that stand in the text, or in indented lines."""
    text = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), page.read_text("utf-8"))
    for found in _INLINE.finditer(text):
        command = _ASIDE.sub("", (found[1] or found[2]).replace("\\\n", " "))
        words = " ".join(command.split())
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page=page, line=line, language="sh", text=words, inline=True)
