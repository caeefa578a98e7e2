"""Each filter: one kept, one rejected with its reason, the bound itself, the empty text."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from stablerep.caption_ids import caption_id_of
from stablerep.curation.filter import CaptionFilter, CorpusFilter
from stablerep.curation.filters.balance import Balance
from stablerep.curation.filters.duplicates import Duplicates
from stablerep.curation.filters.empty import Empty
from stablerep.curation.filters.language import Language
from stablerep.curation.filters.length import Length
from stablerep.curation.filters.letters import Letters
from stablerep.curation.filters.limit import Limit
from stablerep.curation.filters.listed import BlockList, Concepts
from stablerep.curation.filters.near_duplicates import NearDuplicates, _greedy, minhash
from stablerep.curation.filters.patterns import MailAddresses, PhoneNumbers, Urls
from stablerep.curation.filters.readable import Readable
from stablerep.curation.filters.semantic_duplicates import SemanticDuplicates, compare
from stablerep.curation.filters.tokens import ClipTokens, Tokens
from stablerep.curation.words import WordFile
from stablerep.digit_scenes.grammar import VOCABULARIES
from stablerep.errors import ConfigError

PROJECT = Path(__file__).parents[4]
GENERATOR = PROJECT / "data/06_models/generator"
DIGITS = WordFile(str(PROJECT / "conf/words/digit_scenes.txt"))
VISIBLE = WordFile(
    [str(PROJECT / f"conf/words/{name}.txt") for name in ("visible", "visible_too")], plurals=True
)
ENGLISH = WordFile(str(PROJECT / "conf/words/english.txt"))


def table_of(texts: list[str]) -> pl.DataFrame:
    num = len(texts)
    return pl.DataFrame(
        {
            "row": range(num),
            "caption_id": [caption_id_of(text) for text in texts],
            "text": texts,
            "protected": [False] * num,
            "place": range(num),
        },
        {
            "row": pl.Int64,
            "caption_id": pl.String,
            "text": pl.String,
            "protected": pl.Boolean,
            "place": pl.Int64,
        },
    )


def judge(step: CaptionFilter, texts: list[str], folder: Path | None = None) -> tuple[list, list]:
    """Returns scores and faults; a filter that surveys is given two batches."""
    captions = table_of(texts)
    batches = (
        [captions.head(len(texts) // 2), captions.tail(-(len(texts) // 2))] if len(texts) > 1 else [captions]
    )
    if isinstance(step, CorpusFilter):
        assert folder is not None
        with pytest.raises(TypeError, match="survey the captions first"):
            CorpusFilter.score(step, captions)
        step = step.survey(lambda: iter(batches), folder)
    scores = pl.concat([step.score(batch).cast(pl.Float64).alias("score") for batch in batches])
    faults = scores.to_frame().select(step.fault(pl.col("score")).alias("fault"))["fault"]
    return scores.to_list(), faults.to_list()


def faults_of(step: CaptionFilter, texts: list[str], folder: Path | None = None) -> list[str | None]:
    return judge(step, texts, folder)[1]


def scores_of(step: CaptionFilter, texts: list[str], folder: Path | None = None) -> list[float]:
    return judge(step, texts, folder)[0]


def test_readable_drops_what_was_no_text() -> None:
    texts = ["a café", "a caf\ufffd", "a \x00nine\x00", ""]
    assert faults_of(Readable(), texts) == [None, "broken_encoding", "broken_encoding", None]
    assert scores_of(Readable(), texts) == [0, 1, 2, 0]


@pytest.mark.parametrize("text", ["a nine", ".", "🙂", "é"])
def test_empty_keeps_what_can_be_seen(text: str) -> None:
    assert faults_of(Empty(), [text]) == [None]


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u200b", "\u00a0\u2003", "\u200d", "\x07"])
def test_empty_drops_what_cannot(text: str) -> None:
    assert faults_of(Empty(), [text]) == ["empty_text"]


def test_empty_scores_visible_characters() -> None:
    assert scores_of(Empty(), ["a b", "", "\u200bx"]) == [2, 0, 1]


def test_length_keeps_its_bounds_and_drops_what_is_beyond() -> None:
    step = Length(min_words=2, max_words=4)
    texts = ["", "a", "a b", "a b c", "a b c d", "a b c d e"]
    assert faults_of(step, texts) == ["too_few_words", "too_few_words", None, None, None, "too_many_words"]
    assert scores_of(step, texts) == [0, 1, 2, 3, 4, 5]


def test_length_of_nothing_keeps_the_empty_text() -> None:
    assert faults_of(Length(0, 0), ["", "a"]) == [None, "too_many_words"]


@pytest.mark.parametrize(("low", "high"), [(-1, 3), (4, 3)])
def test_length_refuses_bounds_that_hold_nothing(low: int, high: int) -> None:
    with pytest.raises(ConfigError, match=r"curation\.filters\.Length\.m.._words: got"):
        Length(low, high)


def test_letters_keeps_its_bound_and_drops_below() -> None:
    texts = ["ab 12", "a 123", "🙂🙂", "", "é\u0301a", "дом"]
    assert scores_of(Letters(0.5), texts) == [0.5, 0.25, 0, 0, 1, 1]
    dropped = "too_few_letters"
    assert faults_of(Letters(0.5), texts) == [None, dropped, dropped, dropped, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "see http://x.y/z",
        "WWW.pictures.org",
        "from flickr.com today",
        "IMG_0231.JPG",
        "photo-1.jpeg of a dog",
        "more at bit.ly/3xyZ",
        "youtu.be/abc",
        "see foo.de/bar?x=1",
    ],
)
def test_urls_are_dropped(text: str) -> None:
    assert faults_of(Urls(), [text, "a dog . A cat.", "", "1.5 m tall e.g. here", "at 9 a.m./p.m."]) == [
        "holds_url",
        None,
        None,
        None,
        None,
    ]


def test_an_address_that_is_written_on_a_thing_is_none() -> None:
    texts = [
        "A man in a statefarm.com hat",
        "under a large avrovulcan.com sign",
        "a flickr.com",
        "see statefarm.com",
    ]
    assert scores_of(Urls(), texts) == [0, 0, 1, 1]
    assert scores_of(Urls(), ["a statefarm.com hat from statefarm.com"]) == [1]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("write to ada@example.org", "holds_mail_address"),
        ("call +44 20 7946 0958 now", "holds_phone_number"),
        ("(555) 123-4567 and a dog", "holds_phone_number"),
        ("ada@example.org, +442079460958", "holds_mail_address"),
        ("+442079460958 or +44 20 7946 0959", "holds_phone_number"),
        ("+49 30 123456", "holds_phone_number"),
        ("0170 1234567", "holds_phone_number"),
        ("call 020 79460958", "holds_phone_number"),
        ("4155552671", "holds_phone_number"),
        ("030 12345", "holds_phone_number"),  # eight digits are the least
        ("030 1234", None),
        ("the years 1990-1991", None),
        ("3840 2160 pixels", None),
        ("a dog in 2012", None),
        ("shot on 2012-05-14 or 10/12/2009", None),
        ("players 10 and 11 , 1990 - 1991", None),
        ("@home with 3 dogs", None),
        ("", None),
    ],
)
def test_personal_data_is_dropped(text: str, fault: str | None) -> None:
    found = [*faults_of(MailAddresses(), [text]), *faults_of(PhoneNumbers(), [text])]
    assert next((each for each in found if each), None) == fault
    assert scores_of(Urls(), ["ada@example.org"]) == [0]


def test_addresses_and_telephone_numbers_are_scored_separately() -> None:
    texts = ["ada@example.org, bob@example.org, +442079460958", "030 12345 or 030 54321", "", "a nine"]
    assert scores_of(MailAddresses(), texts) == [2, 0, 0, 0]
    assert scores_of(PhoneNumbers(), texts) == [1, 2, 0, 0]


def test_a_block_list_drops_whole_words_alone(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# mine\nStock Photo\nass  # a word\n\n")
    step = BlockList(WordFile(str(path)), "mine")
    texts = ["a stock-photo of a dog", "a class of ASS", "grass", "", "stock photo: ass"]
    assert scores_of(step, texts) == [1, 1, 0, 0, 2]
    assert faults_of(step, texts) == ["holds_mine", "holds_mine", None, None, "holds_mine"]
    assert faults_of(BlockList(WordFile(str(path)), "mine", max_entries=1), texts)[:2] == [None, None]
    assert step.name == "block_list_mine"


def test_an_entry_inside_a_sentence_does_not_count_where_exceptions_are_given(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("photo gallery\n")
    texts = [
        "pictures in a Photo Gallery .",
        "Photo gallery: dogs",
        "a photo gallery, photo gallery",
        "the photo gallery",
    ]
    assert scores_of(BlockList(WordFile(str(path)), "mine"), texts) == [1, 1, 1, 1]
    assert scores_of(BlockList(WordFile(str(path)), "mine", except_after=("a", "in the")), texts) == [
        0,
        1,
        1,
        1,
    ]


def test_a_file_of_words_may_give_further_forms_of_an_entry(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("child: children, kids  # small\nbox\n")
    (tmp_path / "two.txt").write_text("goose: geese\n")
    words = WordFile([str(tmp_path / "one.txt"), str(tmp_path / "two.txt")], plurals=True)
    assert words.entries == ["child", "box", "goose"]
    assert scores_of(Concepts(words), ["a child, two children, kids", "boxes", "geese and boxes", "ox"]) == [
        1,
        1,
        2,
        0,
    ]


def test_a_list_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        scores_of(Concepts(WordFile(str(tmp_path / "no.txt"))), ["a"])
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ConfigError, match="no words; must hold at least one"):
        scores_of(Concepts(WordFile(str(tmp_path / "empty.txt"))), ["a"])
    with pytest.raises(ConfigError, match=r"BlockList\.label: got 'My words'"):
        BlockList(DIGITS, "My words")


def test_concepts_must_be_there() -> None:
    texts = ["a nine", "how very nice", "", "a teal nine on white", "ninety"]
    assert scores_of(Concepts(DIGITS), texts) == [1, 0, 0, 3, 0]
    assert faults_of(Concepts(DIGITS), texts) == [None, "no_concept", "no_concept", None, "no_concept"]
    assert faults_of(Concepts(DIGITS, 2), texts)[0] == "no_concept"


def visible_entries(texts: list[str]) -> list[set[str]]:
    found = VISIBLE.matches(table_of(texts)).group_by("place").agg("entry")
    by_place = {place: set(entries) for place, entries in found.iter_rows()}
    return [by_place.get(place, set()) for place in range(len(texts))]


def test_the_list_of_visible_things_knows_people_sports_animals_plurals_and_names_of_two_words() -> None:
    texts = [
        "Two dogs and a golden retriever",
        "four children",
        "women",
        "snowboarders",
        "boxes, bodies",
        "geese",
    ]
    names = ["golden retriever", "child", "woman", "snowboarder", "box", "goose"]
    assert all(name in found for name, found in zip(names, visible_entries(texts), strict=True))
    sports = ["she is skiing", "a kayaker", "they are hugging", "a wakeboarder", "playing soccer"]
    assert all(visible_entries(sports))


def test_the_list_of_visible_things_leaves_out_words_without_a_picture() -> None:
    texts = [
        "it is of the",
        "I have no idea",
        "the best of the year",
        "how to make money online",
        "coming soon",
    ]
    assert visible_entries(texts) == [set()] * len(texts)


def test_misspelt_concepts_count_where_asked_for() -> None:
    texts = ["two german sheperds", "two ladys", "having no idea", "broken image", ""]
    strict, mild = Concepts(VISIBLE), Concepts(VISIBLE, misspelt=True)
    assert scores_of(strict, texts) == [0] * 5
    assert scores_of(mild, texts) == [1, 1, 0, 0, 0]
    assert scores_of(mild, ["a dog"]) == scores_of(strict, ["a dog"]) == [1]


def test_the_list_of_digit_scenes_is_the_grammars() -> None:
    words = {word for vocabulary in VOCABULARIES.values() for word in vocabulary}
    assert set(DIGITS.entries) == words | {"digit", "number"}


def test_tokens_are_the_text_encoders() -> None:
    # each of these words is a token of the embedded tokenizer; start and end are two more
    texts = ["a nine", "", "a nine " * 7, "a nine " * 7 + "a"]
    step = Tokens(16, str(GENERATOR))
    assert scores_of(step, texts) == [4, 2, 16, 17]
    assert faults_of(step, texts) == [None, None, None, "too_many_tokens"]
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        scores_of(Tokens(model_folder="nowhere", max_tokens=16), texts)


def test_captions_of_the_web_are_counted_with_clips_vocabulary_unless_a_model_is_named() -> None:
    # the embedded tokenizer spells out what it does not know: more than 77 tokens for these 27 words
    long = "A well-groomed young man wearing dark trousers and a military-style jacket takes a puff from a "
    long += "cigarette in his left arm while holding a cup in his right arm"
    texts = ["a photo of a cat", long, "cat " * 75, "cat " * 76]
    step = ClipTokens(77)
    assert scores_of(step, texts) == [7, 36, 77, 78]
    assert faults_of(step, texts) == [None, None, None, "too_many_tokens"]
    assert faults_of(ClipTokens(77, str(GENERATOR)), [long]) == ["too_many_tokens"]
    with pytest.raises(ConfigError, match=r"curation\.filters\.ClipTokens\.max_tokens"):
        ClipTokens(2)


def test_another_language_is_dropped_and_a_short_text_kept() -> None:
    texts = [
        "A dog runs over the grass",
        "Ein Hund läuft über die Wiese",
        "un chien court dans l'herbe",
        "a man surfs",
        "",
    ]
    dropped = "another_language"
    assert faults_of(Language("en", -0.8), texts) == [None, dropped, dropped, None, None]
    assert faults_of(Language("de", -0.3), texts[:2]) == [dropped, None]
    scores = scores_of(Language("en", -0.8), texts)
    assert faults_of(Language("en", scores[3]), ["a man surfs"]) == [None]
    for name in ("English", "english", "xx"):
        with pytest.raises(ConfigError, match=f"got '{name}'; must be a code of ISO 639, one of .* en, "):
            scores_of(Language(name), texts)


FOREIGN = """ein Hund im Schnee|deux chiens dans la neige|un perro corre por la playa|die kinder
een man op een fiets|två hundar leker i snön|dwa psy biegną przez śnieg|strand bei sonnenuntergang
une table et des chaises|train à la gare|el hotel de la playa|un cane corre sulla spiaggia
um cachorro na praia""".replace("\n", "|").split("|")


def test_a_vocabulary_keeps_short_english_captions_and_drops_what_is_foreign() -> None:
    english = ["A biker races .", "a groupe of three walk the street .", "A lady riding a mini motorcycle"]
    alone = Language("en", -0.8)
    assert faults_of(alone, english) == ["another_language"] * 3
    helped = Language("en", -0.8, (ENGLISH, VISIBLE))
    assert faults_of(helped, english) == [None] * 3
    assert faults_of(helped, FOREIGN) == ["another_language"] * len(FOREIGN)
    assert scores_of(helped, ["A dog runs over the grass"]) == scores_of(alone, ["A dog runs over the grass"])


def test_duplicates_keeps_the_first_of_equal_captions(tmp_path: Path) -> None:
    texts = ["a nine", "A  Nine", "a ten", "a nine", "a nine.", "", " "]
    scores, faults = judge(Duplicates(), texts, tmp_path)
    assert scores == [0, 1, 0, 2, 0, 0, 1]
    assert faults == [None, "exact_duplicate", None, "exact_duplicate", None, None, "exact_duplicate"]


def test_duplicates_are_found_in_parts_of_the_numbers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"a {number % 37}" for number in range(200)]
    whole = scores_of(Duplicates(), texts, tmp_path)
    monkeypatch.setattr("stablerep.curation.keys._PART_SIZE", 30)
    monkeypatch.setattr("stablerep.curation.keys._READ_SIZE", 17)
    assert scores_of(Duplicates(), texts, tmp_path) == whole == [number // 37 for number in range(200)]


LONG = "a brown dog runs over the wide green grass behind the old house"


def test_near_duplicates_keep_one_of_what_is_alike(tmp_path: Path) -> None:
    texts = [
        LONG,
        LONG + "s",
        "two cats sleep on a red sofa by the window",
        "",
        LONG.replace("brown", "black"),
    ]
    scores, faults = judge(NearDuplicates(0.8), texts, tmp_path)
    assert sorted(map(str, faults[:2])) == ["None", "near_duplicate"]
    assert 0.85 < max(scores[:2]) <= 1
    assert faults[2:4] == [None, None]
    (tmp_path / "again").mkdir()
    again = faults_of(NearDuplicates(0.8), texts[::-1], tmp_path / "again")[::-1]
    assert again == faults


def test_near_duplicates_keep_their_bound(tmp_path: Path) -> None:
    texts = [LONG, LONG + "s"]
    score = max(scores_of(NearDuplicates(0.8), texts, tmp_path))
    for number, bound in enumerate((score - 1e-6, score + 1e-6)):
        folder = tmp_path / str(number)
        folder.mkdir()
        dropped = [fault for fault in faults_of(NearDuplicates(bound), texts, folder) if fault]
        assert len(dropped) == 1 - number


class CountedSignatures:
    """Signatures of which none is like another; counts those that a caption is compared with."""

    def __init__(self, num: int) -> None:
        self.rows = np.random.default_rng(0).integers(0, 256, (num, 128)).astype(np.uint8)
        self.compared: list[int] = []

    def __getitem__(self, rows: int | list[int]) -> np.ndarray:
        if isinstance(rows, list):
            self.compared.append(len(rows))
        return self.rows[rows]


def test_captions_that_share_a_band_are_compared_with_a_bounded_number_of_kept_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    signatures = CountedSignatures(200)
    one_band = np.zeros(200, dtype=np.int64)
    scores = _greedy(np.arange(200), signatures, one_band, np.arange(201), 0.8)
    assert scores.max() < 0.8
    assert max(signatures.compared) == 64
    assert "135 captions share a band with more than 64 kept ones" in caplog.text


def from_template(num: int) -> list[str]:
    words = (caption_id_of(str(number))[2:] for number in range(num))
    return [f"a high quality stock photograph of the number {word} in the evening light" for word in words]


def test_copies_of_captions_from_a_template_are_found_within_the_bound(tmp_path: Path) -> None:
    texts = from_template(300)
    faults = faults_of(NearDuplicates(0.9), [*texts, *(text + "s" for text in texts)], tmp_path)
    assert sum(fault is not None for fault in faults) == 300


def test_signatures_estimate_the_share_of_common_shingles() -> None:
    one, other = f" {LONG} ", f" {LONG.replace('brown', 'black')} "
    sets = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (one, other)]
    jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    signatures = minhash(pl.Series([one, other, " a ", " a ", " b "]))
    assert np.mean(signatures[0] == signatures[1]) == pytest.approx(jaccard, abs=0.12)  # 3 standard errors
    assert (signatures[2] == signatures[3]).all()
    assert (signatures[2] != signatures[4]).any()


def test_a_balance_bounds_heads_and_leaves_the_tail(tmp_path: Path) -> None:
    texts = (
        [f"a nine {number}" for number in range(400)]
        + [f"a two {number}" for number in range(20)]
        + ["", "x"]
    )
    scores, faults = judge(Balance(DIGITS, 100, seed=0), texts, tmp_path)
    nines = faults[:400]
    assert set(nines) == {None, "head_concept"}
    assert nines.count(None) == pytest.approx(100, abs=35)  # 4 standard deviations
    assert faults[400:] == [None] * 22
    assert scores[400:] == [0] * 22
    assert faults_of(Balance(DIGITS, 100, seed=0), texts, tmp_path) == faults
    assert faults_of(Balance(DIGITS, 100, seed=1), texts, tmp_path) != faults
    assert faults_of(Balance(DIGITS, 400, seed=1), texts, tmp_path) == [None] * len(texts)


def test_a_caption_stays_for_any_one_of_its_concepts(tmp_path: Path) -> None:
    texts = [f"a nine {number}" for number in range(300)] + ["a nine on teal", "a nine on aqua"]
    faults = faults_of(Balance(DIGITS, 10, seed=0), texts, tmp_path)
    assert faults[-2:] == [None, None]


def test_limit_keeps_the_first_ones(tmp_path: Path) -> None:
    assert judge(Limit(2), ["b", "", "a"], tmp_path) == ([1, 2, 3], [None, None, "over_max_captions"])
    assert faults_of(Limit(3), ["b", "", "a"], tmp_path) == [None, None, None]


def test_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"curation\.max_captions: got 0; must be >= 1"):
        Limit(0)


@pytest.mark.parametrize(
    "step",
    [
        *(
            Readable(),
            Empty(),
            Length(1, 2),
            Letters(0.5),
            Urls(),
            MailAddresses(),
            PhoneNumbers(),
            Concepts(DIGITS),
        ),
        *(
            Language(),
            Tokens(16, str(GENERATOR)),
            Duplicates(),
            NearDuplicates(),
            Balance(DIGITS, 1, 0),
            Limit(1),
        ),
    ],
)
def test_filters_score_no_captions_too(step: CaptionFilter, tmp_path: Path) -> None:
    assert judge(step, [], tmp_path) == ([], [])


def test_semantic_duplicates_keep_one_of_what_the_generator_takes_for_one(tmp_path: Path) -> None:
    texts = ["a picture of a teal nine", "a drawing of a teal nine", "a crimson four on checkered paper", ""]
    most = max(scores_of(SemanticDuplicates(str(GENERATOR), 1), texts, tmp_path)[:2])
    assert 0.5 < most < 1
    for number, bound in enumerate((most - 1e-4, min(most + 1e-4, 1))):
        step = SemanticDuplicates(str(GENERATOR), bound)
        faults = faults_of(step, texts, tmp_path)
        assert faults[:2].count("semantic_duplicate") == 1 - number
        assert faults_of(step, texts[::-1], tmp_path)[::-1] == faults
    with pytest.raises(ConfigError, match="holds no CLIP text encoder"):
        faults_of(SemanticDuplicates("nowhere", 0.9), texts, tmp_path)


def test_semantic_duplicates_are_found_among_thousands_and_none_by_a_second_run() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(5_000, 8)).astype(np.float32)
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    ids = rng.permutation(len(unit)).astype(np.uint64)
    scores = compare(unit, ids, 0.9)
    kept = scores < np.float32(0.9)
    assert 0.2 < kept.mean() < 0.8
    assert (compare(unit[kept], ids[kept], 0.9) < np.float32(0.9)).all()
    # and as somebody would do it by hand
    order, by_hand = np.argsort(ids), []
    for row in order[:300]:
        if not by_hand or (unit[by_hand] @ unit[row]).max() < 0.9:
            by_hand.append(row)
    assert set(by_hand) == set(order[:300][kept[order[:300]]])


@pytest.mark.parametrize("percent", range(50, 100))
def test_a_caption_at_the_bound_is_dropped_whatever_the_rounding(percent: int) -> None:
    bound = percent / 100
    pair = np.array([[1, 0], [bound, np.sqrt(1 - bound**2)]], dtype=np.float32)
    scores = pl.Series("score", compare(pair, np.arange(2, dtype=np.uint64), bound)).cast(pl.Float64)
    for step in (SemanticDuplicates("", bound), NearDuplicates(bound)):
        # as curation applies a threshold: to the score as float64
        faults = scores.to_frame().select(step.fault(pl.col("score")).alias("fault"))["fault"]
        assert faults.is_not_null().to_list() == [False, True]


def test_alike_embeddings_are_compared_with_what_was_kept_before() -> None:
    angles = np.deg2rad([0, 10, 20, 90])
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    scores = compare(unit, np.array([0, 1, 2, 3], dtype=np.uint64), np.cos(np.deg2rad(15)))
    # the second is like the first; the third is unlike it, and the second was not kept
    assert scores == pytest.approx(np.cos(np.deg2rad([90, 10, 20, 70])), abs=1e-6)
    kept_second = compare(unit, np.array([2, 0, 1, 3], dtype=np.uint64), np.cos(np.deg2rad(15)))
    assert (kept_second >= np.cos(np.deg2rad(15))).tolist() == [True, False, True, False]
