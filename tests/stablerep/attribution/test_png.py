"""Exported PNGs: other programs read what they say, and without it they are the image set's bytes."""

import io
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from stablerep.attribution.find import find_image
from stablerep.attribution.png import DIGITAL_SOURCE_TYPE, read_record, with_record
from stablerep.caption_ids import caption_id_of
from stablerep.errors import DataError

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


@pytest.fixture
def found(store):
    # the caption that holds XML's own characters
    return find_image(f"{caption_id_of('a handwritten five & a <four>')}.0", store)


def test_pillow_reads_the_source_type_and_the_prompt(found):
    image = Image.open(io.BytesIO(with_record(found.data, found.record)))
    root = ElementTree.fromstring(image.info["XML:com.adobe.xmp"])
    assert root.find(f".//{IPTC}DigitalSourceType").text == DIGITAL_SOURCE_TYPE
    assert DIGITAL_SOURCE_TYPE.endswith("newscodes/digitalsourcetype/trainedAlgorithmicMedia")
    assert root.find(f".//{IPTC}AIPromptInformation").text == "a handwritten five & a <four>"
    assert image.tobytes() == Image.open(io.BytesIO(found.data)).tobytes()


def test_record_and_bytes_come_back_and_twice_is_once(found):
    exported = with_record(found.data, found.record)
    assert read_record(exported, "x") == (found.record, found.data)
    assert with_record(exported, found.record) == exported


def test_captions_that_xml_cannot_hold_come_back_whole(found):
    record = replace(found.record, text="bell \x07, ]]>, \U0001f600, \ufffe, <!DOCTYPE x>")
    assert read_record(with_record(found.data, record), "x")[0] == record


def test_a_plain_png_carries_no_record(found):
    assert read_record(found.data, "x") == (None, found.data)


def test_what_is_no_png_or_cut_short_is_named(found):
    with pytest.raises(DataError, match=r"x\.png: no PNG; must be an image that `stablerep export` wrote"):
        read_record(b"GIF89a", "x.png")
    with pytest.raises(DataError, match=r"x\.png: a PNG that is cut short at byte 60"):
        read_record(found.data[:60], "x.png")
    with pytest.raises(DataError, match="a PNG without content"):
        with_record(found.data[:8], found.record)


def test_metadata_that_declare_entities_are_not_parsed(found):
    exported = with_record(found.data, found.record)
    # as long as what it replaces, so that the chunk stays whole
    bomb = exported.replace(b'<x:xmpmeta xmlns:x="adobe:ns:meta/">', b'<!DOCTYPE a [<!ENTITY b "lol">]>....')
    assert len(bomb) == len(exported)
    assert read_record(bomb, "x")[0] is None


def test_metadata_that_are_no_xml_are_named(found):
    broken = with_record(found.data, found.record).replace(b"</rdf:RDF>", b"</rdf:RDX>")
    with pytest.raises(DataError, match="its metadata are no XMP"):
        read_record(broken, "x")
