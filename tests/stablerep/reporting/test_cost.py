"""What a run cost."""

from dataclasses import replace

import pytest

from stablerep.reporting.cost import add_up
from tests.stablerep.reporting.content import make_content

SPENT = {
    "num_made_images": 400,
    "seconds": 20.0,
    "gpu_energy_j": 3600.0,
    "processor_energy_j": 7200.0,
    "price": 0.25,
}


def test_seconds_of_a_rooms_nodes_are_added() -> None:
    seconds = {"curate": 1.0, "image_sets.a.draw": 2.0, "image_sets.b.draw": 3.0, "evaluate": 4.0}
    cost = add_up(replace(make_content(), stage_seconds=seconds))
    assert cost.rooms == {"curate": 1.0, "image_sets": 5.0, "evaluate": 4.0}


def test_energy_is_that_of_both_counters_in_watt_hours() -> None:
    cost = add_up(replace(make_content(), drawing_costs={"synthetic": SPENT}))
    (drawn,) = cost.drawn
    assert drawn.energy_wh == pytest.approx(3.0) and drawn.images_per_second == pytest.approx(20.0)
    assert cost.energy_wh == pytest.approx(3.0) and cost.price == 0.25


def test_what_no_counter_reports_stays_unknown() -> None:
    nothing = dict.fromkeys(SPENT) | {"num_made_images": 0, "seconds": 0.0}
    (drawn,) = add_up(replace(make_content(), drawing_costs={"synthetic": nothing})).drawn
    assert (drawn.energy_wh, drawn.price, drawn.images_per_second) == (None, None, None)
    one = add_up(replace(make_content(), drawing_costs={"a": nothing, "b": SPENT}))
    assert one.energy_wh == pytest.approx(3.0), "what is known is shown"


def test_an_arms_seconds_are_those_of_all_its_seeds_or_not_known() -> None:
    content = make_content((0, 1))
    timed = {("stablerep", 0): 10.0, ("stablerep", 1): 12.0, ("clip_real", 0): 5.0}
    trained = {each.arm: each for each in add_up(replace(content, training_seconds=timed)).trained}
    assert trained["stablerep"].seconds == 22.0 and trained["stablerep"].num_seeds == 2
    assert trained["clip_real"].seconds is None
    assert trained["clip_real"].views == 64000 and trained["clip_real"].views_per_second is None
