"""Settings of curation; they import nothing heavy, for every command reads them."""

from dataclasses import astuple, dataclass, field

from stablerep.errors import ConfigError, check_range

WHERE = "conf/params/curation/<name>.yaml"
FORMATS = ("csv", "tsv", "jsonl", "coco", "parquet", "text")


@dataclass(frozen=True)
class Columns:
    """Where a record tells what: names of columns, or numbers from 0 in files without a header.

    Attributes:
        caption: must be there.
        source: None where no column tells it; `source` itself may be missing.
        licence: None where no column tells it; `licence` itself may be missing.
    """

    caption: str | int = "caption"
    source: str | int | None = "source"
    licence: str | int | None = "licence"

    def __post_init__(self) -> None:
        """Checks that they are of one kind.

        Raises:
            ConfigError: names and numbers are mixed, or a number is below 0.
        """
        given = [each for each in astuple(self) if each is not None]
        numbers = [each for each in given if isinstance(each, int)]
        if numbers and (len(numbers) < len(given) or min(numbers) < 0):
            raise ConfigError(
                f"captions.reading.columns: got {', '.join(map(repr, given))}; must be names only, or "
                "numbers from 0 "
                f"only for files without a header (null for what no column tells). Set it in {WHERE}."
            )

    @property
    def header(self) -> bool:
        """Whether files have a header: columns are named."""
        return isinstance(self.caption, str)


@dataclass(frozen=True)
class Reading:
    """How captions files are read.

    Attributes:
        columns: where caption, source and licence stand.
        format: one of `FORMATS`; None goes by each file's ending.
        source: of captions whose record tells none; None is the file's name.
        licence: likewise; None is "unknown".
    """

    columns: Columns = field(default_factory=Columns)
    format: str | None = None
    source: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        """Checks the format.

        Raises:
            ConfigError: it is none of `FORMATS`.
        """
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(
                f"captions.reading.format: got {self.format!r}; must be one of {', '.join(FORMATS)}, or "
                "null. "
                f"Set it in {WHERE}."
            )


@dataclass(frozen=True)
class AuditSettings:
    """Groups of terms, and which groups are held against each other.

    Attributes:
        groups: group -> term -> the words that say so, such as gender -> woman -> [woman, women, girl].
        prompts: group -> what an image-text model is told of an image that shows a term, `{}` standing for
            the term, such as `a photo of a {}`.
        num_images: on which the generator's images are audited, at most.
        pairs: pairs of groups; every term of the one with every term of the other is a row of the audit.
        max_pmi: in bits; 1 is twice as often as chance has it, -1 half as often.
        min_expected: captions that chance would give a pair; below it there is no verdict.
    """

    groups: dict[str, dict[str, list[str]]]
    prompts: dict[str, str]
    pairs: list[list[str]]
    num_images: int = 512
    max_pmi: float = 1.0
    min_expected: float = 5.0

    def __post_init__(self) -> None:
        """Checks groups, pairs and bounds.

        Raises:
            ConfigError: a group or a term is empty, a word stands for two terms of a group, a prompt is
                missing, or a pair names no two groups.
        """
        check_range("captions.audit.max_pmi", self.max_pmi, 0, where=WHERE)
        check_range("captions.audit.num_images", self.num_images, 1, where=WHERE)
        if set(self.prompts) != set(self.groups) or not all("{}" in each for each in self.prompts.values()):
            raise ConfigError(
                f"captions.audit.prompts: got {self.prompts!r}; must be one for each of the groups "
                f"{', '.join(self.groups)}, with {{}} in the term's place. Set it in {WHERE}."
            )
        check_range("captions.audit.min_expected", self.min_expected, 0, where=WHERE)
        for group, terms in self.groups.items():
            words = [word.casefold() for each in terms.values() for word in each]
            if not terms or not all(terms.values()) or len(set(words)) < len(words):
                raise ConfigError(
                    f"captions.audit.groups.{group}: got {terms!r}; must be terms with one word or more "
                    "each, and "
                    f"no word of two terms. Set it in {WHERE}."
                )
        for pair in self.pairs:
            if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(self.groups):
                raise ConfigError(
                    f"captions.audit.pairs: got {pair!r}; must be two of the groups "
                    f"{', '.join(self.groups)}. "
                    f"Set it in {WHERE}."
                )
