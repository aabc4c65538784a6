"""What the driver of a parallel port is asked for; nothing here has such a port."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from diverloop.hardware import parallel_sink as subject
from diverloop.hardware.parallel_sink import (
    PPCLAIM,
    PPDATADIR,
    PPEXCL,
    PPRELEASE,
    PPWDATA,
    ParallelSink,
    ParallelSinkConfig,
    PpdevLines,
)
from diverloop.runtime.conformance import check_sink
from diverloop.runtime.errors import ConfigError, SinkError

from .sink_turns import CHOSEN, CLASSES, NEUTRAL, SPEC, decision

PORT = Path("/dev/parport0")


class Driver:
    """Stands where the kernel stands: notes what it is asked, and refuses when told to."""

    def __init__(self):
        self.asked, self.refuses = [], {}

    def __call__(self, file, request, argument=0):
        os.fstat(file)
        if request in self.refuses:
            raise OSError(self.refuses[request], os.strerror(self.refuses[request]))
        self.asked.append((request, argument))

    def written(self):
        return [argument[0] for request, argument in self.asked if request == PPWDATA]


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(subject, "control", driver)
    return driver


@pytest.fixture
def config(tmp_path):
    (tmp_path / "parport0").write_text("")
    codes = {"left": 1, "right": 255}
    return ParallelSinkConfig(port=str(tmp_path / "parport0"), codes=codes, pulse_s=1.0)


def test_the_port_is_claimed_written_and_released_in_this_order(driver, config):
    sink = ParallelSink(config)
    sink.open(SPEC, CLASSES)
    assert sink.act(decision(), CHOSEN) is CHOSEN
    assert sink.act(decision(), NEUTRAL) is NEUTRAL
    sink.close()
    sink.close()
    requests = [request for request, _ in driver.asked]
    assert requests == [PPEXCL, PPCLAIM, PPDATADIR, *[PPWDATA] * 4, PPRELEASE]
    assert driver.written() == [0, 1, 0, 0]
    assert driver.asked[2][1] == b"\0\0\0\0"  # the lines are outputs


def test_a_port_that_stops_taking_codes_is_one_sentence(driver, config):
    sink = ParallelSink(config)
    sink.open(SPEC, CLASSES)
    driver.refuses[PPWDATA] = errno.EIO
    with pytest.raises(SinkError, match=r"does not take a code \(Input/output error\)"):
        sink.act(decision(), CHOSEN)
    sink.close()
    assert driver.asked[-1][0] == PPRELEASE


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EBUSY, "is in use by another driver"),
        (errno.ENXIO, "modprobe ppdev"),
        (errno.EIO, "needs Linux and its ppdev"),
    ],
)
def test_a_port_that_cannot_be_had_says_why(driver, config, number, words):
    driver.refuses[PPCLAIM] = number
    with pytest.raises(ConfigError, match=words):
        ParallelSink(config).open(SPEC, CLASSES)


def test_a_port_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is not there: load the module"):
        PpdevLines(str(tmp_path / "parport7"))


def test_the_real_request_to_something_else_is_refused(config):
    with pytest.raises(ConfigError, match="is no parallel port"):
        PpdevLines(config.port)


def test_lines_of_ones_own_conform(driver, config):
    lines = PpdevLines(config.port)
    sink = ParallelSink(ParallelSinkConfig(codes={"yes": 1}), lines)
    check_sink(sink, SPEC)
    assert set(driver.written()) == {0}
    assert sink.act(decision(), CHOSEN).reason == "the output is not open"


def test_an_empty_port_is_refused():
    with pytest.raises(ConfigError, match=r"sinks.port is empty"):
        ParallelSinkConfig(port="")


@pytest.mark.skipif(not PORT.exists(), reason="this machine has no parallel port")
def test_a_real_port_takes_a_code():
    lines = PpdevLines(str(PORT))
    assert lines.write(0) is None
    lines.close()
