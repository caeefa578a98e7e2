"""The captions of the digit scenes: a small grammar that names only some of the attributes.

What a caption leaves open varies among its images: that is what StableRep learns to ignore.
"""

import re
from dataclasses import dataclass, fields

import numpy as np

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
INKS = ("black", "navy", "crimson", "green", "purple", "brown", "teal", "magenta")
GROUNDS = ("white", "yellow", "orange", "pink", "lime", "aqua", "sky", "lavender")
TEXTURES = ("plain", "gradient", "striped", "checkered", "speckled")
VOCABULARIES = {"digit": DIGITS, "ink": INKS, "ground": GROUNDS, "texture": TEXTURES}
FLIPS_CHANGE_THE_MEANING = True  # a mirrored two is no two: no flips in the augmentations
MAX_TOKENS = 16  # the longest caption has 14 words; its start and end are tokens too
# The chance that a caption names an attribute. Measured in the prototype: with these, 2,048 captions
# held 1,561 distinct ones, and images of one caption differ in what it leaves open.
NAMING_PROBABILITY = {"digit": 0.95, "ink": 0.4, "ground": 0.4, "texture": 0.4}
_UNNAMED_DIGIT = ("digit", "number")
_BACKGROUNDS = ("background", "paper")
_OPENINGS = ("", "a picture of ", "a drawing of ")
# with the article that another word would have
_NAMED_DIGIT = re.compile(rf"(?i:\b(?P<article>an?\s+)?(?:{'|'.join(DIGITS)})\b)")


@dataclass(frozen=True, slots=True)
class SceneAttributes:
    """What a caption names: an index into the vocabulary, or None where it leaves it open."""

    digit: int | None = None
    ink: int | None = None
    ground: int | None = None
    texture: int | None = None

    def named(self) -> dict[str, int]:
        """Returns the attributes that are not None."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value is not None}


def _article(phrase: str) -> str:
    return ("an " if phrase[0] in "aeiou" and not phrase.startswith("one") else "a ") + phrase


def write_caption(attributes: SceneAttributes, rng: np.random.Generator) -> str:
    """Writes one caption that names just these attributes; the wording is drawn from rng."""
    named = attributes.named()
    words = {name: VOCABULARIES[name][index] for name, index in named.items()}
    digit = words.get("digit") or str(rng.choice(_UNNAMED_DIGIT))
    handwritten = "handwritten " if rng.random() < 0.5 else ""
    ink_after = "ink" in words and rng.random() < 0.3
    before = f"{words['ink']} " if "ink" in words and not ink_after else ""
    subject = _article(f"{before}{handwritten}{digit}")
    if ink_after:
        subject += f" in {words['ink']} ink"
    opening = str(rng.choice(_OPENINGS, p=(0.7, 0.15, 0.15)))
    text = opening + subject
    if "ground" in words or "texture" in words:
        ground = " ".join(words[name] for name in ("texture", "ground") if name in words)
        text += f" on {_article(f'{ground} {rng.choice(_BACKGROUNDS)}')}"
    return text


def draw_attributes(rng: np.random.Generator) -> SceneAttributes:
    """Draws what a caption names: each attribute with its naming probability, uniform in value."""
    drawn: dict[str, int] = {}
    for name, vocabulary in VOCABULARIES.items():
        value = int(rng.integers(len(vocabulary)))
        if rng.random() < NAMING_PROBABILITY[name]:
            drawn[name] = value
    return SceneAttributes(**drawn)


def hide_attributes(scene: SceneAttributes, rng: np.random.Generator) -> SceneAttributes:
    """Returns the attributes of a whole scene that a caption of it names, drawn from rng."""
    kept = {k: v for k, v in scene.named().items() if rng.random() < NAMING_PROBABILITY[k]}
    return SceneAttributes(**kept)


def leave_digit_open(text: str) -> str:
    """Returns a caption with `digit` in the place of each digit that it names: `an eight` is `a digit`."""
    return _NAMED_DIGIT.sub(lambda found: "a digit" if found["article"] else "digit", text)


def _words_of(text: str) -> list[str]:
    return text.casefold().replace(",", " ").replace(".", " ").split()


def read_caption(text: str) -> SceneAttributes:
    """Reads back what a caption names.

    Every attribute word belongs to one vocabulary, so words suffice; words of no vocabulary are
    passed over. Where a caption names an attribute twice, the first stands.
    """
    words = _words_of(text)
    found: dict[str, int] = {}
    for name, vocabulary in VOCABULARIES.items():
        hits = [vocabulary.index(word) for word in words if word in vocabulary]
        if hits:
            found[name] = hits[0]
    return SceneAttributes(**found)


def tells_of_a_digit(text: str) -> bool:
    """Tells whether a caption can be drawn: it names an attribute, or a digit that it leaves open."""
    return bool(read_caption(text).named()) or not set(_UNNAMED_DIGIT).isdisjoint(_words_of(text))


def unknown_words(text: str) -> list[str]:
    """Returns the words of a caption that the grammar cannot write, in their order."""
    return [word for word in _words_of(text) if word not in _KNOWN_WORDS]


def draw_distinct_captions(num_captions: int, rng: np.random.Generator) -> list[str]:
    """Draws captions until `num_captions` distinct ones are there, in order of appearance."""
    seen: dict[str, None] = {}
    while len(seen) < num_captions:
        seen.setdefault(write_caption(draw_attributes(rng), rng))
    return list(seen)


def vocabulary() -> list[str]:
    """Returns every word that the grammar can write, sorted: the embedded tokenizer's vocabulary."""
    glue = ["a", "an", "of", "on", "in", "ink", "handwritten", "picture", "drawing"]
    words = {word for group in VOCABULARIES.values() for word in group}
    return sorted(words.union(glue, _UNNAMED_DIGIT, _BACKGROUNDS))


_KNOWN_WORDS = frozenset(vocabulary())
