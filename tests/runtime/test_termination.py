"""A signal asks for an end, and the handlers of before are put back."""

from __future__ import annotations

import signal

import pytest

from diverloop.runtime.termination import ended_by_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_asks_for_an_end(number):
    before, asked = signal.getsignal(number), []
    with ended_by_signals(lambda: asked.append(number)):
        signal.raise_signal(number)
    assert asked == [number]
    assert signal.getsignal(number) is before


def test_the_handlers_are_put_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="broke"), ended_by_signals(lambda: None):
        raise ValueError("broke")
    assert signal.getsignal(signal.SIGINT) is before
