"""The clock that fits the display."""

from __future__ import annotations

from typing import Any

import pytest

from diverloop.gui.participant.which_clock import clock_for
from diverloop.runtime.errors import ConfigError


def test_where_nothing_waits_for_a_display_frames_are_paced_and_somebody_is_told(qapp: Any) -> None:
    told: list[str] = []
    clock = clock_for(tell=told.append)
    assert clock.name == "paced"
    assert clock.rate_hz == pytest.approx(60.0)
    assert len(told) == 1
    assert "up to a frame later" in told[0]


def test_a_rate_can_be_asked_for(qapp: Any) -> None:
    assert clock_for("paced", 120.0).rate_hz == 120.0


def test_vsync_that_does_not_work_is_refused_where_it_was_asked_for(qapp: Any) -> None:
    with pytest.raises(ConfigError, match="paced"):
        clock_for("vsync")


def test_a_clock_that_there_is_not_is_refused(qapp: Any) -> None:
    with pytest.raises(ConfigError, match="auto, vsync, paced"):
        clock_for("sundial")
