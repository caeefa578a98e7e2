"""Writes `conf/words/visible.txt`, the words for what a picture can show, from WordNet's database.

    python -m stablerep.curation.wordnet /usr/share/wordnet > conf/words/visible.txt

The folder is WordNet 3.0's `dict`, as Debian's package wordnet-base has it. A noun is taken where at least
half of its tagged uses (its first sense where none is tagged) name something to be seen: a person, an animal,
a thing, a plant, a place, a sport, a gathering. Of verbs of moving, touching, eating and the like the gerund
is taken. Names of single people and places and of taxa are left out.
Source: C. Fellbaum (ed.), WordNet: an electronic lexical database, 1998; the manual pages wndb(5WN),
lexnames(5WN) and cntlist(5WN).
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stablerep.errors import ConfigError

# numbers of lexicographer files: animal, artifact, body, food, object, person, plant
_SEEN_NOUNS = frozenset({"05", "06", "08", "13", "17", "18", "20"})
# body, competition, consumption, contact, motion
_SEEN_VERBS = frozenset({"29", "33", "34", "35", "38"})
# The roots of what can be seen in the other files of nouns (act, event, group, location, phenomenon,
# substance), each by the lemmas of its synset.
_ROOTS = frozenset(
    {
        "diversion/recreation",
        "locomotion/travel",
        "travel/traveling/travelling",
        "exercise/exercising/physical_exercise/physical_exertion/workout",
        "propulsion/actuation",
        "jump/leap",
        "embrace/embracing/embracement",
        "show",
        "social_event",
        "change_of_location/travel",
        "explosion/detonation/blowup",
        "fire",
        "people",
        "gathering/assemblage",
        "animal_group",
        "team/squad",
        "musical_organization/musical_organisation/musical_group",
        "police/police_force/constabulary/law",
        "vegetation/flora/botany",
        "kin/kin_group/kinship_group/kindred/clan/tribe",
        "geographical_area/geographic_area/geographical_region/geographic_region",
        "area/country",
        "path/route/itinerary",
        "atmospheric_phenomenon",
        "light/visible_light/visible_radiation",
        "soil/dirt",
        "rock/stone",
        "wood",
        "paper",
        "water/H2O",
        "crystal",
        "building_material",
        "animal_skin",
        "person/individual/someone/somebody/mortal/soul",
        "animal/animate_being/beast/brute/creature/fauna",
        "plant/flora/plant_life",
    }
)
_TAXA = "taxonomic_group/taxonomic_category/taxon"
_LATIN = re.compile(r"[A-Z][a-z]+_[a-z]+(_[a-z]+)?")
_MIN_LETTERS = 3
_MIN_SHARE = 0.5  # of a word's tagged uses
# Their gerunds say that something happens, not what.
_GENERAL_VERBS = """be become bring come do draw fall find follow get give go have hold keep lead leave let
make meet move pass place put return send set show start stay stop suit take turn use"""


@dataclass
class _Synset:
    file: str
    lemmas: list[str]
    keys: list[tuple[str, str]]  # lemma, and file:id as in sense keys
    parents: list[str]
    is_instance: bool


@dataclass
class _Uses:
    """Tagged uses of a word, by part of speech."""

    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    total: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class WordNet:
    """WordNet's database.

    Args:
        folder: with data, index and exception files, and `cntlist.rev`.

    Raises:
        ConfigError: a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nouns = self._synsets("data.noun")
        self._verbs = self._synsets("data.verb")
        self._seen = self._seen_nouns()
        self._uses = self._tagged_uses()

    def visible(self) -> Iterator[tuple[str, list[str]]]:
        """Yields words for what can be seen, each with its irregular plurals, in alphabetical order."""
        plurals = self._exceptions("noun.exc")
        gerunds = self._exceptions("verb.exc")
        entries: dict[str, list[str]] = {}
        latin, general = self._latin_names(), set(_GENERAL_VERBS.split())
        for lemma, offsets in self._index("index.noun"):
            if len(lemma) < _MIN_LETTERS or lemma in latin:
                continue
            if self._is_seen(lemma, offsets[0] in self._seen, "noun"):
                entries[lemma] = plurals.get(lemma, [])
        for lemma, offsets in self._index("index.verb"):
            seen_first = self._verbs[offsets[0]].file in _SEEN_VERBS
            if "_" not in lemma and lemma not in general and self._is_seen(lemma, seen_first, "verb"):
                irregular = [each for each in gerunds.get(lemma, []) if each.endswith("ing")]
                entries.setdefault(irregular[0] if irregular else _gerund(lemma), [])
        for lemma in sorted(entries):
            forms = entries[lemma]
            if (
                lemma.endswith("man") and not forms
            ):  # a rule of WordNet's own, so that its exceptions lack them
                forms = [f"{lemma[:-3]}men"]
            yield lemma.replace("_", " "), [each.replace("_", " ") for each in forms]

    def _is_seen(self, lemma: str, seen_first: bool, kind: str) -> bool:
        """Decides by tagged uses: of the word as noun or verb, and as any part of speech."""
        uses = self._uses.get(lemma, _Uses())
        own = uses.seen[kind] / uses.total[kind] if uses.total[kind] else float(seen_first)
        total = sum(uses.total.values())
        return own >= _MIN_SHARE and (not total or sum(uses.seen.values()) >= _MIN_SHARE * total)

    def _latin_names(self) -> set[str]:
        """Returns the names of species, such as `Milvus_migrans`: they stand behind the common names."""
        first = {each.lemmas[0].lower() for each in self._nouns.values()}
        lemmas = {
            lemma for each in self._nouns.values() if each.file in ("05", "20") for lemma in each.lemmas
        }
        latin = {lemma.lower() for lemma in lemmas if _LATIN.fullmatch(lemma)}
        return latin - first

    def _seen_nouns(self) -> set[str]:
        seen, taxa = set(), {offset for offset, each in self._nouns.items() if "/".join(each.lemmas) == _TAXA}
        children = defaultdict(list)
        for offset, each in self._nouns.items():
            for parent in each.parents:
                children[parent].append(offset)
        roots = {offset for offset, each in self._nouns.items() if "/".join(each.lemmas) in _ROOTS}
        of_files = {offset for offset, each in self._nouns.items() if each.file in _SEEN_NOUNS}
        seen = of_files | _below(roots, children)
        seen -= _below(taxa, children)
        return {offset for offset in seen if not self._nouns[offset].is_instance}

    def _tagged_uses(self) -> dict[str, _Uses]:
        """Reads how often each sense was tagged.

        A sense's key is lemma%type:file:id:..., where type 1 is a noun and 2 a verb.
        """
        seen = {key for offset in self._seen for key in self._nouns[offset].keys}
        uses: dict[str, _Uses] = defaultdict(_Uses)
        for line in self._lines("cntlist.rev"):
            key, _, count = line.split()
            lemma, rest = key.split("%")
            kind = {"1": "noun", "2": "verb"}.get(rest[0], "other")
            uses[lemma].total[kind] += int(count)
            if kind == "noun":
                is_seen = (lemma, rest[2:7]) in seen
            else:
                is_seen = kind == "verb" and rest[2:4] in _SEEN_VERBS
            uses[lemma].seen[kind] += int(count) * is_seen
        return dict(uses)

    def _lines(self, name: str) -> list[str]:
        path = self._folder / name
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read ({error}); must be a file of WordNet 3.0. Install wordnet-base, "
                "or name the folder of its database."
            ) from error
        return [line for line in lines if not line.startswith("  ")]  # the licence is indented

    def _synsets(self, name: str) -> dict[str, _Synset]:
        synsets = {}
        for line in self._lines(name):
            fields = line.split(" | ")[0].split()
            end = 4 + 2 * int(fields[3], 16)
            num_pointers = int(fields[end])
            pointers = [fields[end + 1 + 4 * each : end + 5 + 4 * each] for each in range(num_pointers)]
            parents = [pointer[1] for pointer in pointers if pointer[0] in ("@", "@i")]
            is_instance = any(pointer[0] == "@i" for pointer in pointers)
            lemmas, ids = fields[4:end:2], fields[5:end:2]
            keys = [
                (lemma.lower(), f"{fields[1]}:{int(each, 16):02}")
                for lemma, each in zip(lemmas, ids, strict=True)
            ]
            synsets[fields[0]] = _Synset(fields[1], lemmas, keys, parents, is_instance)
        return synsets

    def _index(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """Yields each lemma with the offsets of its senses, the most frequent first."""
        for line in self._lines(name):
            fields = line.split()
            yield fields[0], fields[-int(fields[2]) :]

    def _exceptions(self, name: str) -> dict[str, list[str]]:
        forms = defaultdict(list)
        for line in self._lines(name):
            form, *lemmas = line.split()
            for lemma in lemmas:
                forms[lemma].append(form)
        return dict(forms)


def _below(roots: set[str], children: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        offset = waiting.pop()
        if offset not in found:
            found.add(offset)
            waiting += children[offset]
    return found


def _gerund(verb: str) -> str:
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return f"{verb[:-1]}ing"
    return f"{verb}ing"


def main() -> None:
    """Prints the list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of WordNet's database")
    folder = parser.parse_args().folder
    print("# What a picture can show; an entry a line, its irregular plurals behind a colon.")
    print("# Made from WordNet 3.0 by `python -m stablerep.curation.wordnet`. Licence: LICENSE.wordnet")
    for word, plurals in WordNet(folder).visible():
        print(f"{word}: {', '.join(plurals)}" if plurals else word)


if __name__ == "__main__":
    main()
