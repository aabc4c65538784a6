"""Build the sdist, and the wheel from the sdist: the same bytes each time.

    python .ci/dist.py [FOLDER]       write into FOLDER, dist/ if not given

Everything is built from a copy of what git knows (or, in an unpacked sdist, of what is there), so
neither an old build nor a file that happens to lie about has a part in it. The wheel is built from
the sdist alone, which shows that the sdist is enough. Times, owners and rights are then set to one
value: SOURCE_DATE_EPOCH, or the time of the last commit. Needs setuptools, and no network.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRST_ZIP_S = 315532800  # 1980-01-01, before which a zip file knows no time
NOT_SOURCE = ("build", "dist", "recordings", "reports", "models", ".git", ".venv")


def main() -> int:
    """Build, write and say what was written."""
    target = Path(sys.argv[1] if sys.argv[1:] else ROOT / "dist").resolve()
    epoch_s = max(epoch(), FIRST_ZIP_S)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        copy_source(folder / "tree")
        sdist = hook("build_sdist", folder / "tree", folder / "sdist", epoch_s)
        with tarfile.open(sdist) as archive:
            archive.extractall(folder / "unpacked", filter="data")
        (unpacked,) = (folder / "unpacked").iterdir()
        wheel = hook("build_wheel", unpacked, folder / "wheel", epoch_s)
        target.mkdir(parents=True, exist_ok=True)
        for old in (*target.glob("diverloop-*"), target / "SHA256SUMS"):
            old.unlink(missing_ok=True)
        written = {
            sdist.name: plain_tar(sdist, epoch_s),
            wheel.name: plain_zip(wheel, epoch_s),
        }
    sums = ""
    for name, content in written.items():
        (target / name).write_bytes(content)
        sums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        print(f"dist: {target / name}, {len(content) / 1e6:.2f} MB")
    (target / "SHA256SUMS").write_text(sums)
    print(sums, end="")
    return 0


def epoch() -> int:
    """SOURCE_DATE_EPOCH, or the time of the last commit; 0 where there is neither."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    if not (ROOT / ".git").exists():
        return 0
    asked = ["git", "log", "-1", "--format=%ct"]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return int(told.stdout.strip() or 0)


def copy_source(folder: Path) -> None:
    """Copy what is source, and nothing else."""
    if (ROOT / ".git").exists():
        asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        names = [name for name in told.stdout.split("\0") if name and (ROOT / name).is_file()]
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
        return
    junk = shutil.ignore_patterns(*NOT_SOURCE, "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, ignore=junk)


def hook(name: str, tree: Path, out: Path, epoch_s: int) -> Path:
    """Run one of setuptools' build hooks in a tree; returns what it made."""
    out.mkdir()
    code = f"import setuptools.build_meta as b; b.{name}({str(out)!r})"
    told = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"dist: {name} failed:\n{done.stderr[-3000:]}")
    (made,) = out.iterdir()
    return made


def plain_tar(path: Path, epoch_s: int) -> bytes:
    """A source archive with its names in order, and nothing in it of who packed it, and when."""
    packed = io.BytesIO()
    with (
        tarfile.open(path) as old,
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=epoch_s) as outer,
        tarfile.open(fileobj=outer, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            content = old.extractfile(member) if member.isfile() else None
            told = tarfile.TarInfo(member.name)
            told.type, told.size, told.mtime = member.type, member.size, epoch_s
            told.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(told, content)
    return packed.getvalue()


def plain_zip(path: Path, epoch_s: int) -> bytes:
    """A wheel, likewise; RECORD stays last, as it has to be."""
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in sorted(
            old.infolist(), key=lambda one: (".dist-info/" in one.filename, one.filename)
        ):
            told = zipfile.ZipInfo(info.filename, time.gmtime(epoch_s)[:6])
            told.compress_type, told.create_system = zipfile.ZIP_DEFLATED, 3
            told.external_attr = 0o100644 << 16
            new.writestr(told, old.read(info))
    return packed.getvalue()


if __name__ == "__main__":
    sys.exit(main())
