"""Choosing a channel."""

from __future__ import annotations

from diverloop.gui.panels.channel_box import ChannelBox


def test_a_choice_stays_when_another_stream_has_it_too(qtbot):
    box = ChannelBox(("mean",))
    qtbot.addWidget(box)
    box.offer(("C3", "Cz"))
    assert box.channel == -1
    box.step(2)
    assert (box.currentText(), box.channel) == ("Cz", 1)
    box.offer(("Fz", "Pz", "Cz"))
    assert (box.currentText(), box.channel) == ("Cz", 2)
    box.offer(("Fz",))
    assert (box.currentText(), box.channel) == ("mean", -1)


def test_steps_end_at_the_ends(qtbot):
    box = ChannelBox()
    qtbot.addWidget(box)
    box.offer(("C3", "Cz"))
    box.step(9)
    assert box.channel == 1
    box.step(-9)
    assert box.channel == 0
