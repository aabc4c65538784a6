"""The clock that fits the display."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.participant import which_clock
from diverloop.gui.participant.which_clock import clock_for
from diverloop.runtime.errors import ConfigError


def no_swaps() -> None:
    raise ConfigError("There is no OpenGL here.")


@pytest.fixture(autouse=True)
def without_opengl(qapp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine has does not matter."""
    monkeypatch.setattr(which_clock, "GlSwaps", no_swaps)


def test_where_nothing_waits_for_a_display_frames_are_paced_and_somebody_is_told() -> None:
    told: list[str] = []
    clock = clock_for(tell=told.append)
    assert clock.name == "paced"
    assert clock.rate_hz == pytest.approx(60.0)
    assert len(told) == 1
    assert told[0].startswith("There is no OpenGL here. Frames are paced by the computer")


def test_a_rate_can_be_asked_for() -> None:
    assert clock_for("paced", 120.0).rate_hz == 120.0


def test_vsync_that_does_not_work_is_refused_where_it_was_asked_for() -> None:
    with pytest.raises(ConfigError, match="paced"):
        clock_for("vsync")


def test_a_clock_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto, vsync, paced"):
        clock_for("sundial")
