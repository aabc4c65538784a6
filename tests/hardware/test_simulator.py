import numpy as np
import pytest
from scipy import signal

from diverloop.hardware.simulator import (
    Fault,
    SimulatedParticipant,
    SimulatorConfig,
)
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_sink, check_source
from diverloop.runtime.errors import SourceUnavailable
from diverloop.runtime.messages import Command, Decision, EventKind, Marker
from diverloop.runtime.stages import Sink, Source

SECOND_NS = 1_000_000_000
NOTHING = Decision(classes=("left", "right"), probabilities=np.full(2, np.nan), label=None)


def started(start_ns=0, **settings):
    clock = VirtualClock(start_ns)
    person = SimulatedParticipant(SimulatorConfig(**settings), clock)
    person.open()
    return person, clock


def drain(person, clock, wanted=100):
    """Read until the stream has ended."""
    chunks = []
    while not person.ended:
        chunk = person.read(wanted, clock.now_ns() + SECOND_NS)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def joined(chunks):
    return np.concatenate([chunk.samples for chunk in chunks], axis=1)


def test_a_participant_is_a_source_and_a_sink():
    person, _ = started()
    assert isinstance(person, Source)
    assert isinstance(person, Sink)


@pytest.mark.parametrize("faults", [(), (Fault(kind="gap", at_s=0.3, length_s=0.2),)])
def test_it_keeps_the_clauses_of_a_source_and_of_a_sink(faults):
    clock = VirtualClock()
    person = SimulatedParticipant(SimulatorConfig(faults=faults), clock)
    check_source(person, clock)
    check_sink(person, person.spec)


def test_the_stream_is_float32_microvolts_of_the_promised_shape():
    person, clock = started(montage="eeg8", duration_s=2.0)
    chunks = drain(person, clock)
    assert joined(chunks).shape == (person.spec.n_channels, 500) == (8, 500)
    assert all(chunk.samples.dtype == np.float32 for chunk in chunks)
    assert all(chunk.samples.flags.owndata and chunk.samples.flags.writeable for chunk in chunks)


@pytest.mark.parametrize("rate_hz", [250.0, 256.5, 1000.0])
@pytest.mark.parametrize("wanted", [1, 13, 97, 10_000])
def test_no_bit_depends_on_how_the_stream_is_cut(rate_hz, wanted):
    settings = {"montage": "eeg8", "rate_hz": rate_hz, "duration_s": 4.0, "chunk_s": 0.0}
    want = drain(*started(**settings), wanted=50)
    got = drain(*started(**settings), wanted=wanted)
    np.testing.assert_array_equal(joined(got), joined(want))
    marks = [[mark for chunk in chunks for mark in chunk.markers] for chunks in (got, want)]
    assert marks[0] == marks[1] != []


@pytest.mark.parametrize("wanted", [1, 10, 25])
def test_the_same_feedback_at_the_same_time_gives_the_same_signal_however_cut(wanted):
    def run(wanted):
        person, clock = started(montage="eeg8", duration_s=12.0, chunk_s=0.0, learning_rate=1.0)
        chunks = []
        for tick in range(1, 61):
            while not person.ended and clock.now_ns() < tick * SECOND_NS // 5:
                chunks.append(person.read(wanted, tick * SECOND_NS // 5))
            person.act(NOTHING, Command(label="left" if tick % 3 else None))
        return joined([chunk for chunk in chunks if chunk is not None]), person.skill

    (want, want_skill), (got, got_skill) = run(50), run(wanted)
    np.testing.assert_array_equal(got, want)
    assert got_skill == want_skill != 0.6


def test_seeds_decide():
    one, same, other = (joined(drain(*started(seed=s, duration_s=1.0))) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_opening_again_after_closing_starts_the_same_stream_anew():
    person, clock = started(duration_s=1.0)
    first = joined(drain(person, clock))
    person.close()
    person.close()
    person.open()
    np.testing.assert_array_equal(joined(drain(person, clock)), first)


def test_opening_as_a_sink_does_not_disturb_the_stream():
    person, clock = started(duration_s=1.0)
    before = person.read(100, SECOND_NS)
    person.open(person.spec, ("left", "right"))
    assert person.read(100, SECOND_NS).first_sample == before.stop_sample
    assert clock.now_ns() < SECOND_NS


def test_a_closed_or_doubly_opened_participant_says_so():
    person, _ = started()
    with pytest.raises(SourceUnavailable, match="open already"):
        person.open()
    person.close()
    with pytest.raises(SourceUnavailable, match="closed"):
        person.read(1, SECOND_NS)


# -- time ---------------------------------------------------------------------------------------


def test_samples_come_in_packets_when_they_are_due():
    person, clock = started(start_ns=777, rate_hz=1000.0, chunk_s=0.02)
    chunk = person.read(1, 777 + SECOND_NS)
    assert chunk.samples.shape[1] == 20
    assert clock.now_ns() == chunk.arrived_ns == 777 + 20_000_000
    chunk = person.read(30, 777 + SECOND_NS)
    assert (chunk.first_sample, chunk.samples.shape[1]) == (20, 40)
    assert clock.now_ns() == 777 + 60_000_000


def test_nothing_by_the_deadline_is_none():
    person, clock = started(rate_hz=1000.0, chunk_s=0.02)
    assert person.read(1, 19_999_999) is None
    assert clock.now_ns() == 19_999_999


def test_a_deadline_before_enough_samples_gives_those_that_are_there():
    person, clock = started(rate_hz=1000.0, chunk_s=0.01)
    assert person.read(500, 55_000_000).samples.shape[1] == 50
    assert clock.now_ns() == 55_000_000


def test_all_that_is_due_is_returned_to_a_late_reader():
    person, clock = started(rate_hz=1000.0, chunk_s=0.01)
    clock.advance(3 * SECOND_NS)
    assert person.read(1, clock.now_ns()).samples.shape[1] == 3000


def test_stamps_are_those_of_the_last_sample():
    person, _ = started(start_ns=5 * SECOND_NS, rate_hz=500.0, chunk_s=0.1)
    chunk = person.read(50, 6 * SECOND_NS)
    assert chunk.lsl_corrected_s == pytest.approx(5.1)
    assert chunk.lsl_corrected_s == pytest.approx(chunk.arrived_ns / SECOND_NS)
    assert chunk.lsl_raw_s == pytest.approx(1000.1)


def test_a_stream_with_an_end_delivers_all_of_it_even_a_part_of_a_packet():
    person, clock = started(rate_hz=1000.0, chunk_s=0.02, duration_s=0.25)
    chunks = drain(person, clock)
    assert chunks[-1].stop_sample == 250
    assert person.read(1, clock.now_ns() + 5) is None


# -- faults -------------------------------------------------------------------------------------


def test_a_gap_loses_its_samples_and_no_other():
    gap = Fault(kind="gap", at_s=1.0, length_s=0.5)
    whole = joined(drain(*started(duration_s=3.0)))
    chunks = drain(*started(duration_s=3.0, faults=(gap,)))
    kept = [n for chunk in chunks for n in range(chunk.first_sample, chunk.stop_sample)]
    assert kept == [*range(250), *range(375, 750)]
    np.testing.assert_array_equal(joined(chunks), whole[:, kept])
    events = [event for chunk in chunks for event in chunk.events]
    assert [(one.kind, one.sample, one.count) for one in events] == [(EventKind.GAP, 250, 125)]


def test_markers_in_a_gap_are_kept():
    gap = Fault(kind="gap", at_s=1.9, length_s=0.5)
    whole = [mark for chunk in drain(*started(duration_s=8.0)) for mark in chunk.markers]
    chunks = drain(*started(duration_s=8.0, faults=(gap,)))
    assert [mark for chunk in chunks for mark in chunk.markers] == whole
    assert whole[0].sample == 500


def test_a_gap_at_the_end_ends_the_stream():
    chunks = drain(*started(duration_s=2.0, faults=(Fault(kind="gap", at_s=1.5, length_s=9.0),)))
    assert chunks[-1].stop_sample == 375


def test_a_stall_holds_samples_back_and_then_gives_them_at_once():
    stall = Fault(kind="stall", at_s=1.0, length_s=0.5)
    person, clock = started(duration_s=3.0, chunk_s=0.02, faults=(stall,))
    person.read(250, SECOND_NS)
    assert person.read(5, SECOND_NS * 14 // 10) is None
    chunk = person.read(5, 2 * SECOND_NS)
    assert chunk.arrived_ns == SECOND_NS * 3 // 2
    assert (chunk.first_sample, chunk.stop_sample) == (250, 375)
    assert joined(drain(person, clock)).shape[1] == 375


# -- truth --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [250.0, 1000.0, 4096.0])
def test_markers_sit_at_exact_samples_of_what_truth_says(rate_hz):
    person, clock = started(montage="eeg8", rate_hz=rate_hz, duration_s=20.0)
    marks = [mark for chunk in drain(person, clock) for mark in chunk.markers]
    assert marks[0].sample == 2 * rate_hz
    for cue, end in zip(marks[::2], marks[1::2], strict=False):
        assert end.label == "rest"
        onset = cue.sample + round(0.5 * rate_hz)
        assert person.truth(onset + 1) == person.truth(end.sample - 1) == cue.label
        assert person.truth(onset - 2) == person.truth(end.sample) == "rest"
    assert marks[0].lsl_corrected_s == pytest.approx(2.0 + 1 / rate_hz)


def hand_power(snr, trials=40):
    """Log mu power at C3 and C4 during each imagery, and what was imagined."""
    person, clock = started(duration_s=8.2 * trials, snr=snr, seed=1)
    chunks = drain(person, clock, wanted=5000)
    sections = signal.butter(4, [8, 13], "bandpass", fs=250, output="sos")
    names = person.spec.channel_names
    hands = joined(chunks)[[names.index("C3"), names.index("C4")]].astype(float)
    mu = signal.sosfilt(sections, hands)
    cues = [mark for chunk in chunks for mark in chunk.markers if mark.label != "rest"][:trials]
    power = [np.log(np.mean(mu[:, m.sample + 250 : m.sample + 1125] ** 2, axis=1)) for m in cues]
    return np.array(power), np.array([mark.label for mark in cues])


def left_out_accuracy(power, labels):
    """Accuracy of the simplest decoder: nearest class mean of C3 minus C4, leave one out."""
    difference, hits = power[:, 0] - power[:, 1], 0
    for index in range(len(labels)):
        others = np.arange(len(labels)) != index
        means = {
            label: difference[others & (labels == label)].mean() for label in ("left", "right")
        }
        hits += min(means, key=lambda one: abs(means[one] - difference[index])) == labels[index]
    return hits / len(labels)


def test_plain_band_power_tells_the_hands_apart_but_not_always():
    power, labels = hand_power(snr=1.0)
    assert 0.8 < left_out_accuracy(power, labels) < 1.0
    difference = power[:, 0] - power[:, 1]
    assert difference[labels == "left"].mean() > difference[labels == "right"].mean()


def test_without_signal_there_is_nothing_to_tell():
    accuracy = left_out_accuracy(*hand_power(snr=0.0, trials=80))
    assert 0.3 < accuracy < 0.7


# -- the loop is closed -------------------------------------------------------------------------


def session(feedback):
    """A session with feedback ten times a second; mu contrast of its second half, and skill."""
    settings = {"seed": 5, "duration_s": 240.0, "learning_rate": 0.1, "classes": ("left", "rest")}
    person, clock = started(montage="eeg8", **settings)
    chunks = []
    while not person.ended:
        chunks.append(person.read(25, clock.now_ns() + SECOND_NS))
        label = feedback(person.truth(chunks[-1].stop_sample))
        assert person.act(NOTHING, Command(label=label)).label == label
    names = person.spec.channel_names
    c4 = joined(chunks)[names.index("C4")].astype(float)
    mu = signal.sosfilt(signal.butter(4, [8, 13], "bandpass", fs=250, output="sos"), c4) ** 2
    cues = [mark for chunk in chunks for mark in chunk.markers if mark.sample > 30_000]
    lefts = [mark for mark in cues if mark.label == "left"]
    working = np.mean([mu[m.sample + 250 : m.sample + 1125].mean() for m in lefts[:-1]])
    resting = np.mean([mu[m.sample - 375 : m.sample].mean() for m in lefts[:-1]])
    return np.log(working / resting), person


def test_right_feedback_deepens_the_desynchronisation_and_wrong_feedback_flattens_it():
    right, taught = session(lambda truth: truth)
    wrong, misled = session(lambda truth: "right")
    assert right < wrong - 0.5
    assert taught.skill > 0.9 > 0.2 > misled.skill


def test_feedback_changes_no_sample_before_the_reaction_time():
    def run(label):
        person, clock = started(duration_s=8.0, learning_rate=1.0, reaction_s=0.25)
        before = drain_until(person, clock, 4 * SECOND_NS)
        person.act(NOTHING, Command(label=label))
        return np.concatenate([before, joined(drain(person, clock))], axis=1)

    same = (run("left") == run("right")).all(axis=0)
    first_change = int(np.argmin(same))
    assert 4.25 * 250 <= first_change <= 4.35 * 250 + 1
    assert same[:first_change].all()


def drain_until(person, clock, time_ns):
    chunks = []
    while clock.now_ns() < time_ns:
        chunks.append(person.read(25, time_ns))
    return joined([chunk for chunk in chunks if chunk is not None])


def test_unanswered_trying_lowers_attention():
    _, ignored = session(lambda truth: None)
    assert ignored.attention < 0.5
    assert ignored.skill == 0.6


def test_feedback_to_a_flash_is_judged_by_the_flash():
    person, clock = started(task="p300", duration_s=10.0, learning_rate=0.5)
    for label in ("target", "nontarget"):
        before = person.skill
        answer = Decision(
            classes=("target", "nontarget"),
            probabilities=np.array([1.0, 0.0]),
            label="target",
            marker=Marker(label=label, sample=0),
        )
        person.read(750, clock.now_ns() + 3 * SECOND_NS)
        person.act(answer, Command(label="target"))
        person.read(500, clock.now_ns() + 2 * SECOND_NS)
        assert (person.skill > before) == (label == "target")
