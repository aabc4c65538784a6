"""Install what is built where nothing is: does it run, how long does it take, how big is it.

    python .ci/bare_install.py                            this Python, the wheel in dist/
    python .ci/bare_install.py --pythons 3.11 3.12 3.13   those of them that are here
    python .ci/bare_install.py --sizes                    also the size of the install by extra

For each Python a new environment is made, only the wheel (with ``--extra``) is put into it, and the
commands run from an empty folder with an empty home: doctor, demo, a recorded run, its replay and
its verification. The answer is one JSON object; the exit status is 0 if all of it worked.

Sizes are what an extra's packages take on a disk for this Python and system: counted from the files
of the environment for the plain install, and for extras from what pip would download
(``pip install --dry-run --report``; packages of gigabytes are counted without being fetched).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
SESSION = """
[session]
name = "bare"
[source]
kind = "simulator"
classes = ["left", "right"]
duration_s = 6.0
[model]
bundle = "{bundle}"
"""
NOT_EXTRAS = ("test", "lint", "docs", "supply", "fuzz", "dist")


def main() -> int:
    """Do what was asked, print it as JSON."""
    asked = arguments()
    wheels = sorted(Path(asked.dist).glob("diverloop-*.whl"))
    if len(wheels) != 1:
        print(
            f"bare: {len(wheels)} wheels in {asked.dist}, needed is one: make dist", file=sys.stderr
        )
        return 2
    pythons = {name: found for name in asked.pythons if (found := interpreter(name))}
    absent = sorted(set(asked.pythons) - set(pythons))
    rows = [tried(name, path, wheels[0].resolve(), asked) for name, path in pythons.items()]
    answer: dict[str, Any] = {"wheel": wheels[0].name, "absent": absent, "pythons": rows}
    if asked.sizes and pythons:
        answer["extras"] = sizes(next(iter(pythons.values())), wheels[0].resolve())
    print(json.dumps(answer, indent=2))
    return 0 if rows and all(row["works"] for row in rows) else 1


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--pythons", nargs="+", default=[here])
    parser.add_argument("--dist", default=str(ROOT / "dist"))
    parser.add_argument("--extra", default="", help="as fit,gui")
    parser.add_argument("--live-s", default="5")
    parser.add_argument("--quick", action="store_true", help="doctor and demo only")
    parser.add_argument("--sizes", action="store_true")
    return parser.parse_args()


def interpreter(name: str) -> str | None:
    """A Python of that version: this one, one on the path, or one of pyenv's."""
    if sys.version.startswith(f"{name}."):
        return sys.executable
    candidates = [*sorted(PYENV.glob(f"{name}.*/bin/python")), shutil.which(f"python{name}")]
    for candidate in filter(None, candidates):
        done = subprocess.run([str(candidate), "-V"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and f" {name}." in done.stdout:
            return str(candidate)
    return None


def tried(name: str, python: str, wheel: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Install and run; what was done, how long it took, and the end of what went wrong."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        row: dict[str, Any] = {"python": name, "works": False, "steps": {}}
        venv, empty = folder / "venv", folder / "empty"
        empty.mkdir()
        binaries = venv / ("Scripts" if os.name == "nt" else "bin")
        what = f"{wheel}[{asked.extra}]" if asked.extra else str(wheel)
        steps = {
            "venv": [python, "-m", "venv", str(venv)],
            "install": [str(binaries / "python"), "-m", "pip", "install", "-q", what],
            **commands(str(binaries / "diverloop"), empty, asked),
        }
        done = run_steps(steps, empty, row)
        return {**done, "installed_mb": megabytes(venv)}


def run_steps(steps: dict[str, list[str]], empty: Path, row: dict[str, Any]) -> dict[str, Any]:
    """Run commands one after the other in an empty folder, until one fails.

    What the demonstration kept and where the session was recorded is put into the commands after.
    """
    found: dict[str, str] = {}
    for step, command in steps.items():
        started = time.monotonic()
        done = call([word.format(**found) for word in command], empty, empty.parent)
        row["steps"][step] = round(time.monotonic() - started, 1)
        if done.returncode:
            return {**row, "failed": {"step": step, "status": done.returncode, "said": tail(done)}}
        if step == "demo":
            (bundle,) = (empty / "kept").glob("*.bundle")
            (empty / "s.toml").write_text(SESSION.format(bundle=bundle.as_posix()))
            found["bundle"] = str(bundle)
        if step == "run":
            found["recording"] = json.loads(done.stdout)["recording"]
    return {**row, "works": True}


def commands(diverloop: str, empty: Path, asked: argparse.Namespace) -> dict[str, list[str]]:
    """What is run, in this order."""
    demo = ["demo", "--live-s", asked.live_s, "--long-s", "0", "--no-view", "--json"]
    plain = {
        "doctor": [diverloop, "doctor", "--quick", "--json"],
        "demo": [diverloop, *demo, "--keep", str(empty / "kept")],
    }
    if asked.quick:
        return plain
    replayed = ["replay", "{recording}/recording.xdf", "--model", "{bundle}", "--json"]
    return {
        **plain,
        "run": [diverloop, "run", str(empty / "s.toml"), "--arm", "--no-view", "--json"],
        "replay": [diverloop, *replayed],
        "verify": [diverloop, "verify", "{recording}", "--json"],
    }


def call(command: list[str], cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody would who has nothing of ours but the wheel."""
    told = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "DIVERLOOP"))
    }
    told.pop("VIRTUAL_ENV", None)
    told |= {"DIVERLOOP_HOME": str(home / "home"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        command, cwd=cwd, env=told, capture_output=True, text=True, check=False, timeout=900
    )


def tail(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a command said."""
    return (done.stdout[-400:] + done.stderr[-800:]).strip()


def megabytes(folder: Path) -> float:
    """Size of the files below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in found) / 1e6, 1)


def sizes(python: str, wheel: Path) -> dict[str, Any]:
    """What pip would download for each extra, beyond the plain install, in megabytes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [one for one in project["project"]["optional-dependencies"] if one not in NOT_EXTRAS]
    plain = wanted(python, str(wheel))
    if plain is None:
        return {}
    answer: dict[str, Any] = {"": {"packages": len(plain), "download_mb": total(plain)}}
    for extra in extras:
        all_of_it = wanted(python, f"{wheel}[{extra}]")
        if all_of_it is None:
            answer[extra] = {"refused": "pip finds no set of packages for it here"}
            continue
        more = {name: url for name, url in all_of_it.items() if name not in plain}
        answer[extra] = {"packages": len(more), "download_mb": total(more)}
    return answer


def wanted(python: str, what: str) -> dict[str, str] | None:
    """Packages that pip would install into an empty environment, and where each is."""
    with tempfile.TemporaryDirectory() as made:
        report = Path(made) / "report.json"
        command = [python, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
        done = subprocess.run(
            [*command, "--report", str(report), what], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return None
        rows = json.loads(report.read_text())["install"]
    return {row["metadata"]["name"].lower(): row["download_info"]["url"] for row in rows}


def total(packages: dict[str, str]) -> float:
    """Megabytes behind some addresses, as their server tells without sending them."""
    found = 0
    for url in packages.values():
        if url.startswith("file:"):
            found += Path(url.removeprefix("file://")).stat().st_size
            continue
        asked = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(asked, timeout=30) as reply:
            found += int(reply.headers.get("Content-Length", 0))
    return round(found / 1e6, 1)


if __name__ == "__main__":
    sys.exit(main())
