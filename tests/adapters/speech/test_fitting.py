from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diverloop.adapters.speech.error_rates import error_rate
from diverloop.adapters.speech.fitting import (
    SpeechFitConfig,
    config_word,
    fit_speech,
    refit_today,
    targets,
)
from diverloop.runtime.errors import ConfigError

from .person import LEXICON, Session, config, labels, utterance

TEST = ("key sack", "bad beads", "bee key bad")
TRAINING = dict(n_hidden=24, n_layers=1, epochs=8, batch=4, rate=0.04, noise=0.1, dropout=0.0)
FIT = SpeechFitConfig(training=TRAINING, held_out=0.15, language_weights=(0.5, 1.0), order=2)


def drawn(n=40):
    rng = np.random.default_rng(0)
    texts = []
    while len(texts) < n:
        text = " ".join(rng.choice(list(LEXICON), rng.integers(1, 4)))
        texts += [text] if text not in TEST else []
    return [utterance(text, seed) for seed, text in enumerate(texts)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Nets so small are only slowed by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fitted(one_thread):
    return fit_speech(drawn(), config(), fit=FIT)


def test_sentences_that_were_never_heard_are_read(fitted):
    pairs = []
    for seed, text in enumerate(TEST):
        session = Session(fitted.adapter)
        session.at = 10_000 * (seed + 1)
        pairs.append((labels(session.hear(utterance(text, 100 + seed).hops)), text.split()))
    assert error_rate(pairs) <= 0.2


def test_the_report_says_what_was_chosen_and_on_what(fitted):
    report = fitted.report
    assert 0 < report["n_held_out"] < report["n_utterances"] == 40
    assert report["language_weight"] in FIT.language_weights
    assert report["temperature"] in FIT.temperatures
    assert set(report["held_out_word_error_rates"]) == {"0.5", "1"}
    assert fitted.adapter.config.beam.language_weight == report["language_weight"]


def test_a_block_of_another_day_changes_the_gate_and_nothing_else(fitted):
    louder = [replace(one, hops=one.hops + 0.5) for one in drawn(6)]
    today = refit_today(fitted.adapter, louder)
    assert today.epoch == fitted.adapter.epoch + 1
    before, after = fitted.adapter.to_arrays(), today.to_arrays()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"gate_weights", "gate_bias"}


def test_the_same_seed_fits_the_same():
    few = SpeechFitConfig(training=TRAINING | {"epochs": 2}, language_weights=(1.0,), order=2)
    one, two = (fit_speech(drawn(12), config(), fit=few).adapter.to_arrays() for _ in range(2))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])


def test_a_silence_stands_behind_every_word():
    chosen = config()
    assert targets([1, 3], chosen) == (2, 4, 7, 5, 4, 7)


def test_a_word_that_the_lexicon_lacks_is_named():
    with pytest.raises(ConfigError, match="'sesame'"):
        config_word(config(), "sesame")


def test_one_text_alone_cannot_be_learnt_from():
    with pytest.raises(ConfigError, match="at least 2 different texts"):
        fit_speech([utterance("bee", seed) for seed in range(3)], config(), fit=FIT)
