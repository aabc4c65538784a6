from __future__ import annotations

from diverloop.runtime.messages import Command
from diverloop.runtime.sent_log import SentLog

GO = Command(label="left", strength=0.9)
REST = Command(label=None, reason="the sink failed")


def test_a_command_is_paired_with_what_became_of_it():
    log = SentLog()
    first = log.hand_over(100, GO, 1_000_000)
    second = log.hand_over(110, GO, 2_000_000)
    log.take_answer(first, GO, 1_500_000)
    log.take_answer(second, REST, 4_000_000)
    assert [(one.stop_sample, one.sent_ns - one.handed_ns) for one in log.sent] == [
        (100, 500_000),
        (110, 2_000_000),
    ]
    assert [one.done for one in log.sent] == [GO, REST]
    assert log.sentence() == (
        "Of 2 commands handed to the outputs 2 were done, 0.50 ms later in the median, 2.00 ms at "
        "the 99th percentile, 2.00 ms at most."
    )


def test_an_answer_to_nothing_and_a_second_answer_change_nothing():
    log = SentLog()
    log.take_answer(7, GO, 1)
    number = log.hand_over(1, GO, 0)
    log.take_answer(number, GO, 1)
    log.take_answer(number, GO, 2)
    assert log.times.count == len(log.sent) == 1


def test_what_nobody_answers_is_forgotten_and_still_counted():
    log = SentLog()
    assert log.sentence() == ""
    for at in range(5000):
        log.hand_over(at, GO, at)
    assert len(log._waiting) == 1000
    log.take_answer(4999, GO, 10_000)
    assert log.sentence().startswith("Of 5000 commands handed to the outputs 1 were done")
