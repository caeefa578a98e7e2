"""Drops captions with a web address, a mail address or a telephone number: no image shows them."""

from typing import ClassVar

import polars as pl

from stablerep.curation.filter import CaptionFilter, reason_where

_HOST = r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|info|biz|co\.uk|io)\b"
# A host with one of the common ends or with a path, anything behind http:// or www., names of image files.
_URL = (
    rf"(?i)(?:https?://|www\.)\S+|{_HOST}"
    r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}/[\w?#%~-]\S*"
    r"|\b[\w-]+\.(?:jpe?g|png|gif|webp|bmp|tiff?)\b"
)
# A host that stands like an adjective between article and noun is written on a thing: "a statefarm.com hat".
_WRITTEN_ON = rf"(?i)\b(?:an?|his|her|their)\s+(?:[a-z]+\s+)?{_HOST}\s+[a-z]"
_MAIL = r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b"
# Eight numerals or more, as telephone numbers are written: in three groups, in two behind a plus or the zero
# of a trunk prefix, or in one; E.164 allows 15.
_PHONE = (
    r"(?:\+|\b)\d{1,4}(?:[ ().\-/]{1,2}\d{2,5}){2,5}\b"
    r"|(?:\+\d{1,3}|\b0\d{1,4})(?:[ ().\-/]{1,2}\d{2,8}){1,5}\b"
    r"|\+\d{8,15}\b|\b\d{10,15}\b"
)
_MIN_PHONE_NUMERALS, _MAX_PHONE_NUMERALS = 8, 15
# 2012-05-14 and 10/12/2009 are dates
_DATE = r"\b(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})\b"


class Urls(CaptionFilter):
    """Drops captions with a web address or the name of an image file; the score is their number."""

    name: ClassVar[str] = "urls"

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts web addresses and file names, but neither mail addresses nor what is written on a thing."""
        # each has a dot
        text = pl.col("text").str.replace_all(_MAIL, " ").str.replace_all(_WRITTEN_ON, " ")
        count = pl.when(pl.col("text").str.contains(".", literal=True)).then(text.str.count_matches(_URL))
        return captions.select(count.otherwise(0)).to_series()

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `holds_url` for any."""
        return reason_where(score > 0, "holds_url")


class MailAddresses(CaptionFilter):
    """Drops captions with a mail address; the score is the number of addresses."""

    name: ClassVar[str] = "mail_addresses"

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts mail addresses."""
        text = pl.col("text")
        count = pl.when(text.str.contains("@", literal=True)).then(text.str.count_matches(_MAIL))
        return captions.select(count.otherwise(0)).to_series()

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `holds_mail_address` for any."""
        return reason_where(score > 0, "holds_mail_address")


class PhoneNumbers(CaptionFilter):
    """Drops captions with a telephone number; the score is the number of telephone numbers."""

    name: ClassVar[str] = "phone_numbers"

    def score(self, captions: pl.DataFrame) -> pl.Series:
        """Counts telephone numbers."""
        text = pl.col("text")
        # most captions have too few numerals for a telephone number; the others are searched
        some = text.str.contains(r"\d[^\p{L}]*\d[^\p{L}]*\d[^\p{L}]*\d")
        found = text.str.replace_all(_DATE, " ").str.extract_all(_PHONE)
        numerals = pl.element().str.count_matches(r"\d")
        long = found.list.eval(numerals.is_between(_MIN_PHONE_NUMERALS, _MAX_PHONE_NUMERALS))
        return captions.select(pl.when(some).then(long.list.sum()).otherwise(0)).to_series()

    def fault(self, score: pl.Expr) -> pl.Expr:
        """Returns `holds_phone_number` for any."""
        return reason_where(score > 0, "holds_phone_number")
