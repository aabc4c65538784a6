"""The rules of the house, held on every file of the product by reading its syntax tree.

A rule that fails lists every place that breaks it, as ``path:line: what``, so that one run shows
the whole of the work. Imports inside functions count like any other: a lazy import still couples.
"""

from __future__ import annotations

import ast
import gc
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
FOLDERS = ("adapters", "cohort", "decoders", "gui", "hardware", "rl", "runtime")
# Whole sessions with a fault in each: like a command, it knows every folder.
CAMPAIGN = "faults"
# The only files that may know every folder: a session file -> stages -> a command.
DOORS = (
    "__main__.py", "adapting.py", "assembly.py", "calibration.py", "calibration_commands.py",
    "checking.py", "cleaning.py", "cli.py", "cohort_commands.py", "cohort_features.py",
    "cohort_fitting.py", "cohort_replaying.py", "cohort_report.py", "cohort_studying.py",
    "console.py", "console_work.py", "control_commands.py", "controlling.py", "corpus_building.py",
    "corpus_commands.py", "corpus_folder.py", "corpus_recipe.py", "corpus_zarr.py",
    "cost_commands.py", "demo.py", "engine_commands.py", "error_detecting.py", "fit_plan.py",
    "flicker_lock.py", "gathering.py", "guiding.py", "guiding_look.py", "guiding_report.py",
    "guiding_run.py", "keeping.py", "key_commands.py", "listening.py", "model_commands.py",
    "montage_commands.py", "protocol_commands.py", "proving.py", "recentring.py",
    "record_commands.py", "registry_commands.py", "rehearsal.py", "reporting.py", "run_report.py",
    "running.py", "screen_commands.py", "screening.py", "showing.py", "study_commands.py",
    "study_sources.py", "studying.py", "timing_commands.py", "training_sources.py",
    "trust_commands.py", "viewing.py",
)  # fmt: skip

# Where each heavy or device-bound package may be imported.
HOMES = {
    "torch": ("decoders/", "adapters/", "rl/"),
    "onnx": ("decoders/engines/",),
    "onnxruntime": ("decoders/engines/",),
    "onnxscript": ("decoders/engines/",),
    "openvino": ("decoders/engines/",),
    "tensorrt": ("decoders/engines/",),
    "tensorrt_rtx": ("decoders/engines/",),
    "PySide6": ("gui/",),
    "pyqtgraph": ("gui/",),
    "pycbsdk": ("hardware/",),
    "pylsl": ("hardware/",),
    "brainflow": ("hardware/",),
    "mne_realtime": ("hardware/",),
    "serial": ("hardware/",),
    "pythonosc": ("hardware/",),
    "evdev": ("hardware/keyboard_sink.py",),
    "mne": ("hardware/", "runtime/record/bids.py"),
    "gymnasium": ("rl/",),
    "sklearn": ("decoders/", "adapters/"),
    "picard": ("decoders/",),
    "rich": ("gui/", "cli.py", "console.py"),
    "typer": (
        "calibration_commands.py",
        "checking.py",
        "cli.py",
        "cohort_commands.py",
        "console.py",
        "control_commands.py",
        "corpus_commands.py",
        "cost_commands.py",
        "engine_commands.py",
        "faults/commands.py",
        "key_commands.py",
        "model_commands.py",
        "montage_commands.py",
        "protocol_commands.py",
        "record_commands.py",
        "registry_commands.py",
        "screen_commands.py",
        "study_commands.py",
        "timing_commands.py",
        "trust_commands.py",
    ),
    "zmq": (
        "adapters/speech/",
        "faults/intruders.py",  # knocks at the door without a key
        "faults/processes.py",  # writes rubbish to every port
        "hardware/command_listener.py",
        "hardware/zmq_sink.py",
        "runtime/control.py",
        "runtime/control_client.py",
        "runtime/doorkeeper.py",
        "runtime/keys.py",
        "runtime/publishing.py",
        "runtime/record/note_server.py",
        "runtime/telemetry.py",
    ),
    "cryptography": ("runtime/record/signing.py",),
    "matplotlib": (
        "decoders/engines/measuring_plot.py",
        "rl/study/picture.py",
        "runtime/record/report/",
    ),
    "weasyprint": ("runtime/record/report/",),
    "mne_bids": ("runtime/record/bids.py",),
    "pybv": ("runtime/record/bids.py",),
    "h5py": ("hardware/",),
    "pynwb": ("runtime/record/nwb.py", "runtime/record/nwb_tables.py"),
    "hdmf": ("runtime/record/nwb.py",),
    "dask": ("cohort/clusters.py",),
    "dask_jobqueue": ("cohort/clusters.py",),
    "distributed": ("cohort/",),
    "pyarrow": ("cohort/table.py",),
    "zarr": ("corpus_zarr.py",),
    "huggingface_hub": ("runtime/store/hub.py",),
}
# Too heavy, or too often missing, to be imported because somebody imported diverloop.
LAZY = (
    "PySide6", "brainflow", "cryptography", "dask", "dask_jobqueue", "distributed", "evdev",
    "gymnasium", "h5py", "hdmf", "huggingface_hub", "matplotlib", "mne", "mne_bids", "mne_realtime",
    "onnx", "onnxruntime", "onnxscript", "openvino", "picard", "pyarrow", "pybv", "pycbsdk",
    "pynwb", "pyqtgraph", "pythonosc", "serial", "sklearn", "tensorrt", "tensorrt_rtx",
    "torch", "weasyprint", "zarr",
)  # fmt: skip
# What whole files may be made of; such a file is as heavy to whoever imports it.
THROUGHOUT = ("torch", "PySide6", "pyqtgraph", "gymnasium")
# The loop needs numpy and nothing that has a device, a window or a training set behind it.
FOREIGN_TO_THE_LOOP = (
    *LAZY,
    "gymnasium",
    "matplotlib",
    "pylsl",
    "rich",
    "typer",
    "zmq",
)
FORBIDDEN_NAMES = ("base", "common", "core", "helpers", "manager", "misc", "util", "utils")
PICKLING = (
    "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle",
    "pickle5", "shelve",
)  # fmt: skip
# Calls that run what a file says, unless told otherwise by the keyword beside them.
RUNS_FILES = {"torch.load": ("weights_only", "True"), "yaml.load": ("", ""), "runpy": ("", "")}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60  # without its docstring: numpydoc must not be what makes a function long
# What is tested here has no source file of its own; everything else mirrors the product's tree.
OF_THE_WHOLE = (
    "bench",
    "faults",
    "pictures",
    "replay",
    "test_architecture.py",
    "test_documented.py",
    "test_formats.py",
    "test_live.py",
    "test_mne_lsl.py",
    "test_packaging.py",
    "test_performance.py",
    "test_safety_case.py",
    "test_sessions.py",
    "test_several_machines.py",
    "test_tutorials.py",
)
NOTICE = "investigational, not a medical device"

Function = ast.FunctionDef | ast.AsyncFunctionDef
# All but contexts and operators, half of a tree, which no rule can point at.
ON_A_LINE = (
    ast.Module, ast.stmt, ast.expr, ast.arg, ast.keyword, ast.alias, ast.excepthandler,
    ast.pattern, ast.withitem,
)  # fmt: skip


def product_files() -> list[Path]:
    """Every Python file that is installed: the root's own, and all below the folders."""
    found = list(ROOT.glob("*.py"))
    for folder in (*FOLDERS, CAMPAIGN):
        found += (ROOT / folder).rglob("*.py")
    return sorted(found)


def collected_files() -> list[Path]:
    """Every file that pytest collects."""
    return sorted(TESTS.rglob("test_*.py"))


def name_of(path: Path) -> str:
    """Path below the root, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node that stands on a line of a file, walked to once for all rules."""
    return tuple(node for node in ast.walk(tree_of(path)) if isinstance(node, ON_A_LINE))


@pytest.fixture(scope="module", autouse=True)
def trees_for_these_tests_alone():
    """A million nodes make every collection of garbage slow: none here, and no nodes afterwards."""
    gc.disable()
    yield
    for kept in (tree_of, nodes_of, dotted, imported_at_once):
        kept.cache_clear()
    gc.enable()


def places(rule: Callable[[Path, ast.AST], str | None], paths: Iterable[Path]) -> list[str]:
    """``path:line: what`` for every node in which a rule sees something wrong."""
    return [
        f"{name_of(path)}:{getattr(node, 'lineno', 1)}: {wrong}"
        for path in paths
        for node in nodes_of(path)
        if (wrong := rule(path, node)) is not None
    ]


def report(wrong: list[str]) -> str:
    """One line per place, for the failing assertion."""
    return "\n" + "\n".join(wrong)


def module_of(path: Path) -> tuple[str, ...]:
    """Dotted name of a product file, as parts: ``("diverloop", "runtime", "ring")``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ("diverloop", *(parts[:-1] if parts[-1] == "__init__" else parts))


def imported(path: Path, node: ast.AST) -> list[tuple[str, ...]]:
    """Absolute names, as parts, of what an import statement or `import_module` brings in."""
    if (literal := name_asked_for(node)) is not None:
        return [absolute(path, literal)]
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    stem = absolute(path, "." * node.level + (node.module or ""))
    return [(*stem, alias.name) for alias in node.names]


def absolute(path: Path, name: str) -> tuple[str, ...]:
    """Absolute name, as parts, of a module as a file names it, relative or not."""
    tail = name.lstrip(".")
    level = len(name) - len(tail)
    stem = tuple(tail.split(".")) if tail else ()
    if not level:
        return stem
    here = module_of(path)
    package = here if path.name == "__init__.py" else here[:-1]
    return (*package[: len(package) - level + 1], *stem)


def is_import_call(node: ast.AST) -> bool:
    """Whether a node imports a module by calling a function with its name."""
    return isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in (
        "import_module",
        "__import__",
    )


def name_asked_for(node: ast.AST) -> str | None:
    """The name that `import_module` is called with, if it stands there in full."""
    if isinstance(node, ast.Call) and is_import_call(node) and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return name.value
    return None


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported: not function bodies, not TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_import_time(child)


@cache
def dotted(node: ast.AST) -> str:
    """``"np.random.seed"`` for a chain of names, else the empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


# --- who may import whom ---------------------------------------------------------------------


def leaves_the_star(path: Path, node: ast.AST) -> str | None:
    """What an import statement does against the star of imports."""
    home = path.relative_to(ROOT).parts[0]
    allowed = {"runtime", home} if home in FOLDERS else {"runtime"}
    for parts in imported(path, node):
        if parts[0] in FOLDERS:
            return f"imports {parts[0]} by its bare name; write a relative import"
        if parts[0] != "diverloop" or len(parts) < 2:
            continue
        if parts[1] == CAMPAIGN and name_of(path) != "cli.py" and home != CAMPAIGN:
            return f"imports {'.'.join(parts)}, which only the command line may"
        if name_of(path) in DOORS or home == CAMPAIGN:
            continue
        if parts[1] in FOLDERS and parts[1] not in allowed:
            return f"imports {'.'.join(parts)}; allowed here: {', '.join(sorted(allowed))}"
        if home in FOLDERS and f"{parts[1]}.py" in DOORS:
            return f"imports {'.'.join(parts)}, which imports every folder"
    return None


def test_imports_form_a_star_around_runtime():
    wrong = places(leaves_the_star, product_files())
    assert not wrong, report(wrong)


def hides_what_it_imports(path: Path, node: ast.AST) -> str | None:
    """Calls of `import_module` that no other rule here can follow."""
    if not is_import_call(node) or name_asked_for(node) is not None:
        return None
    # f".{name}" stays within the folder at hand, so it cannot leave the star.
    stays = re.match(r"""f['"]\.[^.]""", ast.unparse(node.args[0])) if node.args else None
    return None if stays else "imports by a name that cannot be read here"


def test_only_the_catalogue_hides_what_it_imports():
    paths = [path for path in product_files() if name_of(path) != "runtime/catalog.py"]
    wrong = places(hides_what_it_imports, paths)
    assert not wrong, report(wrong)


def strays(path: Path, node: ast.AST) -> str | None:
    """A heavy package imported away from its home."""
    for parts in imported(path, node):
        homes = HOMES.get(parts[0])
        if homes is not None and not name_of(path).startswith(homes):
            return f"imports {parts[0]}; its home is {', '.join(homes)}"
    return None


def test_heavy_packages_are_imported_only_where_they_belong():
    wrong = places(strays, product_files())
    assert not wrong, report(wrong)


@cache
def imported_at_once(path: Path) -> tuple[tuple[ast.AST, tuple[str, ...]], ...]:
    """What importing a file imports: each statement, and every name it brings in."""
    return tuple(
        (node, parts) for node in at_import_time(tree_of(path)) for parts in imported(path, node)
    )


@cache
def heavy_throughout() -> dict[tuple[str, ...], Path]:
    """Modules that are torch or Qt through and through, by name: they import it at once."""
    return {
        module_of(path): path
        for path in product_files()
        for package in THROUGHOUT
        if name_of(path).startswith(HOMES[package])
        and any(parts[0] == package for _, parts in imported_at_once(path))
    }


def test_heavy_packages_are_imported_only_inside_functions():
    wrong = [
        f"{name_of(path)}:{getattr(node, 'lineno', 1)}: imports {parts[0]} at module level"
        for path in product_files()
        for node, parts in imported_at_once(path)
        if parts[0] in LAZY and not (parts[0] in THROUGHOUT and path in heavy_throughout().values())
    ]
    assert not wrong, report(wrong)


def test_what_is_made_of_something_heavy_is_heavy_itself():
    wrong = [
        f"{name_of(path)}:{getattr(node, 'lineno', 1)}: imports {'.'.join(parts)} at module level"
        for path in product_files()
        if path not in heavy_throughout().values()
        for node, parts in imported_at_once(path)
        if {parts, parts[:-1]} & heavy_throughout().keys()
    ]
    assert not wrong, report(wrong)


@pytest.mark.parametrize(
    ("module", "foreign"),
    [
        ("loop", FOREIGN_TO_THE_LOOP),
        # One that was killed is replaced while messages wait: scipy takes it six times as long.
        ("record.recorder", (*set(FOREIGN_TO_THE_LOOP) - {"zmq"}, "scipy")),
    ],
)
def test_importing_the_loop_or_the_recorder_brings_in_nothing_heavy(module, foreign):
    script = (
        f"import sys, diverloop.runtime.{module}\n"
        f"print(*sorted(set({foreign!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


# --- names, lengths, docstrings --------------------------------------------------------------


def test_no_file_or_folder_has_a_name_that_says_nothing():
    files = [*product_files(), *TESTS.rglob("*.py")]
    folders = {folder for path in files for folder in path.parents if ROOT in folder.parents}
    wrong = sorted(
        name_of(path)
        for path in (*files, *folders)
        if path.stem.removeprefix("test_").strip("_") in FORBIDDEN_NAMES
    )
    assert not wrong, report(wrong)


def test_no_product_file_is_longer_than_it_can_be_read():
    wrong = [
        f"{name_of(path)}: {lines} lines, allowed are {MAX_FILE_LINES}"
        for path in product_files()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    ]
    assert not wrong, report(wrong)


def code_lines(function: Function) -> int:
    """Lines of a function, from ``def`` to its end, less its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    text = function.body[0]
    return lines - ((text.end_lineno or text.lineno) - text.lineno + 1)


def is_long(path: Path, node: ast.AST) -> str | None:
    """A function that does not fit on a page."""
    if isinstance(node, Function) and (lines := code_lines(node)) > MAX_FUNCTION_LINES:
        return f"{node.name} has {lines} lines, allowed are {MAX_FUNCTION_LINES}"
    return None


def test_no_function_is_longer_than_a_page():
    wrong = places(is_long, product_files())
    assert not wrong, report(wrong)


def undocumented(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    """Public classes, functions and methods below a node that say nothing about themselves."""
    for child in node.body:
        if not isinstance(child, ast.ClassDef | Function) or child.name.startswith("_"):
            continue
        # A setter and an overload are described by the property and the function they belong to.
        marks = {dotted(mark).split(".")[-1] for mark in getattr(child, "decorator_list", ())}
        if not ast.get_docstring(child) and not marks & {"setter", "deleter", "overload"}:
            yield f"{child.lineno}: {prefix}{child.name} has no docstring"
        if isinstance(child, ast.ClassDef):
            yield from undocumented(child, f"{child.name}.")


def test_every_module_and_everything_public_has_a_docstring():
    wrong = [
        f"{name_of(path)}:1: has no docstring"
        for path in product_files()
        if not ast.get_docstring(tree_of(path))
    ]
    wrong += [
        f"{name_of(path)}:{place}"
        for path in product_files()
        for place in undocumented(tree_of(path))
    ]
    assert not wrong, report(wrong)


# --- what product code does not do -----------------------------------------------------------


def pickles(path: Path, node: ast.AST) -> str | None:
    """Anything by which loading a file would run code."""
    for parts in imported(path, node):
        if parts[0] in PICKLING:
            return f"imports {parts[0]}: a model file must not be able to run code"
    allows = isinstance(node, ast.keyword) and node.arg == "allow_pickle"
    if allows and ast.unparse(node.value) != "False":
        return "allows pickled arrays"
    if not isinstance(node, ast.Call):
        return None
    called = dotted(node.func)
    last = called.split(".")[-1]
    if last in ("read_pickle", "unsafe_load"):
        return f"calls {called}"
    if last != "load" and not called.startswith(tuple(RUNS_FILES)):
        return None  # writing out the arguments of every call takes seconds
    told = {keyword.arg or "**": ast.unparse(keyword.value) for keyword in node.keywords}
    if "**" in told and last == "load":
        return f"calls {called} with what cannot be read here"
    for one, (keyword, value) in RUNS_FILES.items():
        if (called == one or called.startswith(f"{one}.")) and told.get(keyword) != value:
            return f"calls {called} without {keyword or 'anything that would make it safe'}"
    return None


def runs_text(path: Path, node: ast.AST) -> str | None:
    """Calls of the built-in eval, exec and compile, and of what evaluates text by another name."""
    called = dotted(node.func) if isinstance(node, ast.Call) else ""
    bare = called.removeprefix("builtins.")
    return f"calls {called}" if bare in ("eval", "exec", "compile", "execfile") else None


def escapes_by_name(path: Path, node: ast.AST) -> str | None:
    """Mentions of pickling, eval or exec that a rule about calls would not see."""
    aliased = isinstance(node, ast.Name | ast.Attribute) and dotted(node) in (
        "eval", "exec", "builtins.eval", "builtins.exec", "np.lib.format.read_array",
        "torch.serialization.load", "torch.jit.load", "torch.package.PackageImporter",
    )  # fmt: skip
    return f"mentions {dotted(node)}" if aliased else None


def reads_the_wall_clock(path: Path, node: ast.AST) -> str | None:
    """Uses of `time.time`, which steps when somebody sets the clock."""
    if dotted(node) in ("time.time", "time.time_ns"):
        return f"uses {dotted(node)}; time is passed in, and monotonic"
    if any(parts in (("time", "time"), ("time", "time_ns")) for parts in imported(path, node)):
        return "imports the wall clock from time"
    return None


def swallows_everything(path: Path, node: ast.AST) -> str | None:
    """Handlers that would hide an error nobody thought of."""
    if isinstance(node, ast.ExceptHandler):
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        for kind in caught:
            if kind is None:
                return "a bare except"
            if dotted(kind).split(".")[-1] in ("Exception", "BaseException"):
                return f"catches {dotted(kind)}"
    suppressed = (
        {dotted(kind) for kind in node.args}
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] == "suppress"
        else set()
    )
    return "suppresses every exception" if suppressed & {"Exception", "BaseException"} else None


def rolls(path: Path, node: ast.AST) -> str | None:
    """Uses of `numpy.roll`, which copies the whole buffer for every chunk."""
    if dotted(node) in ("np.roll", "numpy.roll") or ("numpy", "roll") in imported(path, node):
        return "uses np.roll"
    return None


def prints(path: Path, node: ast.AST) -> str | None:
    """Calls of print: the command line writes through rich, everything else stays silent."""
    return "prints" if isinstance(node, ast.Call) and dotted(node.func) == "print" else None


@pytest.mark.parametrize(
    "rule",
    [pickles, runs_text, escapes_by_name, reads_the_wall_clock, swallows_everything, rolls, prints],
    ids=lambda rule: rule.__name__,
)
def test_product_code_never(rule):
    wrong = places(rule, product_files())
    assert not wrong, report(wrong)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (pickles, "import pickle"),
        (pickles, "np.load(path, allow_pickle=True)"),
        (pickles, "from pickle import loads"),
        (pickles, "np.load(path, **options)"),
        (pickles, "torch.load(path)"),
        (pickles, "torch.load(path, weights_only=False)"),
        (pickles, "yaml.load(text)"),
        (pickles, "runpy.run_path(path)"),
        (pickles, "pandas.read_pickle(path)"),
        (pickles, "def f():\n    import shelve"),
        (runs_text, "eval('1')"),
        (runs_text, "compile(text, 'x', 'exec')"),
        (escapes_by_name, "run = eval"),
        (escapes_by_name, "model = torch.jit.load(path)"),
        (reads_the_wall_clock, "now = time.time()"),
        (reads_the_wall_clock, "from time import time"),
        (swallows_everything, "try:\n    go()\nexcept:\n    pass"),
        (swallows_everything, "try:\n    go()\nexcept (ValueError, Exception):\n    pass"),
        (swallows_everything, "with contextlib.suppress(Exception):\n    go()"),
        (rolls, "x = np.roll(x, 1)"),
        (prints, "def f():\n    print('x')"),
        (leaves_the_star, "def f():\n    from ..hardware import lsl"),
        (leaves_the_star, "def f():\n    from .. import hardware"),
        (leaves_the_star, "import diverloop.gui.terminal"),
        (leaves_the_star, "from runtime import ring"),
        (leaves_the_star, "from ..cli import app"),
        (leaves_the_star, "importlib.import_module('diverloop.gui')"),
        (leaves_the_star, "importlib.import_module('..gui', __package__)"),
        (strays, "import_module('pylsl')"),
        (hides_what_it_imports, "importlib.import_module(name)"),
        (hides_what_it_imports, "importlib.import_module(f'..{name}', __package__)"),
        (strays, "def f():\n    import zmq.asyncio"),
    ],
)
def test_each_rule_sees_what_it_forbids(rule, code):
    # As if it stood in a file of runtime: a rule that finds nothing anywhere proves nothing.
    path = ROOT / "runtime" / "ring.py"
    assert any(rule(path, node) for node in ast.walk(ast.parse(code)))


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (pickles, "np.load(path, allow_pickle=False)"),
        (pickles, "torch.load(path, weights_only=True)"),
        (pickles, "json.load(file)"),
        (runs_text, "re.compile('x')"),
        (runs_text, "model.eval()"),
        (swallows_everything, "try:\n    go()\nexcept OSError:\n    pass"),
        (prints, "console.print('x')"),
        (hides_what_it_imports, "importlib.import_module(f'.{name}', __package__)"),
        (leaves_the_star, "from .messages import Chunk"),
        (leaves_the_star, "from ..runtime.messages import Chunk"),
    ],
)
def test_no_rule_forbids_what_is_allowed(rule, code):
    path = ROOT / "runtime" / "ring.py"
    assert not any(rule(path, node) for node in ast.walk(ast.parse(code)))


# --- packages, notice, tests -----------------------------------------------------------------


def test_packages_listed_by_hand_are_the_folders_on_disk():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent for path in product_files()}
    on_disk = {".".join(("diverloop", *folder.relative_to(ROOT).parts)) for folder in folders}
    assert sorted(listed["tool"]["setuptools"]["packages"]) == sorted(on_disk)


def test_every_folder_of_the_product_is_a_package():
    folders = {path.parent for path in product_files()}
    missing = [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]
    assert not missing, report(sorted(missing))


def the_map(page: str) -> str:
    """What a page draws below its heading "The map"."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.partition("## The map")[2].partition("\n## ")[0]


def test_the_map_of_the_architecture_page_is_true():
    drawn = the_map("docs/architecture.md")
    named = set(re.findall(r"[\w*]+\.py", drawn)) | {
        f"{name}.py" for name in re.findall(r"\w+_?\*(?!\.)", drawn)
    }
    files = {path.name for path in product_files()}
    gone = sorted(name for name in named if not any(fnmatch(file, name) for file in files))
    roots = [path.name for path in sorted(ROOT.glob("*.py"))]
    left_out = [file for file in roots if not any(fnmatch(file, name) for name in named)]
    page = "docs/architecture.md"
    assert not gone, report(f"{page}: {name} is on the map and nowhere else" for name in gone)
    assert not left_out, report(f"{page}: {name} is not on the map" for name in left_out)


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_folder_is_on_the_map_and_every_folder_on_it_is_there(page):
    drawn = the_map(page)
    wanted = {f"{folder}/" for folder in (*FOLDERS, CAMPAIGN)}
    left_out = sorted(wanted - set(re.findall(r"\w+/", drawn)))
    first = [line.split() for line in re.findall(r"^(?: {4})?(\w+/.*)$", drawn, re.M)]
    gone = sorted(
        word for words in first for word in words if word[-1] == "/" and not (ROOT / word).is_dir()
    )
    assert first, report([f"{page}: no folder is drawn"])
    assert not gone, report(f"{page}: {folder} is on the map and nowhere else" for folder in gone)
    assert not left_out, report(f"{page}: {folder} is not on the map" for folder in left_out)


def test_what_tests_and_benchmarks_import_from_the_product_is_there():
    """Benchmarks are run seldom, so that a name which moved would be noticed late."""
    gone = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in nodes_of(path):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            if (node.module or "").split(".")[0] != "diverloop":
                continue
            gone += [
                f"{name_of(path)}:{node.lineno}: {node.module} has no {one.name}"
                for one in node.names
                if not is_there(str(node.module), one.name)
            ]
    assert not gone, report(gone)


@cache
def is_there(module: str, name: str) -> bool:
    """Whether a module has a name, or a submodule of it; what an extra brings is believed."""
    try:
        found = importlib.import_module(module)
        if not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError as error:
        return not str(error.name).startswith("diverloop")
    return True


@pytest.mark.parametrize("path", ["README.md", "cli.py", "gui/terminal.py"])
def test_users_are_told_that_this_is_not_a_medical_device(path):
    text = re.sub(r"[\s>*_#]+", " ", (ROOT / path).read_text(encoding="utf-8")).lower()
    assert NOTICE in text


def asserting(function: Function, local: dict[str, Function], seen: frozenset[str]) -> bool:
    """Whether a function can fail for a reason of its own: it asserts, or calls what asserts."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        last = called.split(".")[-1]
        if called in ("pytest.raises", "pytest.warns", "pytest.fail"):
            return True
        if last.startswith(("assert_", "check_")):
            return True
        unseen = called in local and called not in seen
        if unseen and asserting(local[called], local, seen | {called}):
            return True
    return False


def test_every_test_can_fail():
    wrong = []
    for path in collected_files():
        functions = [node for node in nodes_of(path) if isinstance(node, Function)]
        local = {function.name: function for function in functions}
        wrong += [
            f"{name_of(path)}:{function.lineno}: {function.name} asserts nothing"
            for function in functions
            if function.name.startswith("test_")
            and not asserting(function, local, frozenset({function.name}))
        ]
    assert not wrong, report(wrong)


def test_each_test_file_names_the_source_file_or_folder_it_tests():
    wrong = []
    for path in collected_files():
        below = path.relative_to(TESTS)
        source = ROOT / below.parent / below.name.removeprefix("test_")
        if below.parts[0] in OF_THE_WHOLE or source.exists() or source.with_suffix("").is_dir():
            continue
        wrong.append(f"{name_of(path)}: there is no {name_of(source)}")
    assert not wrong, report(wrong)


def sleeps(path: Path, node: ast.AST) -> str | None:
    """Waiting for time to pass: waiting for the thing itself is faster, and never too short."""
    if dotted(node) == "time.sleep" or ("time", "sleep") in imported(path, node):
        return "sleeps"
    return None


def test_no_test_sleeps():
    paths = [path for path in TESTS.rglob("*.py") if TESTS / "bench" not in path.parents]
    wrong = places(sleeps, sorted(paths))
    assert not wrong, report(wrong)
