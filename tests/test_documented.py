"""Commands and snippets of the pages are understood, and run unless a page says why not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest

from diverloop.runtime import catalog

from . import command_lines, settings_blocks
from .data import data_root
from .documented import ROOT, Block, blocks, pages, said
from .rl.learners import test_learner

ALL = [block for page in pages() for block in blocks(page)]
LONG_PAGES = sorted({block.page for block in ALL if block.mark == "long"})
# What a checkout offers to whoever stands in it; copied, because models are found beside sessions.
BESIDE = ("calibrations", "corpora", "sessions", "studies")
PYTHON = "python -W ignore"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_there_is_something_to_look_at():
    assert len(ALL) > 100
    assert {"run", "not run", "long", "file"} <= {block.mark for block in ALL}


def test_whatever_is_not_run_says_why():
    wrong = [block.place for block in ALL if block.mark == "not run" and len(block.about) < 8]
    assert not wrong, wrong


def test_every_command_of_the_pages_is_understood_by_the_command_line():
    told = [block for page in pages() for block in said(page)]
    assert len(told) > 50
    blocks_of_commands = [block for block in ALL if block.language in ("console", "sh")]
    wrong = [one for block in (*blocks_of_commands, *told) for one in command_lines.wrong(block)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_a_command_that_does_not_exist_would_be_found():
    def one(text: str) -> list[str]:
        return command_lines.wrong(
            Block(page=ROOT / "README.md", line=1, language="sh", text=text, inline=True)
        )

    assert "No such option: --colour" in one("diverloop demo --colour red")[0]
    assert "No such command" in one("diverloop frobnicate")[0]
    assert "no extra torches" in one("pip install 'diverloop[torches]'")[0]
    assert "no target lunch" in one("make lunch")[0]
    assert "no such file" in one("python tests/bench/lunch.py")[0]
    assert not one("xvfb-run -a diverloop demo --live-s 20 && make test")


def test_all_settings_of_the_pages_are_accepted(tmp_path):
    settings = [block for block in ALL if block.language == "toml" and "toy" not in block.text]
    found = [(block.place, settings_blocks.wrong(block.text, tmp_path)) for block in settings]
    wrong = [f"{place}: {problem}" for place, problem in found if problem]
    assert not wrong, "\n" + "\n".join(wrong)


def test_all_python_of_the_pages_compiles():
    wrong = []
    for block in ALL:
        # What continues a class, or is a line of a table, is put together in test_tutorials.py.
        if block.language == "python" and block.page.name != "adding-a-source.md":
            try:
                compile(block.text, block.place, "exec")
            except SyntaxError as error:
                wrong.append(f"{block.place}: {error}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.fixture
def steady(monkeypatch) -> str:
    """The learner of its page, as if it stood in its folder and in the catalogue; its name."""
    (block,) = (one for one in ALL if one.page.name == "adding-a-learner.md" and one.mark == "file")
    module = ModuleType("diverloop.rl.learners.steady")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block.text, block.place, "exec"), vars(module))
    tables = {kind: dict(names) for kind, names in catalog.CATALOG.items()}
    tables["learner"]["steady"] = "rl.learners.steady:Steady"
    monkeypatch.setattr(catalog, "CATALOG", MappingProxyType(tables))
    return "steady"


@pytest.mark.parametrize("clause", [n for n in vars(test_learner) if n.startswith("test_")])
def test_the_learner_of_its_page_keeps_to_what_every_learner_does(steady, clause):
    assert catalog.find("learner", steady).Config().step > 0
    getattr(test_learner, clause)(steady)


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A folder as a reader has it, with a home of its own and the command on the path."""
    folder, home, programs = tmp_path / "here", tmp_path / "home", tmp_path / "bin"
    for place in (folder, home, programs):
        place.mkdir()
    for name in BESIDE:
        shutil.copytree(ROOT / name, folder / name)
    for name, words in (("python", ""), ("diverloop", "-m diverloop ")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


def follow(page_blocks: list[Block], folder: Path, limit_s: float) -> int:
    """Do what the blocks say, in order; how many commands and pieces of Python were run."""
    snippets, done = "", 0
    for block in page_blocks:
        if block.language == "toml":
            if block.mark == "file":
                (folder / block.about).write_text(block.text, "utf-8")
            continue
        if block.language == "python" and block.mark == "file":
            (folder / block.about).write_text(block.text, "utf-8")
            continue
        if block.language == "python":
            snippets += block.text
            (folder / "snippet.py").write_text(snippets, "utf-8")
            commands = [f"{PYTHON} snippet.py"]
        else:
            commands = block.commands()
        for command in commands:
            ended = subprocess.run(
                ["bash", "-c", command], cwd=folder, timeout=limit_s, check=False,
                capture_output=True, text=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            spoken = f"{block.place}: {command}\n{ended.stdout[-3000:]}{ended.stderr[-3000:]}"
            assert ended.returncode == 0, spoken
            done += 1
    return done


def quick() -> Iterator[list[Block]]:
    """Of each page, what is run at once."""
    for page in pages():
        kept = [block for block in blocks(page) if block.mark in ("run", "file")]
        if any(block.language != "toml" and block.mark == "run" for block in kept):
            yield kept


@pytest.mark.skipif(sys.platform == "win32", reason="pages are written for a shell")
@pytest.mark.parametrize("kept", list(quick()), ids=lambda kept: name_of(kept[0].page))
def test_what_is_quick_runs_as_it_stands(kept, checkout):
    assert follow(kept, checkout, limit_s=60)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform == "win32", reason="pages are written for a shell")
@pytest.mark.parametrize("page", LONG_PAGES, ids=name_of)
def test_a_whole_page_runs_as_it_stands(page, checkout):
    kept = [block for block in blocks(page) if block.mark != "not run"]
    for name in {name for block in kept for name in block.needed}:
        found = [path for path in data_root().rglob(f"*{name}") if path.is_file()]
        if not found:
            pytest.skip(f"{name} is not in {data_root()}; point DIVERLOOP_DATA at the recordings")
        shutil.copy(found[0], checkout / name)
    assert follow(kept, checkout, limit_s=400)
