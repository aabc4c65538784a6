"""What befalls a session from within, by the names that rows of the fault matrix give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .fault_rig import Rig

ACTS: Mapping[str, Callable[[Rig], None]] = {}
"""What is done to a rig before it runs."""
