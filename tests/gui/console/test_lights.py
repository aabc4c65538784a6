"""The one big light."""

from __future__ import annotations

import pytest

from diverloop.gui.console.lights import Light, light_of
from diverloop.gui.console.session import Checked, Order, Output, Session, Step


@pytest.mark.parametrize(
    ("session", "alarmed", "light"),
    [
        (Session(), False, Light.READY),
        (Session(task=Order.FIT), False, Light.WORKING),
        (Session(task=Order.WATCH), False, Light.READY),
        (Session(output=Output.ON, running=True), False, Light.FEEDBACK),
        (Session(output=Output.HOLDING, running=True), False, Light.PAUSED),
        (Session(step=Step.BREAK, running=True), False, Light.PAUSED),
        (Session(output=Output.STOPPED), True, Light.STOPPED),
        (Session(output=Output.ON, running=True), True, Light.FAULT),
        (Session(checked=Checked.BAD), False, Light.FAULT),
        (Session(step=Step.SIGNAL, task=Order.WATCH), False, Light.WAITING),
        (Session(electrodes=4, bad=("a", "b", "c")), False, Light.WAITING),
    ],
)
def test_the_light_tells_the_state(session, alarmed, light):
    assert light_of(session, alarmed=alarmed) is light
