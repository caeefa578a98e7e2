"""Settings of curation: the section `curation` of the configuration."""

from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from stablerep.settings import SettingError, Settings, Target, Values

WHERE = "conf/params/curation/<name>.yaml"
Format = Literal["csv", "tsv", "jsonl", "coco", "parquet", "text"]
FORMATS: tuple[str, ...] = get_args(Format)


class Columns(Settings):
    """Which column holds what: names of columns, or numbers from 0 in files without a header."""

    section: ClassVar[str] = "curation.reading.columns"

    caption: str | int = Field("caption", description="must be there")
    source: str | int | None = Field("source", description="null if there is none; `source` may be missing")
    licence: str | int | None = Field(
        "licence", description="null if there is none; `licence` may be missing"
    )

    @model_validator(mode="after")
    def _check_one_kind(self) -> Self:
        given = [each for each in self.names if each is not None]
        numbers = [each for each in given if isinstance(each, int)]
        if numbers and (len(numbers) < len(given) or min(numbers) < 0):
            raise SettingError(
                "",
                f"got {', '.join(map(repr, given))}; must be names only, or numbers from 0 only for files "
                "without a header (null for what no column has)",
            )
        return self

    @property
    def names(self) -> tuple[str | int, str | int | None, str | int | None]:
        """Caption, source and licence."""
        return self.caption, self.source, self.licence

    @property
    def header(self) -> bool:
        """Whether files have a header: columns are named."""
        return isinstance(self.caption, str)


class Reading(Settings):
    """How captions files are read."""

    section: ClassVar[str] = "curation.reading"

    columns: Columns = Field(default_factory=Columns)
    format: Format | None = Field(None, description="null goes by each file's ending")
    source: str | None = Field(None, description="of captions without one; null is the file's name")
    licence: str | None = Field(None, description="of captions without one; null is unknown")


class AuditSettings(Settings):
    """Groups of terms, and the pairs of groups whose terms are compared."""

    section: ClassVar[str] = "curation.audit"

    groups: dict[str, dict[str, list[str]]] = Field(
        description="group -> term -> its words, such as gender -> woman -> [woman, women, girl]"
    )
    prompts: dict[str, str] = Field(
        description="group -> caption of an image that shows a term, {} in the term's place: a photo of a {}"
    )
    pairs: list[list[str]] = Field(
        description="pairs of groups; each term of the one with each term of the other is a row of the audit"
    )
    num_images: int = Field(512, ge=1, description="generated images that are audited, at most")
    max_pmi: float = Field(1.0, ge=0, description="bits; 1 is twice as often as by chance, -1 half as often")
    min_expected: float = Field(
        5.0, ge=0, description="captions expected by chance for a pair; below it there is no verdict"
    )

    @model_validator(mode="after")
    def _check_groups_and_pairs(self) -> Self:
        names = ", ".join(self.groups)
        if set(self.prompts) != set(self.groups) or not all("{}" in each for each in self.prompts.values()):
            raise SettingError(
                "prompts",
                f"got {self.prompts!r}; must be one for each of the groups {names}, with {{}} in the term's "
                "place",
            )
        for group, terms in self.groups.items():
            words = [word.casefold() for each in terms.values() for word in each]
            if not terms or not all(terms.values()) or len(set(words)) < len(words):
                raise SettingError(
                    f"groups.{group}",
                    f"got {terms!r}; must be terms with one word or more each, and no word of two terms",
                )
        for pair in self.pairs:
            if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(self.groups):
                raise SettingError("pairs", f"got {pair!r}; must be two of the groups {names}")
        return self


class CurationSettings(Settings):
    """How captions are curated."""

    section: ClassVar[str] = "curation"

    filters: Annotated[tuple[Target, ...], Values] = Field(description="applied in this order")
    reading: Reading = Field(default_factory=Reading)
    audit: AuditSettings = Field(description="of bias, before and after the filters, and of the images")
    max_captions: int | None = Field(
        None, ge=1, description="only the first ones that pass the filters are kept; null keeps all"
    )
