"""The corpus on disk, and what is drawn from it."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from diverloop.decoders.corpus import CLIP_UV, Corpus, CorpusEntry, CorpusWriter, DrawPlan
from diverloop.runtime.errors import ConfigError, RecordingError

torch = pytest.importorskip("torch", reason="batches are tensors")

NAN = (float("nan"),) * 3


def entry(name="a", *, modality="EEG", channels=4, **told):
    return CorpusEntry(
        **{
            "name": name,
            "data_id": f"id of {name}",
            "licence": "simulated",
            "modality": modality,
            "channel_names": tuple(f"E{n}" for n in range(channels)),
            "positions_mm": (NAN, *((float(n), 0.0, 1.0) for n in range(1, channels))),
            "subtypes": tuple(range(-1, channels - 1)),
            **told,
        }
    )


def noise(channels=4, n_times=4000, seed=0, uv=10.0):
    shape = (channels, n_times)
    return (uv * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def counting(n_times, first=0, channels=4):
    """Every sample tells its row and its column: 1e-3 uV a column, 20 uV a row."""
    columns = 1e-3 * np.arange(first, first + n_times)
    return (columns + 20.0 * np.arange(channels)[:, None]).astype(np.float32)


@pytest.fixture
def corpus(tmp_path):
    return Corpus.build(
        tmp_path / "c",
        [
            (entry("a"), [noise()]),
            (entry("b", channels=3), [noise(3, 9000, 1)]),
            (entry("c", modality="iEEG", channels=5), [noise(5, 3000, 2, 50.0)]),
            (entry("d", modality="iEEG"), [noise(4, 3000, 3, 50.0)]),
        ],
    )


def test_what_was_written_is_read_back_with_all_that_was_said_of_it(corpus):
    again = Corpus.open(corpus.folder, verify=True)
    assert [one.name for one in again.entries] == ["a", "b", "c", "d"]
    assert again.sha256 == corpus.sha256
    assert np.array_equal(again.samples(2), noise(5, 3000, 2, 50.0))
    first = again.entries[0]
    assert np.isnan(first.positions_mm[0]).all()
    assert first.positions_mm[3] == (3.0, 0.0, 1.0)
    assert (first.seconds, first.stretches, first.n_times) == (8.0, ((0, 4000),), 4000)


def test_signal_is_mapped_from_disk_and_cannot_be_written(corpus):
    samples = corpus.samples(0)
    assert isinstance(samples, np.memmap)
    assert not samples.flags.writeable


def test_the_hash_follows_the_data(tmp_path, corpus):
    def made(seed):
        return Corpus.build(tmp_path / f"s{seed}", [(entry(), [noise(seed=seed)])])

    assert made(0).sha256 == Corpus.build(tmp_path / "again", [(entry(), [noise()])]).sha256
    assert made(1).sha256 != made(0).sha256
    assert corpus.only(modality="EEG").sha256 != corpus.sha256


def test_a_batch_has_the_shapes_that_training_relies_on(corpus):
    plan = DrawPlan(patch=500, max_channels=3, max_patches=4)
    rng = np.random.default_rng(0)
    for _ in range(10):
        batch = corpus.draw(rng, 5, plan)
        n, rows, n_times = batch.x.shape
        assert n == 5
        assert 1 <= rows <= 3
        assert n_times in (500, 1000, 1500, 2000)
        assert batch.positions.shape == (5, rows, 3)
        assert batch.subtypes.shape == batch.usable.shape == (5, rows)
        assert batch.x.dtype == batch.positions.dtype == torch.float32
        assert batch.modality.dtype == batch.subtypes.dtype == torch.int64
        assert batch.usable.all()
        assert torch.isfinite(batch.x).all()
        assert len(batch.modality.unique()) == 1


def test_the_same_generator_draws_the_same_batches_from_a_copy_too(corpus):
    corpus.samples(0)
    there = copy.deepcopy(corpus)
    for plan in (DrawPlan(max_patches=4), DrawPlan(patch=50, average_share=0.5)):
        a, b = np.random.default_rng(3), np.random.default_rng(3)
        for _ in range(4):
            one, other = corpus.draw(a, 3, plan), there.draw(b, 3, plan)
            assert one.x.equal(other.x)
            assert one.subtypes.equal(other.subtypes)
            assert one.usable.equal(other.usable)
    another = corpus.draw(np.random.default_rng(4), 3, DrawPlan(max_patches=4))
    first = corpus.draw(np.random.default_rng(3), 3, DrawPlan(max_patches=4))
    assert another.x.shape != first.x.shape or not another.x.equal(first.x)


def test_rows_keep_their_places_and_samples_their_order(tmp_path):
    corpus = Corpus.build(tmp_path / "c", [(entry(), [counting(3000)])])
    batch = corpus.draw(np.random.default_rng(1), 20, DrawPlan(patch=50, max_channels=3))
    x = batch.x.numpy().astype(np.float64)
    rows = np.floor(x[:, :, 0] / 20).astype(int)
    assert np.array_equal(rows, batch.subtypes.numpy() + 1)
    known = rows > 0
    assert np.array_equal(batch.positions.numpy()[known][:, 0], rows[known])
    assert np.isnan(batch.positions.numpy()[~known]).all()
    assert np.allclose(np.diff(x, axis=2), 1e-3, atol=1e-4)
    starts = x[:, 0, 0] - 20 * rows[:, 0]
    assert len(set(starts)) > 5
    assert len({tuple(row) for row in rows}) > 1
    assert all(len(set(row)) == len(row) for row in rows)


def test_no_segment_reaches_across_a_joint(tmp_path):
    pieces = [counting(700), counting(560, first=5000), counting(300, first=9000)]
    corpus = Corpus.build(tmp_path / "c", [(entry(), pieces)])
    assert corpus.entries[0].stretches == ((0, 700), (700, 1260), (1260, 1560))
    rng, seen = np.random.default_rng(0), set()
    for _ in range(30):
        x = corpus.draw(rng, 8, DrawPlan(patch=100, max_patches=30)).x.numpy()
        assert x.shape[2] <= 700
        assert np.abs(np.diff(x, axis=2)).max() < 2e-3
        seen |= {round(float(start) % 20) for start in x[:, 0, 0]}
    assert {0, 5, 9} <= seen


def test_every_start_of_a_stretch_can_be_drawn_and_no_other(tmp_path):
    corpus = Corpus.build(tmp_path / "c", [(entry(), [counting(53), counting(52, first=100)])])
    x = corpus.draw(np.random.default_rng(0), 300, DrawPlan(patch=50)).x.numpy()
    starts = {round(float(one) * 1000) % 20000 for one in x[:, 0, 0]}
    assert starts == {0, 1, 2, 3, 100, 101, 102}


def test_counts_follow_a_scaled_beta(tmp_path):
    corpus = Corpus.build(tmp_path / "c", [(entry(channels=40), [noise(40, 2000)])])
    rng, plan = np.random.default_rng(0), DrawPlan(patch=50)
    shapes = np.array([corpus.draw(rng, 1, plan).x.shape for _ in range(300)])
    rows, patches = shapes[:, 1], shapes[:, 2] // 50
    assert rows.max() == 32
    assert patches.max() == 30
    # A Beta(3, 1) has mean 0.75 and deviation 0.19; rounding up adds half a step.
    assert abs(rows.mean() - (0.75 * 32 + 0.5)) < 4 * 0.19 * 32 / np.sqrt(300)
    assert abs(patches.mean() - (0.75 * 30 + 0.5)) < 4 * 0.19 * 30 / np.sqrt(300)


def test_the_fewest_channels_and_patches_are_kept_to(tmp_path):
    corpus = Corpus.build(tmp_path / "c", [(entry(), [noise()]), (entry("short"), [noise(4, 120)])])
    plan = DrawPlan(patch=50, min_channels=3, min_patches=4, max_patches=4)
    rng = np.random.default_rng(0)
    shapes = {tuple(corpus.draw(rng, 1, plan).x.shape) for _ in range(30)}
    assert shapes == {(1, 3, 200), (1, 4, 200)}
    with pytest.raises(RecordingError, match=r"min_patches = 90"):
        corpus.draw(rng, 1, DrawPlan(patch=50, min_patches=90, max_patches=90))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_longer_entries_are_drawn_more_often(tmp_path, power):
    signals = [(entry("a"), [counting(400)]), (entry("b", channels=5), [counting(6400, 0, 5)])]
    corpus = Corpus.build(tmp_path / "c", signals)
    plan = DrawPlan(patch=50, min_channels=5, power=power)
    rng = np.random.default_rng(0)
    share = np.mean([corpus.draw(rng, 1, plan).x.shape[1] == 5 for _ in range(200)])
    expected = 16**power / (1 + 16**power)
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 200)


@pytest.mark.parametrize("modality", ["EEG", "iEEG"])
def test_drawn_signal_is_clipped(tmp_path, modality):
    signal, limit = noise(), CLIP_UV[modality]
    signal[:, ::100] = 1000.0  # 1 % of the samples
    corpus = Corpus.build(tmp_path / "c", [(entry(modality=modality), [signal])])
    batch = corpus.draw(np.random.default_rng(0), 4, DrawPlan(max_patches=4))
    assert batch.x.max() == limit
    assert batch.usable.all()
    assert set(batch.modality.tolist()) == {int(modality == "iEEG")}


def test_clipped_and_flat_channels_are_drawn_last_and_are_not_usable(tmp_path):
    signal = noise(6)
    signal[1, ::20] = 1000.0  # 5 %
    signal[4] = 7.0
    corpus = Corpus.build(tmp_path / "c", [(entry(channels=6), [signal])])
    rng = np.random.default_rng(0)
    few = DrawPlan(patch=500, max_channels=4, max_patches=4)
    drawn = [corpus.draw(rng, 4, few) for _ in range(20)]
    assert all(batch.usable.all() for batch in drawn)
    assert not {0, 3} & set(np.concatenate([b.subtypes.numpy().ravel() for b in drawn]).tolist())
    every = corpus.draw(rng, 4, DrawPlan(patch=500, min_channels=6, max_patches=4))
    assert every.usable.tolist() == [[True, False, True, True, False, True]] * 4


def test_a_place_where_most_channels_are_bad_is_left_for_another(tmp_path):
    signal = noise(4, 20_000)
    signal[:3, :10_000] = 500.0 * np.sign(signal[:3, :10_000])
    corpus = Corpus.build(tmp_path / "c", [(entry(), [signal])])
    batch = corpus.draw(np.random.default_rng(0), 40, DrawPlan(patch=50, max_patches=2))
    assert batch.usable.all()
    assert batch.x.abs().max() < 100


def test_when_most_channels_are_bad_everywhere_the_error_says_so(tmp_path):
    bad = Corpus.build(tmp_path / "bad", [(entry(), [noise(uv=500.0)])])
    with pytest.raises(RecordingError, match="check units"):
        bad.draw(np.random.default_rng(0), 1, DrawPlan(tries=2))
    both = Corpus.build(
        tmp_path / "both", [(entry(), [noise(uv=500.0)]), (entry("b"), [noise(4, 4000)])]
    )
    rng = np.random.default_rng(0)
    assert all(both.draw(rng, 1, DrawPlan(tries=2)).usable.all() for _ in range(10))


def test_an_average_reference_rests_on_every_electrode_but_flat_ones(tmp_path):
    signal = noise(6) + 300 * np.sin(np.arange(4000) / 9).astype(np.float32)
    signal[5] = 0
    corpus = Corpus.build(tmp_path / "c", [(entry(channels=6), [signal])])
    plan = DrawPlan(min_channels=6, max_patches=2, average_share=1.0)
    batch = corpus.draw(np.random.default_rng(0), 3, plan)
    assert batch.usable.tolist() == [[True] * 5 + [False]] * 3
    assert batch.x[:, :5].sum(dim=1).abs().max() < 1e-2
    with pytest.raises(RecordingError, match="most channels were bad"):
        corpus.draw(np.random.default_rng(0), 3, DrawPlan(min_channels=6, max_patches=2))


def test_a_corpus_can_be_narrowed_to_one_modality(corpus):
    intracranial = corpus.only(modality="iEEG")
    assert [one.name for one in intracranial.entries] == ["c", "d"]
    assert np.array_equal(intracranial.samples(0), corpus.samples(2))
    with pytest.raises(RecordingError, match="no 'iEEG' entry, only EEG"):
        corpus.only(modality="EEG").only(modality="iEEG")


def test_a_split_keeps_the_parts_of_a_recording_together(tmp_path):
    signals = [
        (entry(f"{n}{modality}", data_id=str(n), modality=modality), [noise(seed=n)])
        for n in range(6)
        for modality in ("EEG", "iEEG")
    ]
    corpus = Corpus.build(tmp_path / "c", signals)
    kept, aside = corpus.split(0.3, seed=1)
    assert len(aside.entries) == 4
    assert len(kept.entries) == 8
    assert not {e.data_id for e in kept.entries} & {e.data_id for e in aside.entries}
    assert corpus.split(0.3, seed=1)[1].sha256 == aside.sha256
    assert len({corpus.split(0.3, seed=seed)[1].sha256 for seed in range(8)}) > 2


def test_a_split_leaves_something_of_each_modality_to_train_on(corpus):
    for seed in range(4):
        kept, aside = corpus.split(0.9, seed)
        for part in (kept, aside):
            assert [one.modality for one in part.entries] == ["EEG", "iEEG"]


def test_what_cannot_be_split_is_refused(corpus):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        corpus.split(1.0, 0)
    with pytest.raises(ConfigError, match="cannot be split"):
        Corpus(corpus.folder, corpus.entries[:1]).split(0.5, 0)


# ------------------------------------------------------------------------------------ on disk


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="There is no corpus"):
        Corpus.open(tmp_path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "has format 2"),
        (lambda text: text.replace('"modality"', '"mode"'), "is damaged"),
        (lambda text: text.replace('"EEG"', '"MEG"'), "is damaged"),
        (lambda _: "[]", "is damaged"),
        (lambda text: json.dumps({**json.loads(text), "entries": []}), "has no entry"),
    ],
)
def test_a_damaged_index_is_refused(corpus, damage, says):
    index = corpus.folder / "corpus.json"
    index.write_text(damage(index.read_text()))
    with pytest.raises(RecordingError, match=says):
        Corpus.open(corpus.folder)


def test_a_missing_a_short_and_an_altered_array_are_refused(corpus):
    path = corpus.folder / corpus.entries[0].file
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + b"\0\0\0\0")
    Corpus.open(corpus.folder)
    with pytest.raises(RecordingError, match="has been altered"):
        Corpus.open(corpus.folder, verify=True)
    path.write_bytes(whole[:-400])
    with pytest.raises(RecordingError, match="cannot be read"):
        Corpus.open(corpus.folder)
    np.save(path, noise(4, 100))
    with pytest.raises(RecordingError, match=r"float32 of shape \(4, 100\)"):
        Corpus.open(corpus.folder)
    path.unlink()
    with pytest.raises(RecordingError, match="cannot be read"):
        Corpus.open(corpus.folder)


@pytest.mark.parametrize("pieces", [[], [noise(4, 0)], [noise(3)], [noise() * np.nan]])
def test_signal_that_is_empty_or_not_finite_or_of_other_rows_is_refused(tmp_path, pieces):
    with pytest.raises(RecordingError):
        CorpusWriter(tmp_path).add(entry(), pieces)


def test_two_entries_cannot_have_one_name(tmp_path):
    with pytest.raises(RecordingError, match="called 'a'"):
        Corpus.build(tmp_path, [(entry(), [noise()]), (entry(data_id="2"), [noise()])])


def test_an_interrupted_build_keeps_what_it_has_and_what_was_there_before(tmp_path):
    Corpus.build(tmp_path, [(entry("old"), [noise()]), (entry("same"), [noise(seed=1)])])
    writer = CorpusWriter(tmp_path)
    writer.add(entry("new"), [noise(seed=2)])
    names = [one.name for one in Corpus.open(tmp_path, verify=True).entries]
    assert names == ["new", "old", "same"]

    resumed = CorpusWriter(tmp_path)
    assert resumed.keep(entry("new"))
    assert resumed.keep(entry("same"))
    assert not resumed.keep(entry("old", data_id="another recording"))
    assert not resumed.keep(entry("same", conditioning={"line_hz": 60.0}))
    resumed.close()
    after = Corpus.open(tmp_path, verify=True)
    assert [one.name for one in after.entries] == ["new", "same"]
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_an_entry_whose_array_is_lost_is_not_kept(tmp_path):
    corpus = Corpus.build(tmp_path, [(entry(), [noise()])])
    (tmp_path / corpus.entries[0].file).unlink()
    assert not CorpusWriter(tmp_path).keep(entry())


@pytest.mark.parametrize(
    "told",
    [
        {"patch": 0},
        {"max_channels": 0},
        {"min_channels": 33},
        {"min_patches": 31},
        {"power": 1.5},
        {"clipped_share": -0.1},
        {"average_share": 2.0},
        {"tries": 0},
    ],
)
def test_a_plan_out_of_range_is_refused(told):
    with pytest.raises(ConfigError, match=f"draw.{next(iter(told))}"):
        DrawPlan(**told)


@pytest.mark.parametrize("told", [{"modality": "MEG"}, {"subtypes": (0,)}, {"positions_mm": ()}])
def test_an_entry_that_contradicts_itself_is_refused(told):
    with pytest.raises(ConfigError):
        entry(**told)
