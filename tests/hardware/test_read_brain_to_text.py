import builtins

import numpy as np
import pytest
from scipy.io import savemat

from diverloop.hardware.read_brain_to_text import (
    SpeechTrials,
    read_speech_trials,
    session_files,
)
from diverloop.runtime.errors import ConfigError, RecordingError
from diverloop.runtime.paradigms.phonemes import PHONEMES

h5py = pytest.importorskip("h5py", reason="the '25 set is HDF5, and h5py is not installed")

TEXTS = ("i am thirsty.", "hello")
CLASSES = ((6, 40, 2, 22, 40), (16, 3, 21, 25, 40))  # AY SIL AE M SIL, HH AH L OW SIL


def cells(rng, lengths, scale=1.0):
    """A MATLAB cell row of (n_bins, 256) matrices."""
    held = np.empty((1, len(lengths)), dtype=object)
    for at, length in enumerate(lengths):
        held[0, at] = scale * rng.poisson(1.0, (length, 256)).astype(float)
    return held


def of_24(path, **changes):
    """A session of '24 as scipy writes what MATLAB wrote."""
    rng = np.random.default_rng(0)
    held = {name: cells(rng, (30, 20)) for name in ("tx1", "tx2", "tx3", "tx4")}
    held |= {"spikePow": cells(rng, (30, 20), 40.0), "blockIdx": np.array([[3], [4]], np.uint8)}
    held["sentenceText"] = np.array([text.ljust(40) for text in TEXTS])
    held |= changes
    savemat(path, {name: value for name, value in held.items() if value is not None})
    return path, held


def of_25(path, labelled=True, n_trials=2):
    """A session of '25: padded labels, attributes beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    values = [rng.standard_normal((40 - 10 * at, 512)).astype(np.float32) for at in (0, 1)]
    with h5py.File(path, "w") as file:
        for at in range(n_trials):
            group = file.create_group(f"trial_{at:04d}")
            group["input_features"] = values[at]
            group.attrs["n_time_steps"] = len(values[at])
            group.attrs["session"] = "t15.2023.08.11"
            group.attrs["block_num"] = 2 + at
            group.attrs["trial_num"] = at
            if labelled:
                classes, codes = np.zeros(500, np.int32), np.zeros(500, np.int32)
                classes[: len(CLASSES[at])] = CLASSES[at]
                codes[: len(TEXTS[at])] = [ord(letter) for letter in TEXTS[at]]
                group["seq_class_ids"], group["transcription"] = classes, codes
                group.attrs["seq_len"] = len(CLASSES[at])
                group.attrs["sentence_label"] = TEXTS[at]
    return path, values


def test_a_session_of_24_gives_crossings_and_power_side_by_side(tmp_path):
    path, held = of_24(tmp_path / "t12.2022.05.05.mat")
    trials = read_speech_trials(path)
    assert isinstance(trials, SpeechTrials)
    assert [one.shape for one in trials.features] == [(30, 512), (20, 512)]
    assert trials.features[0].dtype == np.float32
    np.testing.assert_array_equal(trials.features[1][:, :256], held["tx1"][0, 1])
    np.testing.assert_array_equal(trials.features[1][:, 256:], held["spikePow"][0, 1])
    assert trials.texts == TEXTS
    assert trials.phonemes == (None, None)
    assert trials.blocks.tolist() == [3, 4]
    assert trials.sessions == ("t12.2022.05.05",) * 2
    assert (len(trials), trials.n_features, trials.bin_s) == (2, 512, 0.02)


def test_threshold_and_area_of_24_can_be_chosen(tmp_path):
    path, held = of_24(tmp_path / "a.mat")
    trials = read_speech_trials(path, crossings="tx3", area="6v")
    assert trials.n_features == 256
    np.testing.assert_array_equal(trials.features[0][:, :128], held["tx3"][0, 0][:, :128])
    np.testing.assert_array_equal(trials.features[0][:, 128:], held["spikePow"][0, 0][:, :128])


def test_cells_that_stand_in_a_column_are_read_as_well(tmp_path):
    rng = np.random.default_rng(2)
    column = cells(rng, (30, 20))
    row, _ = of_24(tmp_path / "row.mat", tx1=column)
    turned, _ = of_24(tmp_path / "column.mat", tx1=column.T)
    one, other = read_speech_trials(row), read_speech_trials(turned)
    np.testing.assert_array_equal(one.features[0], other.features[0])


def test_a_held_out_sentence_of_24_has_no_text(tmp_path):
    path, _ = of_24(tmp_path / "a.mat", sentenceText=np.array(["hello".ljust(9), " " * 9]))
    assert read_speech_trials(path).texts == ("hello", None)


def test_a_session_of_25_gives_features_text_and_phonemes(tmp_path):
    path, values = of_25(tmp_path / "t15.2023.08.11" / "data_train.hdf5")
    trials = read_speech_trials(path)
    for got, want in zip(trials.features, values, strict=True):
        np.testing.assert_array_equal(got, want)
    assert trials.texts == TEXTS
    spoken = [[PHONEMES[row] for row in one] for one in trials.phonemes]
    assert spoken == [["AY", "SIL", "AE", "M", "SIL"], ["HH", "AH", "L", "OW", "SIL"]]
    assert trials.blocks.tolist() == [2, 3]
    assert set(trials.sessions) == {"t15.2023.08.11"}
    assert len(trials.data_id) == 64


def test_a_test_file_of_25_has_no_labels(tmp_path):
    path, _ = of_25(tmp_path / "s" / "data_test.hdf5", labelled=False)
    trials = read_speech_trials(path)
    assert trials.texts == trials.phonemes == (None, None)


def test_text_comes_from_character_codes_where_there_is_no_sentence(tmp_path):
    path, _ = of_25(tmp_path / "s" / "data_train.hdf5")
    with h5py.File(path, "a") as file:
        del file["trial_0001"].attrs["sentence_label"]
    assert read_speech_trials(path).texts == TEXTS


def test_padding_behind_the_time_steps_is_cut_off(tmp_path):
    path, values = of_25(tmp_path / "s" / "data_train.hdf5")
    with h5py.File(path, "a") as file:
        file["trial_0000"].attrs["n_time_steps"] = 25
    np.testing.assert_array_equal(read_speech_trials(path).features[0], values[0][:25])


def test_trials_come_in_the_order_of_their_numbers(tmp_path):
    path, values = of_25(tmp_path / "s" / "data_train.hdf5")
    with h5py.File(path, "a") as file:
        file.move("trial_0000", "trial_0002")
    trials = read_speech_trials(path)
    assert [len(one) for one in trials.features] == [len(values[1]), len(values[0])]


def test_the_files_of_a_part_are_found_in_both_layouts(tmp_path):
    (tmp_path / "train").mkdir()
    old, _ = of_24(tmp_path / "train" / "t12.mat")
    new, _ = of_25(tmp_path / "t15.b" / "data_train.hdf5")
    of_25(tmp_path / "t15.b" / "data_val.hdf5")
    assert set(session_files(tmp_path, "train")) == {old, new}
    assert [path.name for path in session_files(tmp_path, "val")] == ["data_val.hdf5"]
    with pytest.raises(RecordingError, match="unpacked"):
        session_files(tmp_path, "test")
    with pytest.raises(ConfigError, match="no part 'dev'"):
        session_files(tmp_path, "dev")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spikePow": None}, "lacks spikePow"),
        ({"blockIdx": np.array([[3]])}, "1 block numbers"),
        ({"spikePow": cells(np.random.default_rng(0), (30, 21))}, "in trial 1"),
        ({"spikePow": cells(np.random.default_rng(0), (30,))}, "taken apart"),
    ],
)
def test_another_matlab_file_is_refused_in_one_sentence(tmp_path, changes, said):
    path, _ = of_24(tmp_path / "a.mat", **changes)
    with pytest.raises(RecordingError, match=said):
        read_speech_trials(path)


@pytest.mark.parametrize("name", ["a.mat", "a.hdf5"])
@pytest.mark.parametrize("kept", [0, 60, 600])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, name, kept):
    path, _ = (of_24 if name == "a.mat" else of_25)(tmp_path / name)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RecordingError, match=name):
        read_speech_trials(path)


def test_an_hdf5_file_of_something_else_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["other"] = np.zeros(3)
    with pytest.raises(RecordingError, match="0 trials"):
        read_speech_trials(tmp_path / "a.hdf5")
    path, _ = of_25(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        file["trial_0000"]["seq_class_ids"][0] = 41
    with pytest.raises(RecordingError, match="not 1 to 40"):
        read_speech_trials(path)


def test_what_cannot_be_asked_for_is_said(tmp_path):
    path, _ = of_24(tmp_path / "a.mat")
    with pytest.raises(ConfigError, match="'tx9'"):
        read_speech_trials(path, crossings="tx9")
    with pytest.raises(RecordingError, match="no file"):
        read_speech_trials(tmp_path / "none.mat")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(RecordingError, match=r"\.txt"):
        read_speech_trials(tmp_path / "a.txt")


def test_without_h5py_the_advice_is_to_install_it(tmp_path, monkeypatch):
    path, _ = of_25(tmp_path / "a.hdf5")
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RecordingError, match="pip install"):
        read_speech_trials(path)
