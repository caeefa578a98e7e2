"""Neighbours of test images and the map of the embeddings."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from stablerep.errors import DataError
from stablerep.reporting.learned_space import (
    draw_map,
    place_points,
    show_space,
    spread_queries,
    worst_queries,
)
from stablerep.storage.pixels import ImagesInMemory
from tests.stablerep.reporting.content import (
    features_by_class,
    make_images,
    make_labelled,
    make_learned,
)


def test_an_encoder_that_knows_the_classes_has_right_neighbours_alone() -> None:
    learned = make_learned()
    assert learned.right_shares["stablerep"] == 1.0
    assert learned.right_shares["untrained"] < 0.7
    assert [query.label for query in learned.queries] == ["cow", "horse", "cat"]
    for query in learned.queries:
        found = query.neighbours["stablerep"]
        assert len(found) == 6 and all(each.is_right and each.label == query.label for each in found)
    assert not any(query.is_worst for query in learned.queries), "nothing is wrong"
    assert (learned.num_bank, learned.num_queries) == (60, 30)


def test_a_neighbour_of_another_class_is_marked_and_its_query_is_among_the_worst() -> None:
    labelled = make_labelled()
    features = features_by_class(labelled)
    features["test"][4] = np.eye(8)[0]  # a horse that looks like a cow
    pixels = ImagesInMemory(make_images(len(labelled.table), 3))
    learned = show_space({"one": features.__getitem__}, labelled, pixels, "species", 0)
    (worst,) = [query for query in learned.queries if query.is_worst]
    assert worst.label == "horse"
    assert [(each.label, each.is_right) for each in worst.neighbours["one"]] == [("cow", False)] * 6
    assert [point.label for point in learned.map.points if point.is_wrong] == ["horse"]
    assert learned.right_shares["one"] == pytest.approx(29 / 30)


def test_images_without_a_label_are_left_out() -> None:
    labelled = make_labelled()
    column = labelled.table["label.species"].to_numpy().copy()
    column[labelled.rows("test")[:10]] = -1
    labelled.table["label.species"] = column
    pixels = ImagesInMemory(make_images(len(column), 3))
    features = features_by_class(make_labelled())
    learned = show_space({"one": features.__getitem__}, labelled, pixels, "species", 0)
    assert learned.num_queries == 20 and len(learned.map.points) == 20
    assert learned.right_shares["one"] == 1.0, "features stand beside their own labels"


def test_without_an_arm_there_is_nothing_to_show() -> None:
    with pytest.raises(DataError, match="got no arm"):
        show_space({}, make_labelled(), ImagesInMemory(make_images(1, 0)), "species", 0)


def test_queries_are_spread_over_the_classes() -> None:
    labels = np.repeat(np.arange(9), 2)[::-1]
    assert [int(labels[row]) for row in spread_queries(labels, 3)] == [0, 4, 8]
    assert len(spread_queries(np.zeros(5, dtype=int), 3)) == 1


def test_the_worst_queries_have_the_fewest_right_neighbours() -> None:
    right = np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0], [1, 0, 1]], dtype=bool)
    assert worst_queries(right, 2) == [2, 1]
    assert worst_queries(right, 9) == [2, 1, 3]


def test_equal_features_give_equal_maps_and_classes_lie_apart() -> None:
    features = features_by_class(make_labelled())["test"]
    places = place_points(features, 0)
    np.testing.assert_array_equal(places, place_points(features, 0))
    assert places.min() == 0 and places.max() == 1
    centres = np.stack([places[row::3].mean(axis=0) for row in range(3)])
    spread = np.mean([np.linalg.norm(places[row::3] - centres[row], axis=1).mean() for row in range(3)])
    apart = min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert apart > 2 * spread


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_a_few_images_have_a_map(number: int) -> None:
    features = np.random.default_rng(0).standard_normal((number, 6))
    places = place_points(features, 0)
    assert places.shape == (number, 2) and np.isfinite(places).all()


def test_thumbnails_stand_at_their_places_and_do_not_cover_each_other() -> None:
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("#ff0000", "#0000ff"))
    places = np.array([[0.0, 0.0], [0.001, 0.0], [1.0, 1.0]])
    drawn = draw_map(places, [red, red, blue], ["a", "a", "b"], np.array([False, False, True]))
    assert [point.is_drawn for point in drawn.points] == [True, False, True]
    sheet = Image.open(io.BytesIO(base64.b64decode(drawn.sheet.split(",")[1]))).convert("RGBA")
    assert sheet.size == (drawn.width, drawn.height)

    def middle(place: int) -> tuple[int, ...]:
        point = drawn.points[place]
        half = drawn.thumbnail_px // 2
        return tuple(sheet.getpixel((point.x + half, point.y + half)))

    assert middle(0)[0] > 200 and middle(0)[2] < 60 and middle(2)[2] > 200 and middle(2)[0] < 60
    assert sheet.getpixel((drawn.width // 2, drawn.height // 2))[3] == 0, "the page's ground shows through"
    assert [name for *_, name in drawn.names] == ["a", "b"]


def test_many_classes_have_no_names_on_the_map() -> None:
    labels = [f"class {number}" for number in range(30)]
    images = [Image.new("RGB", (8, 8))] * 30
    drawn = draw_map(np.random.default_rng(0).random((30, 2)), images, labels, np.zeros(30, dtype=bool))
    assert drawn.names == []
