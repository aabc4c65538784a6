"""How the documentation is built: MyST pages, API pages from numpydoc docstrings."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sphinx.util.nodes import make_refnode

import diverloop

if TYPE_CHECKING:
    from docutils.nodes import Element, reference
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "diverloop"
author = "the diverloop developers"
project_copyright = author
version = release = diverloop.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"diverloop {version}"
html_show_sphinx = False

myst_heading_anchors = 3
autosummary_generate = True
autosummary_ignore_module_all = True
autodoc_member_order = "bysource"
# Types are in the numpydoc sections, with shapes and units; a signature that repeats them is noise.
autodoc_typehints = "none"
numpydoc_show_class_members = False

# `Name` in single backticks is a link wherever it names something of ours. With nitpicky, a name
# that has a capital or a dot must exist; lower-case words are parameters and are left alone.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r"[a-z_0-9]+"),
    # Torch, and base classes from elsewhere, which autodoc links by itself.
    ("py:obj", r"torch\..*"),
    ("py:class", r"(torch|PySide6|gymnasium|socket)\..*"),
    (
        "py:class",
        r"(enum|typing|collections|numpy|json|abc|builtins|pathlib)\..*|\w*Error|object|Protocol",
    ),
]


def find_by_suffix(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: Element
) -> reference | None:
    """Resolve `Ring`, `Ring.view` and `montage.MONTAGES` from any page.

    Sphinx looks in the module at hand only. Here a name is also right if exactly one documented
    thing ends in it, or if it is a field or a constant of such a thing.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    owner, _, field = target.rpartition(".")
    for name in (target, owner or node.get("py:module")):
        found = env.domains["py"].find_obj(env, None, None, name, None, 1) if name else []  # type: ignore[attr-defined]
        if len(found) == 1 and (name == target or has(found[0][0], field)):
            full, place = found[0]
            return make_refnode(
                app.builder, node["refdoc"], place.docname, place.node_id, contnode, full
            )
    return None


def has(full_name: str, field: str) -> bool:
    """Whether the module or class of that name has the field or constant."""
    try:
        thing: Any = importlib.import_module(full_name)
    except ModuleNotFoundError:
        module, _, name = full_name.rpartition(".")
        thing = getattr(importlib.import_module(module), name)
    return hasattr(thing, field) or field in getattr(thing, "__annotations__", {})


def leave_data_alone(
    app: Sphinx, what: str, name: str, thing: object, options: object, args: str, returns: str
) -> tuple[None, str] | None:
    """Keep numpydoc from giving a type alias the signature of the class that it stands for."""
    return (None, "") if what == "data" else None


def setup(app: Sphinx) -> None:
    """Let Sphinx ask `find_by_suffix` about whatever it cannot resolve by itself."""
    app.connect("missing-reference", find_by_suffix)
    app.connect("autodoc-process-signature", leave_data_alone, priority=400)  # numpydoc has 500
