"""What the product is made of, and what is known against it.

    python .ci/supply.py sbom FILE    write a CycloneDX bill of materials of this environment
    python .ci/supply.py audit        ask the vulnerability service about every package in it

`sbom` ends with 1 if the bill does not name every package that is installed. `audit` ends with 0 if
nothing is known against any package, with 1 if something is, and with 3 if that cannot be told: a
scan that nobody answered is no clean scan. Whether the service answers is shown by asking it about
an old release that it must know something against.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CANARY = "jinja2==2.10"  # CVE-2019-10906 and others
OWN = "diverloop"
CLEAN, FOUND, UNKNOWN = 0, 1, 3


def same_name(name: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(bill: dict[str, Any], installed: Iterable[str]) -> list[str]:
    """Installed packages that a bill of materials does not name."""
    listed = {same_name(part["name"]) for part in bill.get("components", [])}
    root = bill.get("metadata", {}).get("component", {}).get("name", "")
    return sorted({same_name(name) for name in installed} - listed - {same_name(root)})


def answers(canary: dict[str, Any] | None) -> bool:
    """Whether the service knows of the old release what it must."""
    return any(one.get("vulns") for one in (canary or {}).get("dependencies", []))


def verdict(canary: dict[str, Any] | None, report: dict[str, Any] | None) -> tuple[int, str]:
    """What a scan says, as exit status and words.

    Parameters
    ----------
    canary, report : dict or None
        What pip-audit wrote of the old release and of the environment; None if it wrote nothing.
    """
    if not answers(canary):
        return UNKNOWN, (
            f"NOT SCANNED: the vulnerability service cannot be reached, or does not know {CANARY}, "
            f"so nothing can be said of any package; scan again where it can be reached."
        )
    asked = [one for one in (report or {}).get("dependencies", []) if one["name"] != OWN]
    found = [one for one in asked if one.get("vulns")]
    if found:
        told = "; ".join(
            f"{one['name']} {one['version']}: {', '.join(each['id'] for each in one['vulns'])}"
            for one in found
        )
        return FOUND, f"VULNERABLE: {told}. Update them, or say in docs/provenance.md why not."
    left_out = [one["name"] for one in asked if "vulns" not in one]
    if not asked or left_out:
        names = ", ".join(left_out) or "every package"
        return UNKNOWN, f"NOT SCANNED: the service said nothing of {names}; nothing else is known."
    return CLEAN, f"Nothing is known against any of the {len(asked)} packages."


def main() -> int:
    """Do what the command line asks for."""
    if sys.argv[1:2] == ["audit"]:
        with tempfile.TemporaryDirectory() as folder:
            asked = Path(folder) / "canary.txt"
            asked.write_text(CANARY + "\n")
            canary = _scan(Path(folder) / "canary", "-r", asked, "--no-deps", "--disable-pip")
            report = _scan(Path(folder) / "all") if answers(canary) else None
        status, words = verdict(canary, report)
        print(f"audit: {words}")
        return status
    target = Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    command = ("-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml"))
    form = ("--validate", "--of", "JSON", "-o", str(target), sys.executable)
    subprocess.run([sys.executable, *command, *form], check=True)
    bill = json.loads(target.read_text(encoding="utf-8"))
    left_out = missing(bill, (one.metadata["Name"] for one in metadata.distributions()))
    named = f"{len(bill.get('components', []))} packages"
    print(f"sbom: {target}, {named}" + (f", and NOT {', '.join(left_out)}" if left_out else ""))
    return 1 if left_out else 0


def _scan(target: Path, *options: object) -> dict[str, Any] | None:
    """What pip-audit says; None if it cannot say anything."""
    command = [sys.executable, "-m", "pip_audit", "-f", "json", "-o", str(target)]
    quiet = ["--progress-spinner", "off", "--timeout", "10"]
    done = subprocess.run(
        [*command, *quiet, *map(str, options)], capture_output=True, text=True, check=False
    )
    try:
        found: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        print(f"audit: pip-audit gave up: {(done.stderr.strip() or '?').splitlines()[-1][:200]}")
        return None
    return found


if __name__ == "__main__":
    sys.exit(main())
