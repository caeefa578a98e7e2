"""The record survives JSON, and what is none is named."""

import json

import pytest

from stablerep.attribution.find import find_image
from stablerep.attribution.record import record_from_json
from stablerep.errors import DataError


def test_a_record_comes_back_from_json(store, image_id):
    record = find_image(image_id, store).record
    assert record_from_json(record.to_json(), "x.png") == record
    assert record.to_json().isascii()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"text": 3}, "text: got 3; must be str"),
        ({"index": True}, "index: got True; must be int"),
        ({"digest": None}, "digest: got None; must be str"),
        ({"generator": {"model": "x"}}, "generator.files: missing"),
    ],
)
def test_a_record_with_a_wrong_field_is_named(store, image_id, change, fault):
    values = json.loads(find_image(image_id, store).record.to_json()) | change
    with pytest.raises(DataError, match=rf"x\.png: the record in it is none of an image \({fault}"):
        record_from_json(json.dumps(values), "x.png")


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_what_is_no_record_is_an_error(text):
    with pytest.raises(DataError, match=r"x\.png: the record in it is none of an image"):
        record_from_json(text, "x.png")
