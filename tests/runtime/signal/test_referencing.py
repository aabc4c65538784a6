from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diverloop.runtime.errors import ConfigError
from diverloop.runtime.messages import Channel, StreamSpec
from diverloop.runtime.signal.referencing import SCHEMES, Reference, shaft_and_contact


def stream(*names: str, kind: str = "seeg", positions=None) -> StreamSpec:
    places = positions or [None] * len(names)
    channels = tuple(
        Channel(name=name, kind=kind, position_m=place)
        for name, place in zip(names, places, strict=True)
    )
    return StreamSpec(name="amp", rate_hz=1000.0, channels=channels)


def noise(n_channels: int, n_times: int = 50) -> np.ndarray:
    return np.random.default_rng(n_channels).normal(0, 20, (n_channels, n_times))


def good(spec: StreamSpec, *masked: str) -> np.ndarray:
    return np.array([name not in masked for name in spec.channel_names])


def named(reference: Reference) -> list[str]:
    return [channel.name for channel in reference.channels]


def applied(reference: Reference, spec: StreamSpec, *masked: str) -> dict[str, np.ndarray]:
    out = reference.matrix(good(spec, *masked)) @ noise(spec.n_channels)
    return dict(zip(named(reference), out, strict=True))


TWO_SHAFTS = stream("LA1", "LA2", "LA3", "LA4", "RB1", "RB2", "RB3")
RING = [(np.cos(a), np.sin(a), 0.0) for a in np.linspace(0, 2 * np.pi, 9)[:-1]]
SCALP = stream("F3", "Fz", "F4", "C4", "P4", "Pz", "P3", "C3", kind="eeg", positions=RING)
EARED = stream("A1", "C3", "Cz", "C4", "A2", kind="eeg")
WITH = {
    "none": (Reference("none", TWO_SHAFTS), TWO_SHAFTS),
    "average": (Reference("average", TWO_SHAFTS), TWO_SHAFTS),
    "average by shaft": (Reference("average", TWO_SHAFTS, by="shaft"), TWO_SHAFTS),
    "bipolar": (Reference("bipolar", TWO_SHAFTS), TWO_SHAFTS),
    "laplacian": (Reference("laplacian", TWO_SHAFTS), TWO_SHAFTS),
    "laplacian on the scalp": (Reference("laplacian", SCALP), SCALP),
    "linked ears": (Reference("linked_ears", EARED), EARED),
}
everyone = pytest.mark.parametrize(("reference", "spec"), WITH.values(), ids=WITH)
masks = st.lists(st.booleans(), min_size=8, max_size=8)


# -------------------------------------------------------------------------------------- laws


def test_every_scheme_is_put_to_the_test():
    assert {name.split()[0] for name in WITH} == {scheme.split("_")[0] for scheme in SCHEMES}


@given(name=st.sampled_from(list(WITH)), mask=masks)
def test_what_a_masked_channel_holds_reaches_no_row(name, mask):
    reference, spec = WITH[name]
    usable = np.array(mask[: spec.n_channels])
    matrix = reference.matrix(usable)
    assert matrix.shape == (reference.n_rows, spec.n_channels)
    assert np.isfinite(matrix).all()
    assert not matrix[:, ~usable].any()


@given(name=st.sampled_from(list(WITH)), mask=masks)
def test_a_masked_row_is_zero_and_every_other_row_carries_signal(name, mask):
    reference, spec = WITH[name]
    usable = np.array(mask[: spec.n_channels])
    np.testing.assert_array_equal(reference.usable(usable), reference.matrix(usable).any(axis=1))


@given(name=st.sampled_from([name for name in WITH if name != "none"]), mask=masks)
def test_what_all_channels_have_in_common_is_gone(name, mask):
    reference, spec = WITH[name]
    matrix = reference.matrix(np.array(mask[: spec.n_channels]))
    np.testing.assert_allclose(matrix.sum(axis=1), 0, atol=1e-12)


@everyone
def test_the_mask_that_was_given_is_left_alone(reference, spec):
    usable = good(spec, spec.channel_names[1])
    usable.flags.writeable = False
    reference.matrix(usable)
    assert reference.usable(usable) is not usable


# ----------------------------------------------------------------------------------- schemes


def test_none_leaves_the_channels_as_they_are():
    reference = Reference("none", TWO_SHAFTS)
    assert reference.channels == TWO_SHAFTS.channels
    assert np.array_equal(reference.matrix(good(TWO_SHAFTS)), np.eye(7))
    assert np.array_equal(
        reference.matrix(good(TWO_SHAFTS, "LA2")), np.diag(good(TWO_SHAFTS, "LA2"))
    )


def test_an_average_is_over_the_usable_channels_alone():
    out, raw = applied(WITH["average"][0], TWO_SHAFTS, "LA2", "RB1"), noise(7)
    kept = good(TWO_SHAFTS, "LA2", "RB1")
    np.testing.assert_allclose(out["LA1"], raw[0] - raw[kept].mean(axis=0), atol=1e-12)
    assert not out["LA2"].any()


def test_an_average_by_shaft_knows_nothing_of_the_other_shaft():
    out, raw = applied(WITH["average by shaft"][0], TWO_SHAFTS), noise(7)
    np.testing.assert_allclose(out["LA3"], raw[2] - raw[:4].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(out["RB1"], raw[4] - raw[4:].mean(axis=0), atol=1e-12)


def test_an_average_is_over_the_amplifiers_that_are_given():
    amplifiers = (("LA1", "RB2", "LA2"), ("LA3", "LA4", "RB1", "RB3"))
    reference = Reference("average", TWO_SHAFTS, groups=amplifiers)
    assert named(reference) == list(TWO_SHAFTS.channel_names)
    out, raw = applied(reference, TWO_SHAFTS), noise(7)
    np.testing.assert_allclose(out["RB2"], raw[5] - raw[[0, 1, 5]].mean(axis=0), atol=1e-12)


def test_a_channel_that_is_left_alone_in_its_group_is_masked():
    reference = WITH["average by shaft"][0]
    usable = reference.usable(good(TWO_SHAFTS, "RB1", "RB3"))
    assert dict(zip(named(reference), usable.tolist(), strict=True)) == {
        "LA1": True, "LA2": True, "LA3": True, "LA4": True,
        "RB1": False, "RB2": False, "RB3": False,
    }  # fmt: skip


def test_bipolar_is_the_difference_of_contacts_that_follow_on_each_other():
    reference = WITH["bipolar"][0]
    assert named(reference) == ["LA1-LA2", "LA2-LA3", "LA3-LA4", "RB1-RB2", "RB2-RB3"]
    out, raw = applied(reference, TWO_SHAFTS), noise(7)
    np.testing.assert_allclose(out["LA3-LA4"], raw[2] - raw[3], atol=1e-12)
    np.testing.assert_allclose(out["RB1-RB2"], raw[4] - raw[5], atol=1e-12)
    assert reference.left_out == ()


def test_a_masked_contact_takes_both_its_bipolar_rows_with_it():
    reference = WITH["bipolar"][0]
    usable = reference.usable(good(TWO_SHAFTS, "LA2"))
    lost = [name for name, fine in zip(named(reference), usable, strict=True) if not fine]
    assert lost == ["LA1-LA2", "LA2-LA3"]


def test_contacts_are_neighbours_by_their_numbers_whatever_order_they_come_in():
    spec = stream("LA10", "LA2", "LA'1", "LA1", "LA9", "LA'2", "LA4")
    reference = Reference("bipolar", spec)
    assert named(reference) == ["LA1-LA2", "LA9-LA10", "LA'1-LA'2"]
    assert reference.left_out == ("LA4",)


def test_a_bipolar_row_lies_half_way_and_is_of_the_same_kind():
    spec = stream("G1", "G2", kind="ecog", positions=[(0.0, 0.02, 0.0), (0.01, 0.0, 0.04)])
    (row,) = Reference("bipolar", spec).channels
    assert row == Channel(name="G1-G2", kind="ecog", position_m=(0.005, 0.01, 0.02))


def test_groups_that_are_given_stand_in_place_of_the_names():
    spec = stream("LFP_L_1_STN", "LFP_L_234_STN", "LFP_L_567_STN", "LFP_R_1_STN", kind="lfp")
    with pytest.raises(ConfigError, match="give the channels that follow on each other as groups"):
        Reference("bipolar", spec)
    reference = Reference(
        "bipolar", spec, groups=[("LFP_L_1_STN", "LFP_L_234_STN", "LFP_L_567_STN")]
    )
    assert named(reference) == ["LFP_L_1_STN-LFP_L_234_STN", "LFP_L_234_STN-LFP_L_567_STN"]
    assert reference.left_out == ("LFP_R_1_STN",)


def test_a_laplacian_subtracts_the_mean_of_both_neighbours_or_of_the_one_there_is():
    out, raw = applied(WITH["laplacian"][0], TWO_SHAFTS), noise(7)
    np.testing.assert_allclose(out["LA2"], raw[1] - (raw[0] + raw[2]) / 2, atol=1e-12)
    np.testing.assert_allclose(out["LA4"], raw[3] - raw[2], atol=1e-12)
    masked = applied(WITH["laplacian"][0], TWO_SHAFTS, "LA1")
    np.testing.assert_allclose(masked["LA2"], raw[1] - raw[2], atol=1e-12)


def test_a_laplacian_row_without_any_usable_neighbour_is_masked():
    reference = WITH["laplacian"][0]
    usable = reference.usable(good(TWO_SHAFTS, "RB2", "LA1", "LA3"))
    lost = [name for name, fine in zip(named(reference), usable, strict=True) if not fine]
    assert lost == ["LA1", "LA2", "LA3", "LA4", "RB1", "RB2", "RB3"]


def test_a_laplacian_on_the_scalp_takes_the_four_nearest_electrodes():
    out, raw = applied(WITH["laplacian on the scalp"][0], SCALP), noise(8)
    np.testing.assert_allclose(out["F4"], raw[2] - raw[[0, 1, 3, 4]].mean(axis=0), atol=1e-12)
    few = stream("C3", "C4", "Cz", kind="eeg", positions=[(-1, 0, 0), (1, 0, 0), (0, 0, 1)])
    matrix = Reference("laplacian", few).matrix(good(few))
    np.testing.assert_allclose(matrix[2], [-0.5, -0.5, 1])


def test_shafts_and_scalp_in_one_stream_each_have_their_own_neighbours():
    mixed = StreamSpec(name="amp", rate_hz=1000.0, channels=(*TWO_SHAFTS.channels, *SCALP.channels))
    matrix = Reference("laplacian", mixed).matrix(good(mixed))
    np.testing.assert_allclose(matrix[:7, :7], WITH["laplacian"][0].matrix(good(TWO_SHAFTS)))
    np.testing.assert_allclose(
        matrix[7:, 7:], WITH["laplacian on the scalp"][0].matrix(good(SCALP))
    )
    assert not matrix[:7, 7:].any()
    assert not matrix[7:, :7].any()


def test_a_grid_is_cut_into_rows_and_has_neighbours_above_and_below():
    spec = stream(*(f"G{contact}" for contact in range(1, 13)), "D1", "D2", kind="ecog")
    bipolar = Reference("bipolar", spec, grids={"G": 4})
    assert named(bipolar) == [
        "G1-G2", "G2-G3", "G3-G4", "G5-G6", "G6-G7", "G7-G8", "G9-G10", "G10-G11", "G11-G12",
        "D1-D2",
    ]  # fmt: skip
    out, raw = applied(Reference("laplacian", spec, grids={"G": 4}), spec), noise(14)
    np.testing.assert_allclose(out["G6"], raw[5] - raw[[1, 4, 6, 9]].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(out["G4"], raw[3] - raw[[2, 7]].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(out["G5"], raw[4] - raw[[0, 5, 8]].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(out["D2"], raw[13] - raw[12], atol=1e-12)


def test_linked_ears_are_subtracted_and_leave_the_output():
    reference = WITH["linked ears"][0]
    assert named(reference) == ["C3", "Cz", "C4"]
    out, raw = applied(reference, EARED), noise(5)
    np.testing.assert_allclose(out["Cz"], raw[2] - (raw[0] + raw[4]) / 2, atol=1e-12)
    np.testing.assert_allclose(applied(reference, EARED, "A2")["Cz"], raw[2] - raw[0], atol=1e-12)
    assert not reference.usable(good(EARED, "A1", "A2")).any()


def test_mastoids_are_found_too_and_other_electrodes_if_they_are_named():
    assert named(Reference("linked_ears", stream("m1", "Cz", "m2", kind="eeg"))) == ["Cz"]
    muse = stream("TP9", "AF7", "AF8", "TP10", kind="eeg")
    assert named(Reference("linked_ears", muse, ears=("TP9", "TP10"))) == ["AF7", "AF8"]


# ------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("LA1", ("LA", 1)),
        ("LA'2", ("LA'", 2)),
        ("LA\u20192", ("LA\u2019", 2)),
        ("POL A12", ("POL A", 12)),
        ("ECOG_L_1_SMC_AT", ("ECOG_L__SMC_AT", 1)),
        ("G23", ("G", 23)),
        ("LA01", ("LA", 1)),
        ("X2Y3", ("X2Y", 3)),
        (" RB 4 ", ("RB", 4)),
        ("REF", None),
        ("17", None),
        ("", None),
    ],
)
def test_the_last_run_of_digits_is_the_contact_and_the_rest_the_shaft(name, place):
    assert shaft_and_contact(name) == place


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("scheme", "by"), [("car", "stream"), ("average", "amplifier")])
def test_a_scheme_that_does_not_exist_is_refused_with_those_that_do(scheme, by):
    with pytest.raises(
        ConfigError, match="none, average, bipolar, laplacian, linked_ears"
    ) as caught:
        Reference(scheme, TWO_SHAFTS, by=by)
    assert f"got '{scheme}' by '{by}'" in str(caught.value)


def test_ears_that_are_missing_are_refused_with_what_there_is():
    with pytest.raises(ConfigError, match=r"A1 and A2 or M1 and M2, got LA1, .*TP9 and TP10"):
        Reference("linked_ears", TWO_SHAFTS)
    with pytest.raises(ConfigError, match="need the channels TP9 and TP10, got A1, C3"):
        Reference("linked_ears", EARED, ears=("TP9", "TP10"))


def test_contacts_one_and_two_of_a_shaft_called_a_are_no_ears():
    with pytest.raises(ConfigError, match="Linked ears need"):
        Reference("linked_ears", stream("A1", "A2", "A3"))


def test_ears_alone_leave_nothing():
    with pytest.raises(ConfigError, match="nothing is left"):
        Reference("linked_ears", stream("A1", "A2", kind="eeg"))


def test_a_channel_that_nobody_shares_a_group_with_is_refused_by_name():
    with pytest.raises(ConfigError, match="none shares one with RB1"):
        Reference("average", stream("LA1", "LA2", "RB1"), by="shaft")
    with pytest.raises(ConfigError, match="none shares one with LA4, RB1, RB2, RB3"):
        Reference("average", TWO_SHAFTS, groups=[("LA1", "LA2", "LA3")])


def test_scalp_names_are_not_taken_for_shafts():
    with pytest.raises(ConfigError, match="nothing is left"):
        Reference("bipolar", stream("C1", "C2", "C3", "C4", kind="eeg"))


def test_a_laplacian_without_positions_is_refused_by_name():
    with pytest.raises(
        ConfigError, match="needs the positions of scalp electrodes, and C3, C4 came"
    ):
        Reference("laplacian", stream("C3", "C4", kind="eeg"))


def test_two_names_for_one_contact_are_refused():
    with pytest.raises(ConfigError, match="LA1 and LA01 both read as contact 1 of LA"):
        Reference("bipolar", stream("LA1", "LA01", "LA2"))


def test_groups_must_name_each_channel_of_the_stream_once():
    with pytest.raises(ConfigError, match="got LA9, which the stream lacks"):
        Reference("bipolar", TWO_SHAFTS, groups=[("LA1", "LA9")])
    with pytest.raises(ConfigError, match="got LA1, more than once"):
        Reference("bipolar", TWO_SHAFTS, groups=[("LA1", "LA2"), ("LA1", "LA3")])


@pytest.mark.parametrize("grids", [{"H": 4}, {"LA": 1}])
def test_a_grid_that_is_none_is_refused(grids):
    with pytest.raises(ConfigError, match="the channels bear LA, RB"):
        Reference("bipolar", TWO_SHAFTS, grids=grids)
