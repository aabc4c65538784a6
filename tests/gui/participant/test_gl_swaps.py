"""Frames handed over through OpenGL; what a real display does is for a machine that has one."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.participant import gl_swaps
from diverloop.runtime.errors import ConfigError


class NoContext:
    """As on a machine without a driver."""

    def setFormat(self, wanted: Any) -> None:
        """Take any."""

    def create(self) -> bool:
        """There is none."""
        return False


def test_a_machine_without_opengl_is_told_what_to_do(
    qapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gl_swaps, "QOpenGLContext", NoContext)
    with pytest.raises(ConfigError, match='choose the clock "paced"'):
        gl_swaps.GlSwaps()
