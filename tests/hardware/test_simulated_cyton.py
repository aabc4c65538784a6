"""The simulated Cyton says on its port what a real one says."""

from __future__ import annotations

import os
import select

import numpy as np
import pytest

pytest.importorskip("termios")

from diverloop.hardware.simulated_cyton import STEP_UV, SimulatedCyton
from diverloop.runtime.clock import MonotonicClock
from diverloop.runtime.errors import ConfigError

CLOCK = MonotonicClock()
RAMP_UV = np.arange(-1000.0, 1000.0, 2.5).reshape(100, 8).T
PACKAGE = 33


@pytest.fixture
def board(tmp_path):
    with SimulatedCyton(tmp_path / "port", CLOCK, RAMP_UV) as made:
        yield made


def take(end: int, count: int) -> bytes:
    """Exactly so many bytes of the port."""
    got = b""
    while len(got) < count:
        assert select.select([end], [], [], 10.0)[0], f"only {len(got)} bytes came"
        got += os.read(end, count - len(got))
    return got


def started(tmp_path) -> int:
    end = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY)
    os.write(end, b"v")
    assert take(end, 38).endswith(b"$$$")
    os.write(end, b"b")
    return end


def test_it_greets_and_then_sends_numbered_packages_of_eight_numbers(tmp_path, board):
    end = started(tmp_path)
    packages = [take(end, PACKAGE) for _ in range(3)]
    os.close(end)
    assert [(one[0], one[1], one[-1]) for one in packages] == [(0xA0, n, 0xC0) for n in range(3)]
    for place, one in enumerate(packages):
        counts = [int.from_bytes(one[at : at + 3], "big", signed=True) for at in range(2, 26, 3)]
        np.testing.assert_allclose(
            np.array(counts) * STEP_UV, RAMP_UV[:, place], rtol=0, atol=0.5 * STEP_UV
        )


def test_packages_that_it_loses_leave_their_numbers_out(tmp_path, board):
    end = started(tmp_path)
    numbers = [take(end, PACKAGE)[1]]
    board.lose(10)
    numbers += [take(end, PACKAGE)[1] for _ in range(30)]
    os.close(end)
    assert sorted(np.diff(numbers).tolist()) == [1] * 29 + [11]


def test_half_a_package_moves_all_that_come_after_it(tmp_path, board):
    end = started(tmp_path)
    take(end, PACKAGE)
    board.halve()
    came = take(end, 30 * PACKAGE)
    os.close(end)
    begins = [came[at] for at in range(0, len(came), PACKAGE)]
    begins_later = [came[at] for at in range(PACKAGE // 2, len(came), PACKAGE)]
    assert (begins[0], begins_later[-1]) == (0xA0, 0xA0)
    assert begins[-1] != 0xA0


def test_its_port_goes_with_its_plug_and_comes_back(tmp_path, board):
    board.unplug()
    board.unplug()
    assert not os.path.lexists(tmp_path / "port")
    board.plug()
    os.close(started(tmp_path))


@pytest.mark.parametrize("shape", [(7, 10), (8, 0), (8,)])
def test_another_number_of_channels_is_refused(tmp_path, shape):
    with pytest.raises(ConfigError, match="has 8 channels"):
        SimulatedCyton(tmp_path / "port", CLOCK, np.zeros(shape))
