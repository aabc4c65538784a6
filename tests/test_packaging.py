"""What an installed diverloop consists of, seen from a wheel built from this tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = [name.split(".")[1:] for name in PROJECT["tool"]["setuptools"]["packages"]]
HEAVY = {"torch", "mne", "scikit-learn", "pyriemann", "pyside6", "pyside6-essentials", "tensorrt"}


def product_files() -> set[str]:
    """What the wheel should hold of this tree, as paths below the root."""
    files = {
        path.relative_to(ROOT).as_posix()
        for parts in PACKAGES
        for path in ROOT.joinpath(*parts).glob("*.py")
    }
    sessions = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("sessions/*.toml")}
    return files | sessions | {"py.typed"}


def distribution(requirement: str) -> str:
    """Normalised name of what a requirement asks for."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match.group()).lower()


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory) -> set[str]:
    """Build a wheel from a copy, so that neither the tree nor an old build has a part in it."""
    copy = tmp_path_factory.mktemp("tree")
    for name in {*product_files(), "pyproject.toml", "README.md", "LICENSE"}:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    (copy / "tests").mkdir()
    (copy / "tests" / "test_nothing.py").write_text("")
    build = "import setuptools.build_meta as b; b.build_wheel('out')"
    done = subprocess.run(
        [sys.executable, "-c", build],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (copy / "out").glob("diverloop-*.whl")
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_product_file_and_nothing_else(wheel_names):
    installed = {name for name in wheel_names if ".dist-info/" not in name}
    assert installed == {f"diverloop/{name}" for name in product_files()}


def test_the_wheel_holds_the_ready_sessions_and_its_types(wheel_names):
    assert "diverloop/py.typed" in wheel_names
    assert any(re.fullmatch(r"diverloop/sessions/[\w-]+\.toml", name) for name in wheel_names)


def test_the_wheel_holds_the_licence_and_the_command(wheel_names):
    inside = {name.split(".dist-info/")[1] for name in wheel_names if ".dist-info/" in name}
    assert {"licenses/LICENSE", "entry_points.txt", "METADATA"} <= inside


def test_the_wheel_holds_no_tests(wheel_names):
    assert not [name for name in wheel_names if re.search(r"(^|/)tests?[_/]", name)]


def test_the_core_needs_nothing_heavy():
    core = {distribution(requirement) for requirement in PROJECT["project"]["dependencies"]}
    assert core.isdisjoint(HEAVY)


@pytest.mark.parametrize("extra", ["fit", "mne", "test", "lint", "docs"])
def test_what_make_installs_never_brings_torch(extra):
    wanted = PROJECT["project"]["optional-dependencies"][extra]
    names = {distribution(requirement) for requirement in wanted}
    assert names.isdisjoint({"torch", "pyside6", "pyside6-essentials", "tensorrt"})
