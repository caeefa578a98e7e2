"""The page on curation: what came in, what each filter took and why, and no reference to the outside."""

import re
from pathlib import Path

from stablerep.curation.audit import Audit
from stablerep.curation.curate import curate
from stablerep.curation.filter import Step
from stablerep.curation.filters.balance import Balance
from stablerep.curation.filters.length import Length
from stablerep.curation.ledger import audit_table, balance_table, ledger_of
from stablerep.curation.settings import AuditSettings
from stablerep.curation.words import WordFile
from stablerep.reporting.curation import build_curation_page
from tests.stablerep.curation.corpus import frame_of

WORDS = WordFile(str(Path(__file__).parents[3] / "conf/words/digit_scenes.txt"))
AUDIT = Audit(
    AuditSettings(
        groups={"digit": {"nine": ["nine"], "two": ["two"]}, "ink": {"teal": ["teal"], "navy": ["navy"]}},
        prompts={"digit": "a {}", "ink": "{} ink"},
        pairs=[["digit", "ink"]],
    )
)
STEPS: list[Step] = [Length(2, 9), Balance(WORDS, 20, seed=0)]


def test_the_page_shows_filters_balance_and_audit(tmp_path: Path) -> None:
    texts = [f"a teal nine {number}" for number in range(60)] + [
        f"a navy two {number}" for number in range(15)
    ]
    curation = curate([frame_of([*texts, "<b>", *["x"] * 11])], STEPS, tmp_path, audit=AUDIT)
    page = build_curation_page(curation, AUDIT)
    assert "Captions read: 87" in page
    assert "too few words: 12" in page
    assert "<q>&lt;b&gt;</q>" in page
    assert page.count("<q>x</q>") == 9  # ten examples of a reason
    assert "bits" in page and 'class="skewed"' in page
    assert page.count("data:image/svg+xml") == 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    ledger = ledger_of(curation)
    assert (ledger["num_read"], ledger["num_kept"] + ledger["num_rejected"]) == (87, 87)
    assert ledger["filters"][1] == {"filter": "length", "num_in": 87, "reasons": {"too_few_words": 12}}
    assert balance_table(curation)["before"].tolist() == [60, 60, 15, 15]
    assert audit_table(curation, AUDIT)["when"].value_counts().to_dict() == {"before": 4, "after": 4}


def test_a_page_without_balance_and_audit_has_no_section_of_them(tmp_path: Path) -> None:
    nothing = Audit(AuditSettings(groups={}, prompts={}, pairs=[]))
    page = build_curation_page(curate([frame_of(["a nine"])], [], tmp_path, audit=nothing), nothing)
    assert "Balance of concepts" not in page and "Audit for bias" not in page
    assert "Captions read: 1, kept: 1" in page
