"""Build the program that runs without a Python, and try it: doctor, demo, run, replay, verify.

    python .ci/standalone.py [WHEEL]     the wheel in dist/ if not given

PyInstaller works in an environment of its own below build/, which holds the wheel and nothing of
this checkout. The answer is one JSON object: size, and how long each step took. The program is
build/standalone/diverloop, a folder that can be copied to a machine with the same system.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "build" / "standalone"
PYINSTALLER = "pyinstaller>=6.11,<7"


def main() -> int:
    """Build, try, tell."""
    wheels = [Path(sys.argv[1])] if sys.argv[1:] else sorted((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        print(f"standalone: {len(wheels)} wheels, needed is one: make dist", file=sys.stderr)
        return 2
    started = time.monotonic()
    python = HERE / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HERE / "venv")], check=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, PYINSTALLER, str(wheels[0].resolve())], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(wheels[0].resolve())], check=True)
    build = ["--noconfirm", "--log-level", "ERROR", "--distpath", str(HERE), "--workpath"]
    subprocess.run(
        [str(python), "-m", "PyInstaller", *build, str(HERE / "work"), ".ci/standalone.spec"],
        cwd=ROOT,
        check=True,
    )
    built_s = time.monotonic() - started
    program = HERE / "diverloop"
    answer = {"built_s": round(built_s, 1), "program": str(program), **tried(program / "diverloop")}
    answer["megabytes"] = bare_install().megabytes(program)
    print(json.dumps(answer, indent=2))
    return 0 if answer["works"] else 1


def tried(program: Path) -> dict[str, Any]:
    """Run what a bare install is tried with, from an empty folder with an empty home."""
    bare = bare_install()
    with tempfile.TemporaryDirectory() as made:
        empty = Path(made) / "empty"
        empty.mkdir()
        row = {"works": False, "steps": {}}
        asked = argparse.Namespace(live_s="5", quick=False)
        return dict(bare.run_steps(bare.commands(str(program), empty, asked), empty, row))


def bare_install() -> Any:
    """The script beside this one, as a module."""
    spec = importlib.util.spec_from_file_location("bare_install", ROOT / ".ci" / "bare_install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
