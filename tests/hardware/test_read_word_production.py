import builtins

import numpy as np
import pytest

from diverloop.hardware.read_word_production import participant_files, read, read_voice
from diverloop.runtime.errors import RecordingError, UnitError

h5py = pytest.importorskip("h5py", reason="NWB files are HDF5, and h5py is not installed")

RATE_HZ, START_S = 1024.0, 500.0
COLUMNS = "name\ttype\tunits\tlow_cutoff\thigh_cutoff\tdescription"
ROWS = ["LA1\tSEEG\tuV\tn/a\tn/a\tctx", "LA2\tSEEG\tuV\tn/a\tn/a\twm", "X\tMISC\tuV\tn/a\tn/a\t-"]
WORDS = [""] * 100 + ["Goed"] * 200 + [""] * 100 + ["Wij"] * 190  # 10 samples short, as in the set


def written(root, rows=ROWS, columns=COLUMNS, lost=(), names=("sub-01", "sub-02")):
    """The set with one participant, in the layout of its authors."""
    root.mkdir(exist_ok=True)
    (root / "participants.tsv").write_text(
        "participant_id\tage\tsex\n" + "".join(f"{name}\t30\tf\n" for name in names)
    )
    data = np.random.default_rng(0).standard_normal((600, 3)) * 50
    keep = np.setdiff1d(np.arange(600), lost)
    for name in names:
        folder = root / name / "ieeg"
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"{name}_task-wordProduction"
        stem.with_name(stem.name + "_channels.tsv").write_text("\n".join([columns, *rows]) + "\n")
        with h5py.File(stem.with_name(stem.name + "_ieeg.nwb"), "w") as file:
            stamps_s = START_S + np.arange(600) / RATE_HZ
            file["acquisition/iEEG/data"] = data[keep]
            file["acquisition/iEEG/timestamps"] = stamps_s[keep]
            file["acquisition/Audio/data"] = np.arange(480, dtype=np.int16)
            file["acquisition/Audio/timestamps"] = START_S + 0.25 + np.arange(480) / 48_000
            file["acquisition/Stimulus/data"] = np.array(WORDS, dtype=h5py.string_dtype())
            file["acquisition/Stimulus/timestamps"] = stamps_s[: len(WORDS)]
    return participant_files(root)[0], data


def test_participants_are_found_in_the_order_of_their_table(tmp_path):
    written(tmp_path, names=("sub-02", "sub-01"))
    assert [path.parent.parent.name for path in participant_files(tmp_path)] == ["sub-02", "sub-01"]


def test_seeg_comes_as_a_recording_in_microvolts(tmp_path):
    path, data = written(tmp_path)
    recording = read(path)
    assert recording.spec.rate_hz == 1024
    assert [(one.name, one.kind) for one in recording.spec.channels] == [
        ("LA1", "seeg"),
        ("LA2", "seeg"),
        ("X", "misc"),
    ]
    np.testing.assert_allclose(recording.samples, data.T, rtol=1e-6)
    assert recording.samples.dtype == np.float32
    assert recording.gaps == ()
    assert recording.start_lsl_s == pytest.approx(START_S)


def test_words_become_cues_where_they_appear_and_rest_where_they_go(tmp_path):
    markers = read(written(tmp_path)[0]).markers
    assert [(one.label, one.sample) for one in markers] == [
        ("say:Goed", 100),
        ("rest", 300),
        ("say:Wij", 400),
    ]
    assert markers[0].lsl_corrected_s == pytest.approx(START_S + 100 / RATE_HZ)


def test_samples_that_are_missing_in_time_are_a_gap(tmp_path):
    path, data = written(tmp_path, lost=range(200, 260))
    recording = read(path)
    assert recording.gaps == ((200, 260),)
    assert recording.n_times == 600
    assert np.isnan(recording.samples[:, 200:260]).all()
    np.testing.assert_allclose(recording.samples[:, 260:], data[260:].T, rtol=1e-6)
    assert [one.sample for one in recording.markers] == [100, 300, 400]


def test_streams_without_time_stamps_are_counted(tmp_path):
    path, _ = written(tmp_path)
    with h5py.File(path, "a") as file:
        for name in ("iEEG", "Stimulus"):
            del file[f"acquisition/{name}/timestamps"]
    assert [one.sample for one in read(path).markers] == [100, 300, 400]


def test_the_voice_says_when_it_starts(tmp_path):
    voice = read_voice(written(tmp_path)[0])
    assert voice.samples.tolist() == list(range(480))
    assert voice.rate_hz == 48_000
    assert voice.start_s == pytest.approx(0.25)


def test_units_are_those_of_the_table(tmp_path):
    path, data = written(tmp_path, rows=[row.replace("uV", "mV") for row in ROWS])
    np.testing.assert_allclose(read(path).samples, 1000 * data.T, rtol=1e-6)


def test_an_unknown_unit_is_refused_unless_one_is_assumed(tmp_path):
    path, data = written(tmp_path, rows=[row.replace("uV", "n/a") for row in ROWS])
    with pytest.raises(UnitError, match="n/a"):
        read(path)
    np.testing.assert_allclose(read(path, assume_unit="uV").samples, data.T, rtol=1e-6)


def test_tables_that_do_not_fit_are_refused(tmp_path):
    path, _ = written(tmp_path / "a", rows=ROWS[:2])
    with pytest.raises(RecordingError, match="names 2 channels"):
        read(path)
    path, _ = written(tmp_path / "b", columns=COLUMNS.replace("name", "label"))
    with pytest.raises(RecordingError, match="no column 'name'"):
        read(path)
    path.with_name(path.name.replace("_ieeg.nwb", "_channels.tsv")).unlink()
    with pytest.raises(RecordingError, match="keeps this table"):
        read(path)


def test_a_missing_recording_is_named(tmp_path):
    path, _ = written(tmp_path)
    path.unlink()
    with pytest.raises(RecordingError, match="lacks sub-01_task-wordProduction_ieeg"):
        participant_files(tmp_path)


@pytest.mark.parametrize("kept", [0, 60, 900])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, kept):
    path, _ = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    for reading in (read, read_voice):
        with pytest.raises(RecordingError, match=path.name):
            reading(path)


@pytest.mark.parametrize("name", ["iEEG", "Stimulus"])
def test_a_file_of_something_else_is_refused_in_one_sentence(tmp_path, name):
    path, _ = written(tmp_path)
    with h5py.File(path, "a") as file:
        del file[f"acquisition/{name}"]
    with pytest.raises(RecordingError, match=f"acquisition/{name}"):
        read(path)


def test_time_stamps_must_be_as_many_as_samples(tmp_path):
    path, _ = written(tmp_path)
    with h5py.File(path, "a") as file:
        del file["acquisition/iEEG/timestamps"]
        file["acquisition/iEEG/timestamps"] = np.zeros(5)
    with pytest.raises(RecordingError, match="5 time stamps"):
        read(path)


def test_without_h5py_the_advice_is_to_install_it(tmp_path, monkeypatch):
    path, _ = written(tmp_path)
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RecordingError, match="pip install"):
        read(path)
