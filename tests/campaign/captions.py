"""The files that people write: captions, evaluation captions, edits and takedowns."""

from pathlib import Path

from tests.campaign.damage import Spoil, append, as_folder, recode, remove, write
from tests.campaign.outcome import OF_CURATION, SURVIVED, Case, kedro_run

_CURATION = kedro_run("--pipelines", "curation")
_CAPTIONS = "data/01_raw/captions.csv"
_EVALUATION = "data/01_raw/evaluation_captions.csv"
_EDITS = "data/01_raw/caption_edits.csv"
_TAKEDOWNS = "data/01_raw/takedowns.csv"
_HEAD = {
    _CAPTIONS: "caption,source,licence\n",
    _EVALUATION: "caption\n",
    _EDITS: "caption,action,text,reason,who\n",
    _TAKEDOWNS: "what,kind,reason,date,who\n",
}
_ROW = {
    _EVALUATION: '"a brown zero\n',
    _EDITS: 'a brown zero,drop,"why,me\n',
    _TAKEDOWNS: 'x,caption,"y,2026-01-01,me\n',
}
_LONG = "a,b,c,d,e,f,g\n"
_READ_BY = {**dict.fromkeys(_HEAD, _CURATION), _EVALUATION: kedro_run("--pipelines", "validation")}
_ACTION = "a brown zero,{},,reason,me\n"


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def _case(name: str, says: str, spoil: Spoil) -> Case:
    return Case(name, _CURATION, says, spoil)


def _own(path: str) -> tuple[str, ...]:
    return ("kedro", "run", "--params", f"experiment=own_captions,corpus.path={path}")


def _windows(project: Path) -> None:
    (project / _CAPTIONS).write_bytes((project / _CAPTIONS).read_bytes().replace(b"\n", b"\r\n"))


CASES = [
    *(
        Case(f"{what}: {_file(path)}", _READ_BY[path], _file(path), spoil)
        for path, head in _HEAD.items()
        for what, spoil in (
            ("empty", write(path, "")),
            ("binary", write(path, bytes(range(256)) * 8)),
            ("another header", write(path, "one,two\n1,2\n")),
            ("a header twice", write(path, head.strip() + "," + head.split(",")[0].strip() + "\n")),
            ("a folder", as_folder(path)),
        )
    ),
    *(
        Case(
            f"{encoding}: {_file(path)}",
            _READ_BY[path],
            f"{_file(path)}: line 1, byte 1: is {encoding}",
            spoil,
        )
        for path, head in _HEAD.items()
        for encoding, spoil in (
            ("UTF-16", recode(path, "utf-16", head)),
            ("UTF-32", recode(path, "utf-32", head)),
        )
    ),
    # captions are counted, not refused: there may be a thousand million of them
    *(
        _case(f"{what} in the only caption", says, spoil)
        for what, says, spoil in (
            ("Latin-1", "broken_encoding", recode(_CAPTIONS, "latin-1", _HEAD[_CAPTIONS] + "café,,\n")),
            ("a null byte", "broken_encoding", write(_CAPTIONS, _HEAD[_CAPTIONS] + "a\0b,,\n")),
            ("too many fields", "wrong_number_of_fields", write(_CAPTIONS, _HEAD[_CAPTIONS] + _LONG)),
        )
    ),
    *(
        Case(f"{what}: {_file(path)}", _READ_BY[path], _file(path), spoil)
        for path, head in _HEAD.items()
        if path != _CAPTIONS
        for what, spoil in (
            ("Latin-1", recode(path, "latin-1", head + "café" + "," * head.count(",") + "\n")),
            ("a quote that does not close", write(path, head + _ROW[path])),
            ("a row too long", write(path, head + _LONG)),
            ("a null byte", write(path, head + "a\0b" + "," * head.count(",") + "\n")),
        )
    ),
    _case("no captions", "captions.csv", remove(_CAPTIONS)),
    _case("no caption edits", "caption_edits.csv", remove(_EDITS)),
    _case("no takedowns", "takedowns.csv", remove(_TAKEDOWNS)),
    Case(
        "a takedown of an unknown source",
        _CURATION,
        "takedown of source 'no such source'",
        spoil=append(_TAKEDOWNS, "no such source,source,reason,2026-01-01,me\n"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case("no evaluation captions", _READ_BY[_EVALUATION], "evaluation_captions.csv", remove(_EVALUATION)),
    _case("captions with a header alone", "captions", write(_CAPTIONS, _HEAD[_CAPTIONS])),
    Case(
        "an unquoted comma in the evaluation captions",
        _READ_BY[_EVALUATION],
        "evaluation_captions.csv",
        write(_EVALUATION, "caption\na brown zero, on white\n"),
    ),
    _case("an edit of an unknown action", "destroy", append(_EDITS, _ACTION.format("destroy"))),
    _case("an edit without a reason", "reason", append(_EDITS, "a brown zero,drop,,,me\n")),
    _case("a replacement without a text", "text", append(_EDITS, "a brown zero,replace,,reason,me\n")),
    _case("a takedown of an unknown kind", "picture", append(_TAKEDOWNS, "x,picture,reason,2026-01-01,me\n")),
    _case(
        "a takedown on no day",
        "2026-13-45",
        append(_TAKEDOWNS, "digit_scenes grammar,source,reason,2026-13-45,me\n"),
    ),
    Case(
        "an edit of an unknown caption",
        _CURATION,
        "no such caption",
        append(_EDITS, "no such caption,drop,,reason,me\n"),
    ),
    Case(
        "a byte order mark before the captions",
        _CURATION,
        spoil=recode(_CAPTIONS, "utf-8-sig"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "captions with Windows' ends of lines",
        _CURATION,
        spoil=_windows,
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "a caption of markup",
        _CURATION,
        spoil=append(_CAPTIONS, '"<script>alert(1)</script> a brown zero",x,y\n'),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "a caption of a formula",
        _CURATION,
        spoil=append(_CAPTIONS, "\"=cmd|' /C calc'!A0 brown zero\",x,y\n"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "a caption of 10,000 letters",
        _CURATION,
        spoil=append(_CAPTIONS, "a" * 10_000 + ",x,y\n"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "a caption that runs from right to left",
        _CURATION,
        spoil=append(_CAPTIONS, "\u202ea brown zero\u202c,x,y\n"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case(
        "a caption twice",
        _CURATION,
        spoil=append(_CAPTIONS, "a brown zero,x,y\n" * 2),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case("an own file of an unread format", _own("c.pkl"), "c.pkl", write("c.pkl", b"\x80\x04N.")),
    Case("own captions compressed badly", _own("c.csv.gz"), "c.csv.gz", write("c.csv.gz", b"not gzip")),
    Case(
        "own captions in JSON that breaks off",
        _own("c.jsonl"),
        "c.jsonl",
        write("c.jsonl", '{"caption": "a cat"}\n{"capt'),
    ),
    Case(
        "own captions in Parquet that is none",
        _own("c.parquet"),
        "c.parquet",
        write("c.parquet", b"PAR1 garbage"),
    ),
    Case("own captions without the column", _own("c.csv"), "caption", write("c.csv", "text\na cat\n")),
]
