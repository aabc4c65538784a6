"""The tutorial of a source is followed to the letter: files, line, session, test."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest

from diverloop.hardware.devices import devices_page
from diverloop.runtime import catalog
from diverloop.runtime.catalog import find
from diverloop.runtime.device_record import DeviceRecord
from diverloop.runtime.session import part_of

PAGE = Path(__file__).parents[1] / "docs" / "adding-a-source.md"
FILES = ("hardware/toy_amplifier.py", "hardware/toy_stand_in.py")
TEST = "tests/hardware/test_toy_amplifier.py"


def blocks(language: str) -> list[str]:
    """Code blocks of the page, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def files() -> dict[str, str]:
    """What the page says stands in each file; a block that continues one is added to it."""
    found: dict[str, str] = {}
    for block in blocks("python"):
        head, _, body = block.partition("\n")
        name = head.removeprefix("# ").removesuffix(", continued")
        assert (name in found) == head.endswith(", continued"), head
        gap = "" if body.startswith("    ") else "\n\n"
        found[name] = f"{found[name]}{gap or chr(10)}{body}" if name in found else body
    return found


def load(name: str, path: Path, patch: pytest.MonkeyPatch) -> ModuleType:
    """A file as the module that it would be in its folder."""
    made = importlib.util.spec_from_file_location(name, path)
    assert made is not None
    assert made.loader is not None
    module = importlib.util.module_from_spec(made)
    patch.setitem(sys.modules, name, module)
    made.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Iterator[ModuleType]:
    """The page's files are there, and its line is in the catalogue; gives the page's test."""
    folder, written = tmp_path_factory.mktemp("followed"), files()
    assert list(written) == [*FILES, "runtime/catalog.py", TEST]
    for name in (*FILES, TEST):
        (folder / Path(name).name).write_text(written[name], "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        tables = {kind: dict(names) for kind, names in catalog.CATALOG.items()}
        tables["source"] |= ast.literal_eval(f"{{{written['runtime/catalog.py']}}}")
        patch.setattr(catalog, "CATALOG", MappingProxyType(tables))
        patch.setattr("diverloop.hardware.devices.CATALOG", MappingProxyType(tables))
        patch.setattr("diverloop.runtime.session.CATALOG", MappingProxyType(tables))
        for name in FILES:
            module = f"diverloop.{name.removesuffix('.py').replace('/', '.')}"
            load(module, folder / Path(name).name, patch)
        yield load("followed_test", folder / Path(TEST).name, patch)


def test_the_tests_of_the_page_pass(followed):
    tests = [name for name in vars(followed) if name.startswith("test_")]
    assert tests == ["test_it_conforms", "test_lost_samples_are_a_gap"]
    for name in tests:
        getattr(followed, name)()


def test_the_session_of_the_page_names_it(followed):
    (text,) = blocks("toml")
    part = part_of("source", tomllib.loads(text)["source"], "source")
    assert part.kind == "toy"
    assert part.settings == find("source", "toy").Config(port=5005)


def test_it_is_in_the_table_of_devices(followed):
    assert isinstance(find("source", "toy").tested, DeviceRecord)
    assert "| `toy` | the toy amplifier of the tutorial |" in devices_page()


def test_the_files_of_the_page_import_the_runtime_and_what_devices_share(followed):
    written = files()
    for name in FILES:
        assert len(written[name].splitlines()) < 200
        imports = [n for n in ast.walk(ast.parse(written[name])) if isinstance(n, ast.ImportFrom)]
        for module in (node.module for node in imports if node.level):
            assert module.startswith("runtime.") or module in ("linked", "tcp_link")
