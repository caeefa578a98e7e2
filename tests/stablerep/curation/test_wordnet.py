"""Words for what can be seen, from a WordNet of a few synsets."""

from pathlib import Path

import pytest

from stablerep.curation.wordnet import WordNet
from stablerep.errors import ConfigError

LICENCE = "  1 This software and database is being provided to you\n"
NOUNS = """\
00000001 03 n 01 entity 0 000 | what there is
00000010 18 n 01 child 0 001 @ 00000001 n 0000 | a young person
00000011 18 n 01 fisherman 0 001 @ 00000001 n 0000 | who fishes
00000012 18 n 01 Ada 0 001 @i 00000010 n 0000 | somebody
00000020 04 n 02 diversion 0 recreation 0 001 @ 00000001 n 0000 | a pastime
00000021 04 n 01 surfing 0 001 @ 00000020 n 0000 | the sport
00000022 04 n 01 use 0 001 @ 00000001 n 0000 | the act of using
00000030 06 n 01 can 0 001 @ 00000001 n 0000 | a container
00000031 06 n 01 stage 0 001 @ 00000001 n 0000 | a platform
00000032 28 n 01 stage 1 001 @ 00000001 n 0000 | a period
00000040 14 n 03 taxonomic_group 0 taxonomic_category 0 taxon 0 001 @ 00000001 n 0000 | a group
00000041 05 n 01 Canis 0 001 @ 00000040 n 0000 | dogs and wolves
00000042 05 n 02 dog 0 Canis_familiaris 0 001 @ 00000001 n 0000 | the animal
"""
VERBS = """\
00000050 38 v 01 jump 0 000 01 + 01 00 | leap
00000051 31 v 01 think 0 000 01 + 01 00 | use the mind
00000052 35 v 01 hug 0 000 01 + 01 00 | hold
00000053 40 v 01 can 0 000 01 + 01 00 | preserve
00000054 38 v 01 go 0 000 01 + 01 00 | move
"""
INDEX = {
    "noun": {
        "ada": "12",
        "can": "30",
        "canis": "41",
        "canis_familiaris": "42",
        "child": "10",
        "dog": "42",
        "entity": "01",
        "fisherman": "11",
        "stage": "32 00000031",
        "surfing": "21",
        "use": "22",
    },
    "verb": {"can": "53", "go": "54", "hug": "52", "jump": "50", "think": "51"},
}
COUNTS = (
    "can%1:06:00:: 1 1\ncan%2:40:00:: 1 9\nstage%1:28:01:: 1 7\nstage%1:06:00:: 2 3\nchild%1:18:00:: 1 5\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text(LICENCE + NOUNS)
    (tmp_path / "data.verb").write_text(LICENCE + VERBS)
    for kind, lemmas in INDEX.items():
        lines = (f"{lemma} {kind[0]} {len(of.split())} 0 1 0 000000{of}" for lemma, of in lemmas.items())
        (tmp_path / f"index.{kind}").write_text(LICENCE + "\n".join(lines) + "\n")
    (tmp_path / "cntlist.rev").write_text(COUNTS)
    (tmp_path / "noun.exc").write_text("children child\n")
    (tmp_path / "verb.exc").write_text("hugging hug\nhugged hug\n")
    return tmp_path


def test_people_animals_sports_and_gerunds_are_taken_with_their_irregular_plurals(folder: Path) -> None:
    expected = {
        "child": ["children"],
        "dog": [],
        "fisherman": ["fishermen"],
        "hugging": [],
        "jumping": [],
        "surfing": [],
    }
    assert dict(WordNet(folder).visible()) == expected


def test_a_word_is_taken_by_its_most_frequent_use(folder: Path) -> None:
    (folder / "cntlist.rev").write_text(COUNTS.replace("2 3", "2 8").replace("1 9", "1 1"))
    assert {"can", "stage"} <= dict(WordNet(folder).visible()).keys()


def test_a_folder_without_wordnet_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.noun: cannot be read .* Install wordnet-base"):
        WordNet(tmp_path)
