"""Counts of terms and of pairs, against counting by hand."""

import pandas as pd

from stablerep.mutual_information import pmi_interval
from stablerep.validation.terms import PAIR_COLUMNS, TERM_COLUMNS, NamedTerms

GROUPS = {
    "ink": {"black": ["black"], "Navy Blue": ["Navy Blue"]},
    "digit": {"one": ["one"], "two": ["two"]},
}
TEXTS = ["a BLACK one", "navy-blue two, black one", "blue navy two", None, "blackened ones", "black two", ""]


def _named(texts: list[str | None] = TEXTS, groups: dict[str, dict[str, list[str]]] = GROUPS) -> NamedTerms:
    ids = [f"c-{n}" for n in range(len(texts))]
    return NamedTerms(pd.DataFrame({"caption_id": ids, "text": pd.Series(texts, dtype="str")}), groups)


def test_terms_are_whole_words_in_their_order_whatever_their_case() -> None:
    terms = _named().terms().set_index("term")
    assert list(_named().terms().columns) == TERM_COLUMNS
    assert terms["num_captions"].to_dict() == {"black": 3, "Navy Blue": 1, "one": 2, "two": 3}
    assert terms["share"].to_dict() == {"black": 1, "Navy Blue": 1 / 3, "one": 0.5, "two": 0.75}
    assert terms["caption_id"].to_dict() == {"black": "c-0", "Navy Blue": "c-1", "one": "c-0", "two": "c-1"}
    assert terms.loc["two", "text"] == TEXTS[1]


def test_any_of_a_terms_words_names_it_once_a_caption() -> None:
    groups = {"gender": {"woman": ["woman", "Women", "old lady"], "man": ["man"]}}
    terms = _named(["WOMEN and a woman", "an old-lady", "a lady", "a man"], groups).terms()
    assert terms.set_index("term")["num_captions"].to_dict() == {"woman": 2, "man": 1}


def test_a_term_that_nobody_names_has_no_example_and_its_group_no_share() -> None:
    terms = _named(["x"]).terms()
    assert (terms["num_captions"] == 0).all()
    assert terms[["share", "caption_id", "text"]].isna().all(axis=None)


def test_the_number_of_groups_is_of_those_that_a_caption_names() -> None:
    assert _named().num_groups().tolist() == [2, 2, 1, 0, 0, 2, 0]
    assert _named(groups={}).num_groups().tolist() == [0] * 7


def test_pairs_are_counted_among_the_captions_that_name_both_groups() -> None:
    pairs = _named().pairs()
    assert list(pairs.columns) == PAIR_COLUMNS
    found = pairs.set_index(["term", "other_term"])
    # captions 0, 1 and 5 name both groups: black in three of them, one in two, two in two
    assert found.loc[("black", "one"), ["num_captions", "expected"]].tolist() == [2, 3 * 2 / 3]
    assert found.loc[("Navy Blue", "two"), ["num_captions", "expected"]].tolist() == [1, 1 * 2 / 3]
    assert found.loc[("black", "two"), "caption_id"] == "c-1"
    assert len(pairs) == 4


def test_mutual_information_is_that_among_the_captions_that_name_both_groups() -> None:
    texts = ["black one"] * 9 + ["navy blue two"] * 9 + ["black two"] * 2
    for others in ([], ["black", "two", "a cat"] * 50):
        row = _named(texts + others).pairs().set_index(["term", "other_term"]).loc[("black", "two")]
        assert [row["pmi_low"], row["pmi_high"]] == list(pmi_interval(11, 11, 2, 20)[1:])


def test_nothing_to_count_gives_empty_tables() -> None:
    assert _named(groups={}).terms().empty
    assert _named(groups={}).pairs().empty
    assert _named([]).pairs().empty
    assert _named([]).terms()["num_captions"].tolist() == [0, 0, 0, 0]


def test_counts_do_not_depend_on_the_order_of_captions() -> None:
    numbers = ["num_captions", "expected", "pmi_low", "pmi_high"]
    pd.testing.assert_frame_equal(_named().pairs()[numbers], _named(TEXTS[::-1]).pairs()[numbers])
