"""Where each channel is drawn, by its place, its name, or its row."""

from __future__ import annotations

from diverloop.gui.map_plan import plans_of
from diverloop.hardware.contacts import over_grid
from diverloop.hardware.montage import scalp_position_m
from diverloop.runtime.messages import Channel, StreamSpec


def stream(*channels: Channel) -> StreamSpec:
    return StreamSpec(name="made", rate_hz=250, channels=channels)


def named(prefix: str, numbers, kind: str) -> list[Channel]:
    return [Channel(name=f"{prefix}{n}", kind=kind) for n in numbers]


def test_electrodes_that_know_their_place_are_on_a_head():
    spec = stream(*(Channel(name=n, position_m=scalp_position_m(n)) for n in ("C3", "Cz", "C4")))
    (plan,) = plans_of(spec)
    assert (plan.kind, plan.note) == ("head", "")
    assert [spot.x < 0 for spot in plan.spots] == [True, False, False]


def test_names_are_looked_up_where_no_place_is_known_and_the_map_says_so():
    usual = {"C3": scalp_position_m("C3"), "C4": scalp_position_m("C4")}
    (plan,) = plans_of(stream(Channel(name="c3 "), Channel(name="C4")), usual)
    assert plan.kind == "head"
    assert "not measured" in plan.note


def test_channels_without_any_place_are_listed_and_the_map_says_so():
    spec = stream(*(Channel(name=f"ch{letter}") for letter in "abcdef"))
    (plan,) = plans_of(spec, {"C3": (0.0, 0.0, 0.1)})
    assert plan.kind == "list"
    assert [spot.row for spot in plan.spots] == list(range(6))
    assert "cha, chb, chc and 3 more" in plan.note
    assert len({(spot.x, spot.y) for spot in plan.spots}) == 6


def test_a_shaft_is_a_column_with_its_contacts_in_order():
    channels = [*named("LA'", (3, 1, 2), "seeg"), *named("RB", (1, 3), "seeg")]
    (plan,) = plans_of(stream(*channels))
    assert (plan.kind, plan.heads, plan.columns, plan.rows) == ("shafts", ("LA'", "RB"), 2, 3)
    at = {spot.name: (spot.x, spot.y) for spot in plan.spots}
    assert at == {"LA'1": (0, 0), "LA'2": (0, 1), "LA'3": (0, 2), "RB1": (1, 0), "RB3": (1, 2)}


def test_a_grid_without_places_is_guessed_and_the_map_says_so():
    (plan,) = plans_of(stream(*named("GA", range(1, 65), "ecog")))
    assert (plan.kind, plan.columns, plan.rows) == ("grid", 8, 8)
    assert "guess" in plan.note


def test_a_grid_with_places_is_not_guessed():
    places = over_grid((0, 0, 0), (0.03, 0, 0), (0, 0.05, 0), rows=6, in_a_row=4)
    known = [
        Channel(name=f"G{n + 1}", kind="ecog", position_m=place) for n, place in enumerate(places)
    ]
    (plan,) = plans_of(stream(*known))
    assert (plan.columns, plan.rows, plan.note) == (4, 6, "")


def test_several_kinds_are_several_maps_and_what_is_no_electrode_is_on_none():
    channels = [
        Channel(name="EOG1", kind="eog"),
        *named("A", range(1, 9), "seeg"),
        *named("G", range(1, 17), "ecog"),
        Channel(name="Cz", position_m=scalp_position_m("Cz")),
    ]
    plans = plans_of(stream(*channels))
    assert [plan.kind for plan in plans] == ["grid", "shafts", "head"]
    assert "EOG1" not in {spot.name for plan in plans for spot in plan.spots}


def test_two_names_of_one_contact_and_names_without_a_number_lose_nobody():
    channels = [Channel(name=name, kind="seeg") for name in ("A1", "A01", "ref", "A2")]
    plans = plans_of(stream(*channels))
    assert {spot.name for plan in plans for spot in plan.spots} == {"A1", "A01", "ref", "A2"}
