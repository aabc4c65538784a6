"""What an installed diverloop consists of, seen from a wheel built from this tree."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import pytest
import yaml

from diverloop import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = [name.split(".")[1:] for name in PROJECT["tool"]["setuptools"]["packages"]]
HEAVY = {"torch", "mne", "pyside6", "pyside6-essentials", "tensorrt"}


def product_files() -> set[str]:
    """What the wheel should hold of this tree, as paths below the root."""
    files = {
        path.relative_to(ROOT).as_posix()
        for parts in PACKAGES
        for path in ROOT.joinpath(*parts).glob("*.py")
    }
    ready = {
        path.relative_to(ROOT).as_posix()
        for folder in ("calibrations", "sessions")
        for path in ROOT.glob(f"{folder}/*.toml")
    }
    return files | ready | {"py.typed"}


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


def script(name: str) -> ModuleType:
    """A program of .ci, as a module of its own."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def supply():
    """The script that makes the bill of materials and asks about vulnerabilities."""
    return script("supply")


def scanned(**vulns: list[str] | None) -> dict:
    """What pip-audit writes of packages; None for one that nobody was asked about."""
    rows = [
        {"name": name, "version": "1", "vulns": [{"id": one} for one in ids]}
        if ids is not None
        else {"name": name, "skip_reason": "not found"}
        for name, ids in vulns.items()
    ]
    return {"dependencies": rows}


KNOWN = scanned(jinja2=["PYSEC-2019-217"])


@pytest.mark.parametrize(
    ("canary", "report", "status", "words"),
    [
        (KNOWN, scanned(numpy=[], diverloop=None), 0, "against any of the 1 packages"),
        (KNOWN, scanned(numpy=[], six=["CVE-1"]), 1, "VULNERABLE: six 1: CVE-1"),
        (KNOWN, scanned(numpy=[], six=None), 3, "said nothing of six"),
        (KNOWN, scanned(), 3, "NOT SCANNED"),
        (KNOWN, None, 3, "NOT SCANNED"),
        (None, None, 3, "cannot be reached"),
        (scanned(jinja2=None), scanned(numpy=[]), 3, "cannot be reached"),
        (scanned(jinja2=[]), scanned(numpy=[]), 3, "cannot be reached"),
    ],
)
def test_a_scan_that_nobody_answered_is_no_clean_scan(supply, canary, report, status, words):
    got, told = supply.verdict(canary, report)
    assert (got, words in told) == (status, True)


def test_a_bill_of_materials_names_every_package_whatever_its_spelling(supply):
    bill = {
        "components": [{"name": "Rich"}, {"name": "ruamel_yaml"}],
        "metadata": {"component": {"name": "diverloop"}},
    }
    assert supply.missing(bill, ["rich", "ruamel.yaml", "diverloop"]) == []
    assert supply.missing(bill, ["rich", "numpy", "diverloop"]) == ["numpy"]


def test_what_is_cited_has_the_version_and_the_licence_that_is_installed():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert (cited["version"], cited["license"]) == (__version__, PROJECT["project"]["license"])
    assert {"message", "title", "authors"} <= cited.keys()


@pytest.fixture(scope="module")
def dist():
    """The script that builds what is released."""
    return script("dist")


def packed(folder: Path, names: list[str], mtime: int, mode: int) -> tuple[Path, Path]:
    """The same two files as a source archive and as a wheel, packed by somebody at some time."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
        os.utime(path, (mtime, mtime))
        path.chmod(mode)
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        for name in names:
            archive.add(folder / name, name)
    with ZipFile(folder / "a.whl", "w") as archive:
        for name in names:
            archive.write(folder / name, name)
    return folder / "a.tar.gz", folder / "a.whl"


def test_an_unpacked_sdist_has_a_time_without_git(dist, tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setattr(dist, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # where no git is
    assert dist.epoch() == 0


def test_who_built_it_and_when_leaves_no_trace_in_what_is_released(dist, tmp_path):
    names = ["a-1.dist-info/RECORD", "a/b.py"]
    one = packed(tmp_path / "one", names, 1_700_000_000, 0o644)
    two = packed(tmp_path / "two", names[::-1], 1_800_000_000, 0o600)
    assert dist.plain_tar(one[0], 1_750_000_000) == dist.plain_tar(two[0], 1_750_000_000)
    wheels = [dist.plain_zip(path, 1_750_000_000) for path in (one[1], two[1])]
    assert wheels[0] == wheels[1]
    with ZipFile(io.BytesIO(wheels[0])) as archive:
        assert archive.namelist() == names[::-1]  # RECORD is last
        assert archive.read("a/b.py") == b"content of a/b.py"


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """The script that runs the tests, over a folder that has three of them."""
    module = script("suite")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "CACHE", tmp_path / "build" / "cache")
    monkeypatch.setattr(module, "AGAIN", tmp_path / "build" / "again.xml")
    monkeypatch.setattr(module, "parts", lambda: {"tests": ("-q", "tests")})
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return module


def write_test(suite, text: str) -> None:
    """Put one test file where the script looks."""
    (suite.ROOT / "tests" / "test_it.py").write_text(text, encoding="utf-8")


def test_a_test_that_loses_a_race_gets_one_second_chance_and_is_named(suite, capfd):
    write_test(
        suite,
        "from pathlib import Path\n"
        "def test_race():\n"
        "    seen = Path(__file__).with_name('seen')\n"
        "    lost = not seen.exists()\n"
        "    seen.touch()\n"
        "    assert not lost\n",
    )
    assert suite.main() == 0
    assert "failed, then passed alone: tests/test_it.py::test_race" in capfd.readouterr().out
    assert suite.AGAIN.exists()


def test_what_fails_twice_fails_the_suite(suite, capfd):
    write_test(suite, "def test_well():\n    pass\ndef test_ill():\n    assert False\n")
    assert suite.main() == 1
    assert "FAILED twice: tests/test_it.py::test_ill" in capfd.readouterr().out


def test_a_part_that_does_not_run_to_its_end_fails_the_suite(suite, capfd):
    write_test(suite, "import os\ndef test_crash():\n    os._exit(3)\n")
    assert suite.main() == 1
    assert "'tests' did not run to its end" in capfd.readouterr().out
