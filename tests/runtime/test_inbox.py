from __future__ import annotations

from diverloop.runtime.inbox import Inbox, Kind, Told


def test_what_was_told_is_found_once_and_in_order():
    inbox = Inbox()
    assert inbox.take() == ()
    inbox.listen("the operator")
    inbox.tell(Told(kind=Kind.CORRECT, text="yes", utterance=1, version=2))
    inbox.ignore("the person")
    assert [told.kind for told in inbox.take()] == [Kind.LISTEN, Kind.CORRECT, Kind.IGNORE]
    assert inbox.take() == ()
