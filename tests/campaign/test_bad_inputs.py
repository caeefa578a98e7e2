"""Every kind of damage that was tried, with the command that meets it: one message, and nothing lost."""

from pathlib import Path

import pytest

from tests.campaign import captions, configuration, disks, options, tables, tracking, weights
from tests.campaign.outcome import Case, outcome_of

pytestmark = pytest.mark.campaign
CASES = [
    pytest.param(cases := module.__name__.rpartition(".")[2], case, id=f"{cases}: {case.name}")
    for module in (options, configuration, captions, tables, weights, tracking, disks)
    for case in module.CASES
]


def test_cases_have_names_of_their_own():
    names = [case.id for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("cases", "case"), CASES)
def test_damage_ends_in_one_message_or_is_survived(cases, case: Case, project: Path, record_property):
    outcome, printed = outcome_of(case, project)
    record_property("cases", cases)
    record_property("outcome", outcome)
    assert outcome == case.expected, printed[-3000:]
