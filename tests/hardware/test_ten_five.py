"""Every label of the 10-05 system has a place, and it is where a template head has it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from diverloop.hardware.montage import HEAD_RADIUS_M, with_places
from diverloop.hardware.ten_five import LABELS, standard_name, unit_place
from diverloop.runtime.messages import Channel, StreamSpec


def places() -> dict[str, np.ndarray]:
    return {label: unit_place(label) for label in LABELS}


def test_the_system_has_345_labels_each_with_a_place_of_its_own():
    xyz = np.array(list(places().values()))
    assert len(set(LABELS)) == len(LABELS) == 345
    np.testing.assert_allclose(np.linalg.norm(xyz, axis=1), 1.0)
    apart = np.linalg.norm(xyz[:, None] - xyz, axis=-1) + np.eye(len(xyz))
    assert HEAD_RADIUS_M * apart.min() > 5e-3


def test_even_labels_mirror_odd_ones_and_the_midline_is_in_the_middle():
    all_of_them = places()
    for label, place in all_of_them.items():
        if label.endswith("z"):
            assert place[0] == 0
            continue
        row = label.rstrip("h0123456789")
        column = label[len(row) :]
        number = int(column.rstrip("h"))
        if number % 2:
            other = f"{row}{number + 1}{column[len(str(number)) :]}"
            assert place[0] < 0
            np.testing.assert_array_equal(place * (-1, 1, 1), all_of_them[other])


@pytest.mark.parametrize(
    "names",
    [
        ("Cz", "C1h", "C1", "C3h", "C3", "C5h", "C5", "T7h", "T7"),
        ("AFFz", "AFF1h", "AFF1", "AFF3h", "AFF3", "AFF5h", "AFF5", "AFF7h", "AFF7"),
    ],
)
def test_half_columns_share_the_way_to_the_ring_in_equal_parts(names):
    steps = np.linalg.norm(np.diff([unit_place(name) for name in names], axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_half_rows_lie_half_way_along_the_midline_and_along_the_ring():
    for before, between, behind in [
        ("Fz", "FFCz", "FCz"),
        ("F7", "FFT7", "FT7"),
        ("Oz", "OIz", "Iz"),
    ]:
        middle = unit_place(before) + unit_place(behind)
        np.testing.assert_allclose(unit_place(between), middle / np.linalg.norm(middle), atol=1e-3)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("FP1", "Fp1"), ("POZ", "POz"), ("EEG Fp1-REF", "Fp1"), ("EEG FP1-LE", "Fp1"),
        ("Fc5.", "FC5"), ("Cz..", "Cz"), ("ffc5H", "FFC5h"), (" Oz ", "Oz"), ("EEG T3-A1A2", "T7"),
        ("T3", "T7"), ("T4", "T8"), ("T5", "P7"), ("t6", "P8"), ("O9", "I1"), ("POL C3", "C3"),
    ],
)  # fmt: skip
def test_a_label_is_known_however_a_device_writes_it(written, name):
    assert standard_name(written) == name


@pytest.mark.parametrize(
    "written", ["Fp1-F7", "A1", "M1", "LA1", "EEG1", "", "REF", "C9", "C3'", "EEG", "Fp1-", "T3-T5"]
)
def test_what_is_no_electrode_of_the_system_has_no_name_in_it(written):
    assert standard_name(written) is None


def test_places_agree_with_the_template_head_within_a_stated_error():
    """Mean 9.3 mm, worst 25.3 mm (Iz): the template is a head, and no sphere."""
    mne = pytest.importorskip("mne")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # newer releases call it by another name
        template = mne.channels.make_standard_montage("standard_1005").get_positions()["ch_pos"]
    names = [name for name in template if name in LABELS]
    assert len(names) == 335  # all but the rows N and NFp
    spec = StreamSpec(name="s", rate_hz=1.0, channels=tuple(Channel(name=n) for n in names))
    here = np.array([channel.position_m for channel in with_places(spec).channels])
    off_mm = 1e3 * np.linalg.norm(here - [template[name] for name in names], axis=1)
    assert off_mm.mean() < 9.5
    assert off_mm.max() < 25.5
    assert names[int(off_mm.argmax())] == "Iz"
