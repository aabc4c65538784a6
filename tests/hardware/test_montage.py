import numpy as np
import pytest

from diverloop.hardware.montage import (
    HEAD_RADIUS_M,
    MONTAGES,
    ecog_grid,
    montage,
    scalp_position_m,
    seeg_shafts,
    with_places,
)
from diverloop.runtime.errors import UnknownName
from diverloop.runtime.messages import Channel, StreamSpec

SIZES = {"eeg8": 8, "eeg16": 16, "eeg32": 32, "eeg64": 64, "ecog8x8": 64, "seeg4x10": 40}


def places(name):
    return {channel.name: np.array(channel.position_m) for channel in montage(name)}


def test_the_catalogue_is_what_this_file_knows():
    assert set(MONTAGES) == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_montage_has_its_size_and_no_two_channels_in_one_place(name):
    channels = montage(name)
    assert len({channel.name for channel in channels}) == len(channels) == SIZES[name]
    xyz = np.array([channel.position_m for channel in channels])
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1) + np.eye(len(xyz))
    assert distance.min() > 3e-3


@pytest.mark.parametrize("name", ["eeg8", "eeg16", "eeg32", "eeg64"])
def test_scalp_electrodes_lie_on_the_head_sphere(name):
    for place in places(name).values():
        assert np.linalg.norm(place) == pytest.approx(HEAD_RADIUS_M)


def test_smaller_caps_are_subsets_of_the_largest():
    assert set(places("eeg8")) | set(places("eeg16")) | set(places("eeg32")) <= set(places("eeg64"))


def test_left_and_right_mirror_each_other():
    cap = places("eeg64")
    for left, right in [("C3", "C4"), ("F7", "F8"), ("PO3", "PO4"), ("P9", "P10"), ("O1", "O2")]:
        np.testing.assert_allclose(cap[left] * (-1, 1, 1), cap[right], atol=1e-12)
        assert cap[left][0] < 0


def test_anatomical_directions_are_right():
    cap = places("eeg64")
    np.testing.assert_allclose(cap["Cz"], [0, 0, HEAD_RADIUS_M], atol=1e-12)
    assert cap["Fpz"][1] > 0.08
    assert cap["Oz"][1] < -0.08
    assert cap["T7"][0] < -0.08
    assert cap["F3"][1] > cap["FC3"][1] > cap["C3"][1] > cap["CP3"][1] > cap["P3"][1]


@pytest.mark.parametrize(("row", "middle"), [("F", "Fz"), ("FC", "FCz"), ("C", "Cz"), ("P", "Pz")])
def test_neighbours_in_a_row_are_evenly_spaced(row, middle):
    ends = {"F": "F7", "FC": "FT7", "C": "T7", "P": "P7"}
    names = [middle, f"{row}1", f"{row}3", f"{row}5", ends[row]]
    xyz = np.array([scalp_position_m(name) for name in names])
    steps = np.linalg.norm(np.diff(xyz, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_grid_neighbours_are_ten_millimetres_apart():
    xyz = np.array([channel.position_m for channel in ecog_grid(8, 8)]).reshape(8, 8, 3)
    for axis in (0, 1):
        steps = np.linalg.norm(np.diff(xyz, axis=axis), axis=-1)
        np.testing.assert_allclose(steps, 0.010, rtol=1e-9)
    assert xyz[-1, 0, 2] > xyz[0, 0, 2]
    assert (xyz[..., 0] < 0.01).all()


def test_shaft_contacts_are_numbered_from_the_tip():
    channels = seeg_shafts(10)
    assert [channel.name for channel in channels[:2]] == ["LA1", "LA2"]
    assert channels[-1].name == "RB10"
    xyz = np.array([channel.position_m for channel in channels]).reshape(4, 10, 3)
    np.testing.assert_allclose(np.abs(np.diff(xyz[..., 0], axis=1)), 0.0035)


def test_an_unknown_montage_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"'eeg46'.*Did you mean 'eeg64'"):
        montage("eeg46")


@pytest.mark.parametrize("name", ["C11", "X3", "", "z", "C", "Fp1z"])
def test_an_unknown_electrode_is_refused(name):
    with pytest.raises(UnknownName, match="10-05"):
        scalp_position_m(name)


def test_scalp_electrodes_get_places_by_their_names_and_others_keep_what_they_have():
    known = Channel(name="Cz", position_m=(0.0, 0.1, 0.1))
    rows = (Channel(name="C3"), known, Channel(name="EEG1"), Channel(name="F3", kind="ecog"))
    placed = with_places(StreamSpec(name="s", rate_hz=250.0, channels=rows)).channels
    # C3 of the standard 10-05 template.
    assert placed[0].position_m == pytest.approx((-0.0654, -0.0116, 0.0644), abs=0.01)
    assert placed[1:] == rows[1:]
