"""Finds class names in captions: whole words, in any case, singular or plural.

Legend: C classes, T texts.
"""

from collections.abc import Iterable, Sequence

from stablerep.curation.folding import fold

_VOWELS = "aeiou"


def plurals_of(name: str) -> tuple[str, ...]:
    """Returns the regular English plurals of a folded name, such as `ponies` of `pony`."""
    if name.endswith("y") and name[-2:-1] not in _VOWELS:
        return (f"{name[:-1]}ies",)
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return (f"{name}es",)
    return (f"{name}s", f"{name}es")


def classes_named(texts: Iterable[str], classes: Sequence[str]) -> list[int | None]:
    """Finds the class that each text names.

    A text is read from the left and the longest name wins, so that `hot dog` does not name the class `dog`.

    Args:
        texts: T captions.
        classes: C names.

    Returns:
        T indices into `classes`; None where a text names none, or more than one.
    """
    known = _forms_of(classes)
    longest = max((len(words) for words in known), default=0)
    return [_class_named(text.split(), known, longest) for text in fold(texts)]


def _forms_of(classes: Sequence[str]) -> dict[tuple[str, ...], int | None]:
    """Returns folded names and plurals, as words; None for a plural of two classes."""
    names = fold(classes)
    forms: dict[tuple[str, ...], int | None] = {}
    for index, name in enumerate(names):
        for plural in plurals_of(name):
            words = tuple(plural.split())
            forms[words] = None if words in forms else index
    # a name wins over another class's plural: `glasses` beside `glass`
    forms.update({tuple(name.split()): index for index, name in enumerate(names)})
    forms.pop((), None)
    return forms


def _class_named(words: list[str], known: dict[tuple[str, ...], int | None], longest: int) -> int | None:
    found: set[int | None] = set()
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            form = tuple(words[place : place + length])
            if form in known:
                found.add(known[form])
                place += length
                break
        else:
            place += 1
    return found.pop() if len(found) == 1 else None
