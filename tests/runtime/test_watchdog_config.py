"""What can be chosen about the watchdog."""

from __future__ import annotations

import pytest

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.watchdog_config import WatchdogConfig


@pytest.mark.parametrize(
    "field", [{"limit_s": 0.09}, {"limit_s": 0.2}, {"forgive_s": 0.1}, {"forgive_s": float("nan")}]
)
def test_a_watchdog_that_would_be_too_late_or_too_hasty_is_refused(field):
    with pytest.raises(ConfigError, match=f"watchdog.{next(iter(field))} must be in"):
        WatchdogConfig(**field)


def test_what_is_within_the_limits_is_taken():
    assert WatchdogConfig(limit_s=0.18, forgive_s=10).limit_s == 0.18
