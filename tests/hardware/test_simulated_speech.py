import math
from functools import cache

import numpy as np
import pytest
from scipy import signal, stats

from diverloop.hardware.simulated_speech import SimulatedSpeaker, SimulatedSpeakerConfig
from diverloop.hardware.simulator_config import Fault
from diverloop.runtime.clock import VirtualClock
from diverloop.runtime.conformance import check_source
from diverloop.runtime.errors import ConfigError, SourceUnavailable
from diverloop.runtime.messages import EventKind
from diverloop.runtime.paradigms.phonemes import PHONEMES, SILENCE, distances
from diverloop.runtime.paradigms.utterances import KEYWORDS, lexicon, sentences
from diverloop.runtime.stages import Source

SECOND_NS = 1_000_000_000
SMALL = {"montage": "seeg4x10", "rate_hz": 500.0}
LEAD_S = 0.1  # of high gamma before the sound, in the mean over contacts


def started(**settings):
    clock = VirtualClock()
    speaker = SimulatedSpeaker(SimulatedSpeakerConfig(**settings), clock)
    speaker.open()
    return speaker, clock


def drain(speaker, clock, wanted=100):
    chunks = []
    while not speaker.ended:
        chunk = speaker.read(wanted, clock.now_ns() + SECOND_NS)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def joined(chunks):
    return np.concatenate([chunk.samples for chunk in chunks], axis=1)


def markers_of(chunks):
    return [marker for chunk in chunks for marker in chunk.markers]


# -- a source -----------------------------------------------------------------------------------


@pytest.mark.parametrize("montage", ["ecog8x8", "seeg4x10"])
@pytest.mark.parametrize("faults", [(), (Fault(kind="gap", at_s=0.3, length_s=0.2),)])
def test_it_keeps_the_clauses_of_a_source(montage, faults):
    clock = VirtualClock()
    speaker = SimulatedSpeaker(SimulatedSpeakerConfig(montage=montage, faults=faults), clock)
    assert isinstance(speaker, Source)
    check_source(speaker, clock)


@pytest.mark.parametrize("wanted", [1, 37, 10_000])
def test_no_bit_depends_on_how_the_stream_is_cut(wanted):
    settings = {**SMALL, "duration_s": 4.0, "chunk_s": 0.0}
    want = drain(*started(**settings), wanted=50)
    got = drain(*started(**settings), wanted=wanted)
    np.testing.assert_array_equal(joined(got), joined(want))
    assert markers_of(got) == markers_of(want)
    assert [one.label for one in markers_of(want)][:3:2] == ["rest", "onset"]


def test_opening_again_starts_the_same_stream_anew():
    speaker, clock = started(**SMALL, duration_s=1.0)
    first = joined(drain(speaker, clock))
    speaker.close()
    speaker.open()
    np.testing.assert_array_equal(joined(drain(speaker, clock)), first)


def test_a_closed_or_doubly_opened_speaker_says_so():
    speaker, _ = started(**SMALL)
    with pytest.raises(SourceUnavailable, match="open already"):
        speaker.open()
    speaker.close()
    with pytest.raises(SourceUnavailable, match="closed"):
        speaker.read(1, SECOND_NS)


def test_a_gap_loses_its_samples_and_no_marker():
    settings = {**SMALL, "duration_s": 6.0}
    whole = drain(*started(**settings))
    cue = markers_of(whole)[1]
    gap = Fault(kind="gap", at_s=cue.sample / 500 - 0.1, length_s=0.5)
    chunks = drain(*started(**settings, faults=(gap,)))
    kept = [n for chunk in chunks for n in range(chunk.first_sample, chunk.stop_sample)]
    assert len(kept) == 3000 - 250
    np.testing.assert_array_equal(joined(chunks), joined(whole)[:, kept])
    assert markers_of(chunks) == markers_of(whole)
    events = [event for chunk in chunks for event in chunk.events]
    assert [(one.kind, one.count) for one in events] == [(EventKind.GAP, 250)]


# -- what is said -------------------------------------------------------------------------------


def test_markers_tell_cue_onset_offset_and_rest_in_this_order():
    labels = [one.label for one in markers_of(drain(*started(**SMALL, duration_s=12.0)))]
    assert labels[0] == "rest"
    trials = [labels[at : at + 4] for at in range(1, len(labels) - 3, 4)]
    assert len(trials) >= 2
    for said, *after in trials:
        assert said.removeprefix("say:") in sentences("train")
        assert after == ["onset", "offset", "rest"]


def test_an_attempt_follows_its_cue_by_half_a_second_to_a_second():
    speaker, _ = started(**SMALL)
    waits = [one.onset_s - one.cue_s for one in speaker.utterances(0, 50_000)]
    assert len(waits) > 10
    assert min(waits) >= 0.5
    assert max(waits) <= 1.0


def test_the_truth_between_onset_and_offset_is_the_pronunciation():
    speaker, _ = started(**SMALL, say="test")
    for one in speaker.utterances(0, 20_000):
        first, stop = (math.ceil(round(edge * 500, 6)) for edge in (one.onset_s, one.offset_s))
        rows = speaker.truths(first, stop)
        steps = rows[np.concatenate([[True], np.diff(rows) != 0])]
        assert tuple(PHONEMES[row] for row in steps) == lexicon().phonemes(one.text)
        assert speaker.truth(first - 1) == speaker.truth(stop) == SILENCE
        assert speaker.truth(first) == one.phonemes[0]


def test_sounds_last_60_to_160_ms_and_vowels_longer():
    speaker, _ = started(**SMALL)
    lengths = {"IY": [], "T": []}
    for one in speaker.utterances(0, 200_000):
        for name, length_s in zip(one.phonemes, np.diff(one.edges_s), strict=True):
            assert 0.06 - 1e-9 <= length_s <= 0.16 + 1e-9
            if name in lengths:
                lengths[name].append(length_s)
    assert np.mean(lengths["IY"]) > 1.3 * np.mean(lengths["T"])


def test_every_keyword_comes_once_in_each_round():
    speaker, _ = started(**SMALL, say="keywords")
    said = [one.text for one in speaker.utterances(0, 60_000)]
    assert sorted(said[:6]) == sorted(said[6:12]) == sorted(KEYWORDS)


def test_own_texts_take_the_place_of_sentences():
    speaker, _ = started(**SMALL, texts=("i am thirsty", "no"))
    assert {one.text for one in speaker.utterances(0, 20_000)} == {"i am thirsty", "no"}


def test_who_speaks_twice_as_fast_takes_half_as_long():
    slow, fast = (
        started(**SMALL, speaking_rate=rate, texts=("yes",))[0].utterances(0, 3000)[0]
        for rate in (1.0, 2.0)
    )
    assert fast.offset_s - fast.onset_s == pytest.approx((slow.offset_s - slow.onset_s) / 2)


# -- what is seen -------------------------------------------------------------------------------


@cache
def frames(noise=1.0, **settings):
    """True amplitudes of high gamma every 20 ms of attempts, and the sound that follows them."""
    speaker, _ = started(montage="ecog8x8", rate_hz=500.0, noise=noise, **settings)
    amplitudes, rows = [], []
    for one in speaker.utterances(0, 90_000):
        at = np.arange(math.ceil(one.onset_s * 500), int(one.offset_s * 500), 10)
        ahead = at - round(LEAD_S * 500)
        amplitudes.append(speaker.envelope(int(ahead[0]), int(ahead[-1]) + 1)[:, ::10])
        rows.append(speaker.truths(int(at[0]), int(at[-1]) + 1)[::10])
    return np.concatenate(amplitudes, axis=1).T, np.concatenate(rows)


def learnt(amplitudes, rows):
    """Ridge regression on the identity of the sound."""
    inputs = np.column_stack([amplitudes, np.ones(len(amplitudes))])
    gram = inputs.T @ inputs + 1e-3 * len(inputs) * np.eye(inputs.shape[1])
    return np.linalg.solve(gram, inputs.T @ np.eye(len(PHONEMES))[rows])


def guessed(weights, amplitudes):
    return np.argmax(np.column_stack([amplitudes, np.ones(len(amplitudes))]) @ weights, axis=1)


def test_with_little_noise_a_linear_decoder_hears_sentences_it_was_not_trained_on():
    amplitudes, rows = frames(noise=0.1, seed=1)
    unseen, truth = frames(noise=0.1, seed=2, say="test")
    commonest = np.bincount(truth).max() / len(truth)
    right = np.mean(guessed(learnt(amplitudes, rows), unseen) == truth)
    assert right > 0.45 > 2.0 * commonest


def test_a_decoder_holds_for_the_same_person_only():
    weights = learnt(*frames(noise=0.1, seed=1))
    same, truth = frames(noise=0.1, seed=2, say="test")
    other, other_truth = frames(noise=0.1, seed=2, say="test", person=2)
    sounds, other_sounds = (rows != len(PHONEMES) - 1 for rows in (truth, other_truth))
    assert np.mean((guessed(weights, same) == truth)[sounds]) > 0.45
    assert np.mean((guessed(weights, other) == other_truth)[other_sounds]) < 0.15


def test_sounds_that_are_articulated_alike_are_confused_more_often():
    amplitudes, rows = frames(seed=1)
    unseen, truth = frames(seed=2)
    unseen = unseen + 0.3 * np.random.default_rng(3).standard_normal(unseen.shape)
    counts = np.zeros((40, 40))
    np.add.at(counts, (truth, guessed(learnt(amplitudes, rows), unseen)), 1)
    enough = counts.sum(axis=1) >= 30
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    upper = np.triu(np.outer(enough, enough), k=1)
    upper[-1] = upper[:, -1] = False  # silence has no articulation to share
    found = stats.spearmanr((rates + rates.T)[upper], distances()[upper])
    assert found.statistic < -0.3
    assert found.pvalue < 1e-6


def test_without_any_speech_in_it_no_bit_depends_on_what_is_said():
    settings = {**SMALL, "duration_s": 8.0, "noise": math.inf}
    sentence, keyword = (drain(*started(**settings, say=say)) for say in ("train", "keywords"))
    assert markers_of(sentence) != markers_of(keyword)
    np.testing.assert_array_equal(joined(sentence), joined(keyword))
    speaker, _ = started(**settings)
    assert (speaker.envelope(0, 4000) == 1).all()


def test_high_gamma_of_the_signal_follows_its_true_amplitude():
    speaker, clock = started(montage="ecog8x8", rate_hz=500.0, duration_s=20.0)
    samples = joined(drain(speaker, clock))
    true = speaker.envelope(0, samples.shape[1])
    best = np.argmax(true.std(axis=1))
    band = signal.butter(2, [70, 150], "bandpass", fs=500, output="sos")
    seen = np.abs(signal.sosfiltfilt(band, samples[best]))
    mean = np.ones(100) / 100
    smooth = [np.convolve(one, mean, "valid") for one in (seen, true[best])]
    assert np.corrcoef(*smooth)[0, 1] > 0.7


def test_high_gamma_runs_50_to_150_ms_ahead_of_the_sound():
    speaker, _ = started(montage="ecog8x8", rate_hz=1000.0)
    one = speaker.utterances(0, 10_000)[0]
    onset = round(one.onset_s * 1000)
    moved = np.abs(speaker.envelope(onset - 300, onset) - 1).max(axis=0) > 0.02
    assert not moved[:80].any()  # 220 ms ahead: the earliest contact, and coarticulation
    assert moved[-50:].all()


def test_silent_speech_is_the_same_at_half_the_strength():
    loud, silent = (started(**SMALL, mode=mode)[0].envelope(0, 5000) for mode in
                    ("attempted", "silent"))  # fmt: skip
    above = loud > 0.1
    np.testing.assert_allclose((silent - 1)[above], 0.5 * (loud - 1)[above], atol=1e-12)
    assert loud.max() > 1.2


def test_the_noise_scales_what_is_not_speech():
    still, usual = (
        joined(drain(*started(**SMALL, noise=noise, duration_s=1.0))) for noise in (0.0, 1.0)
    )
    assert still.std() < 0.15 * usual.std()


def test_the_session_changes_what_is_said_and_the_noise():
    one, same, other = (drain(*started(**SMALL, seed=s, duration_s=3.0)) for s in (1, 1, 2))
    np.testing.assert_array_equal(joined(one), joined(same))
    assert not np.array_equal(joined(one)[:, :100], joined(other)[:, :100])
    assert markers_of(one)[1] != markers_of(other)[1]


# -- configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"montage": "eeg16"}, "intracranial"),
        ({"rate_hz": 250.0}, "rate_hz"),
        ({"person": -1}, "person"),
        ({"seed": 1.5}, "seed"),
        ({"say": "trane"}, "did you mean 'train'"),
        ({"mode": "loud"}, "mode"),
        ({"noise": -1.0}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"texts": ("i am brexit",)}, "brexit"),
        ({"texts": (" ",)}, "lexicon"),
        ({"pause_s": 0.0}, "pause_s"),
        ({"speaking_rate": 9.0}, "speaking_rate"),
        ({"line_hz": 55.0}, "line_hz"),
        ({"chunk_s": 2.0}, "chunk_s"),
        ({"duration_s": -1.0}, "duration_s"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        SimulatedSpeakerConfig(**settings)
