"""Exported images: a PNG whose metadata say that a model drew it, and all of its record.

The metadata are an XMP packet in a chunk of its own behind the header; no other byte of the image is touched,
so that without the chunk it is the very file of the image set, and its digest can be checked for ever.
Sources: PNG 3rd edition, section 11.3.3 (iTXt); XMP part 3, section 1.1.5 (PNG); IPTC Photo Metadata 2025.1.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from stablerep.attribution.record import ImageRecord, record_from_json
from stablerep.errors import DataError

# https://cv.iptc.org/newscodes/digitalsourcetype/
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP_KEYWORD = "XML:com.adobe.xmp"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OWN = "urn:stablerep:image-record:1:"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PREFIX = XMP_KEYWORD.encode() + b"\0"
# what XML 1.0 cannot hold: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def with_record(data: bytes, record: ImageRecord) -> bytes:
    """Returns a PNG with the record in its metadata, in place of such metadata that it has.

    Raises:
        DataError: the bytes are no PNG.
    """
    chunks = [chunk for chunk in _chunks(data, record.image_id) if not _is_xmp(chunk)]
    if not chunks:
        raise DataError(f"{record.image_id}: a PNG without content. Run `kedro run --pipelines image_sets`.")
    # compression flag and method, language and translated keyword: none
    body = b"iTXt" + _PREFIX + b"\0\0\0\0" + _packet(record).encode("utf-8")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return b"".join([_SIGNATURE, chunks[0], chunk, *chunks[1:]])


def read_record(data: bytes, where: str) -> tuple[ImageRecord | None, bytes]:
    """Splits an exported PNG.

    Args:
        data: of the file.
        where: its name, for messages.

    Returns:
        The record, None where the PNG carries none; and the image's bytes as the image set holds them.

    Raises:
        DataError: the bytes are no PNG, or the record is malformed.
    """
    chunks = list(_chunks(data, where))
    packets = [chunk for chunk in chunks if _is_xmp(chunk)]
    bare = b"".join([_SIGNATURE, *(chunk for chunk in chunks if not _is_xmp(chunk))])
    for packet in packets:
        text = _record_of(packet[8 + len(_PREFIX) : -4], where)
        if text is not None:
            return record_from_json(text, where), bare
    return None, data


def _chunks(data: bytes, where: str) -> Iterator[bytes]:
    """Yields the chunks whole: length, type, content, checksum."""
    if not data.startswith(_SIGNATURE):
        raise DataError(f"{where}: no PNG; must be an image that `stablerep export` wrote, or an image id.")
    position = len(_SIGNATURE)
    while position < len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            raise DataError(f"{where}: a PNG that is cut short at byte {len(data)}. Export the image again.")
        yield data[position:end]
        position = end


def _is_xmp(chunk: bytes) -> bool:
    return chunk[4:8] == b"iTXt" and chunk[8:].startswith(_PREFIX)


def _packet(record: ImageRecord) -> str:
    # the properties for generated images: IPTC Photo Metadata 2025.1, "AI ..." in IPTC Extension
    properties = {
        "iptc:DigitalSourceType": DIGITAL_SOURCE_TYPE,
        "iptc:AIPromptInformation": record.text,
        "iptc:AISystemUsed": str(record.generator.get("model", "unknown")),
        "iptc:AISystemVersionUsed": f"{record.model_id} {record.generator_id}",
        "stablerep:record": record.to_json(),
    }
    lines = [
        f"   <{name.replace('iptc:', 'Iptc4xmpExt:')}>{escape(_NOT_XML.sub(chr(0xFFFD), value))}"
        f"</{name.replace('iptc:', 'Iptc4xmpExt:')}>"
        for name, value in properties.items()
    ]
    head = [
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>',
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
        f' <rdf:RDF xmlns:rdf="{_RDF}">',
        f'  <rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}" xmlns:stablerep="{_OWN}">',
    ]
    foot = ["  </rdf:Description>", " </rdf:RDF>", "</x:xmpmeta>", '<?xpacket end="r"?>']
    return "\n".join([*head, *lines, *foot])


def _record_of(content: bytes, where: str) -> str | None:
    """Returns the record's JSON in an iTXt chunk; None where the packet is of somebody else."""
    # behind the flag and the method: language, translated keyword, text
    compressed, text = content[:1] != b"\0", content[2:].split(b"\0", 2)[-1]
    if compressed or b"<!" in text:
        return None  # never written by `with_record`; declarations could make a parser eat the memory
    try:
        root = ElementTree.fromstring(text.decode("utf-8"))  # noqa: S314 -- no declarations, so no entities
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: its metadata are no XMP ({error}). Export the image again.") from error
    found = root.find(f".//{{{_OWN}}}record")
    return None if found is None else found.text or ""
