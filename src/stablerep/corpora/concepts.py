"""Captions written from class names and templates: no captions and no images are needed to begin with.

Sources: templates as CLIP's prompts (arXiv:2103.00020, section 3.1.4); classes with places and styles, and a
language model that continues them, as in SynCLR (arXiv:2312.17742, section 3.1).
"""

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from stablerep.corpora.class_names import classes_named
from stablerep.corpora.corpus import WHERE, Corpus, Task
from stablerep.corpora.labels import DEFAULT_TASK
from stablerep.curation.folding import fold
from stablerep.curation.reading.engine import BATCH_SIZE, SCHEMA, UNKNOWN
from stablerep.curation.settings import Reading
from stablerep.errors import ConfigError, DataError, check_range
from stablerep.seeding import numpy_generator

if TYPE_CHECKING:
    import polars as pl

_FIELDS = ("class", "place", "style")


@dataclass
class Concepts(Corpus):
    """Captions of classes: all different, as many of each class (to within one), chosen by the seed.

    Attributes:
        classes: names, or a text file with a name per line.
        templates: with `{class}`, and if wanted `{place}` and `{style}`, in their places.
        places: such as `a forest`.
        styles: such as `a watercolour`.
        num_captions: at most classes x templates x places x styles.
        seed: of the choice of captions and of the language model.
        prompts: of the task, for zero-shot; null takes the default.
        language_model: folder of a causal language model of transformers, which continues each caption;
            null: none.
        max_new_tokens: that it adds, at most.
        temperature: of its samples; 0 takes the likeliest token every time.
        name: in messages and the report.
        mirrorable: whether a mirrored image still shows the class.
    """

    classes: list[str] | str
    templates: list[str] = field(default_factory=lambda: ["a photo of a {class}"])
    places: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    num_captions: int = 1000
    seed: int = 0
    prompts: list[str] | None = None
    language_model: str | None = None
    max_new_tokens: int = 20
    temperature: float = 1.0
    name: str = "concepts"
    mirrorable: bool = True

    def __post_init__(self) -> None:
        """Checks the templates and numbers.

        Raises:
            ConfigError: a template lacks the class or has an unknown field, places or styles are given and
                not used or the reverse, or a number is out of range.
        """
        check_range("corpus.num_captions", self.num_captions, 1, where=WHERE)
        check_range("corpus.max_new_tokens", self.max_new_tokens, 1, where=WHERE)
        check_range("corpus.temperature", self.temperature, 0, where=WHERE)
        used = [_fields_of(template) for template in self.templates]
        if not used or not all("class" in fields for fields in used):
            raise ConfigError(
                f"corpus.templates is {self.templates}; each must hold {{class}}. Set it in {WHERE}."
            )
        for name, values in (("place", self.places), ("style", self.styles)):
            if bool(values) != any(name in fields for fields in used):
                raise ConfigError(
                    f"corpus.{name}s has {len(values)} entries; it must have some where a template holds "
                    f"{{{name}}}, and none otherwise. Set it in {WHERE}."
                )

    def inputs(self) -> list[str]:
        """Returns the file of classes and the language model's folder, where there are such."""
        return [path for path in (self.classes, self.language_model) if isinstance(path, str)]

    def check(self) -> None:
        """Looks at the classes, their number and the language model.

        Raises:
            DataError: a file is missing.
            ConfigError: there are fewer than two classes, two are called alike, or more captions are wanted
                than can be written.
        """
        if len(self._names) < 2:
            raise ConfigError(f"corpus.classes has {len(self._names)} names; it must have at least two.")
        folded = fold(self._names)
        number_of = Counter(folded)
        alike = [
            name for name, text in zip(self._names, folded, strict=True) if not text or number_of[text] > 1
        ]
        if alike:
            raise ConfigError(
                f"corpus.classes: {', '.join(map(repr, alike[:5]))} read alike or as nothing. Rename them."
            )
        most = self._num_per_class * len(self._names)
        if self.num_captions > most:
            raise ConfigError(
                f"corpus.num_captions is {self.num_captions}; {len(self._names)} classes and "
                f"{self._num_per_class} ways to write one give at most {most}. Add templates, places or "
                f"styles in {WHERE}."
            )
        if self.language_model is not None and not (Path(self.language_model) / "config.json").is_file():
            raise DataError(
                f"{self.language_model}: has no config.json; must be the folder of a causal language model "
                f"of transformers. Set corpus.language_model in {WHERE}."
            )

    def tasks(self) -> dict[str, Task]:
        """Returns the one task, `class`."""
        names = tuple(self._names)
        task = Task(DEFAULT_TASK, names, tuple(self.prompts)) if self.prompts else Task(DEFAULT_TASK, names)
        return {DEFAULT_TASK: task}

    def caption_batches(self, reading: Reading, batch_size: int = BATCH_SIZE) -> "Iterator[pl.DataFrame]":
        """Writes the captions; see `Corpus.caption_batches`."""
        import polars as pl

        self.check()
        texts, first = self._texts(), 0
        while part := list(islice(texts, batch_size)):
            rows = range(first, first + len(part))
            first += len(part)
            columns = {
                "row": rows,
                "caption": part,
                "source": [reading.source or self.name] * len(part),
                "licence": [reading.licence or UNKNOWN] * len(part),
                "line": [row + 1 for row in rows],
                "fault": [None] * len(part),
            }
            yield pl.DataFrame(columns, schema=SCHEMA)

    def count_captions(self, reading: Reading, enough: int) -> int:
        """Returns the number of captions, without writing them."""
        del reading
        self.check()
        return min(self.num_captions, enough)

    def labels_of(self, texts: Sequence[str]) -> dict[str, list[int | None]]:
        """Returns the class that a caption was written from; of other texts, the class that they name."""
        known = self._label_of_start
        lengths = sorted({len(words) for words in known}, reverse=True)
        named = classes_named(texts, self._names)
        labels: list[int | None] = []
        for text, other in zip(fold(texts), named, strict=True):
            words = tuple(text.split())
            # without a language model a caption is its start
            tried = lengths if self.language_model else [len(words)]
            starts = (words[:length] for length in tried if length <= len(words))
            labels.append(next((known[start] for start in starts if start in known), other))
        return {DEFAULT_TASK: labels}

    def _texts(self) -> Iterator[str]:
        starts = (start for _, start in self._starts())
        if self.language_model is None:
            return starts
        from stablerep.corpora.continued_captions import ContinuedCaptions

        model = ContinuedCaptions(self.language_model, self.max_new_tokens, self.temperature)
        return model.continue_all(starts, self.seed)

    def _starts(self) -> Iterator[tuple[int, str]]:
        """Yields classes and captions; those of a class do not depend on the other classes."""
        num_each = -(-self.num_captions // len(self._names))
        chosen = [
            numpy_generator("concepts", self.seed, name).permutation(self._num_per_class)[:num_each]
            for name in self._names
        ]
        for number in range(self.num_captions):
            place, label = divmod(number, len(self._names))
            yield label, self._write(self._names[label], int(chosen[label][place]))

    def _write(self, name: str, number: int) -> str:
        """Returns one of the `_num_per_class` captions of a class."""
        for template in self.templates:
            ways = self._ways(template)
            if number < ways:
                fields = _fields_of(template)
                values = {"class": name}
                for other, entries in (("place", self.places), ("style", self.styles)):
                    if other in fields:
                        number, entry = divmod(number, len(entries))
                        values[other] = entries[entry]
                return template.format_map(values)
            number -= ways
        raise IndexError(number)

    def _ways(self, template: str) -> int:
        fields = _fields_of(template)
        return (len(self.places) if "place" in fields else 1) * (len(self.styles) if "style" in fields else 1)

    @cached_property
    def _num_per_class(self) -> int:
        return sum(map(self._ways, self.templates))

    @cached_property
    def _names(self) -> list[str]:
        if not isinstance(self.classes, str):
            return [str(name) for name in self.classes]
        try:
            lines = Path(self.classes).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.classes}: cannot be read ({error}); must be a text file with a class per line. Set "
                f"corpus.classes in {WHERE}."
            ) from error
        return [line.strip() for line in lines if line.strip()]

    @cached_property
    def _label_of_start(self) -> dict[tuple[str, ...], int | None]:
        """The class of each start of a caption, as folded words; None where two classes have the same."""
        labels: dict[tuple[str, ...], int | None] = {}
        pairs = list(self._starts())
        for (label, _), text in zip(pairs, fold(start for _, start in pairs), strict=True):
            words = tuple(text.split())
            labels[words] = label if labels.get(words, label) == label else None
        return labels


def _fields_of(template: str) -> set[str]:
    try:
        fields = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:
        fields = {template}
    if not fields <= set(_FIELDS):
        raise ConfigError(
            f"corpus.templates: {template!r} must hold {{class}} and no other fields than {{place}} and "
            f"{{style}}. Set it in {WHERE}."
        )
    return fields
