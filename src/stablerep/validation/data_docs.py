"""Data Docs as one page that needs no network: Great Expectations' renderer, inside of our own frame.

Its own site loads styles, scripts and a logo from other hosts, and is blank without them. Here what it
renders of each result goes through its own component templates but for those of templates/*.j2, which its
scripts would have to bring to life or which take captions for HTML, into templates/gate.html with the styles
in it. Nobody's markup gets in: the page forbids by its policy whatever is not its own style.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def render_page(
    gate: str, num_rows: Mapping[str, int], reports: Sequence[Mapping[str, Any]], results: Mapping[str, Any]
) -> str:
    """Returns the page of a gate.

    Args:
        gate: its name.
        num_rows: of each table.
        reports: of each rule, as `stablerep.validation.gate.check_captions` returns them.
        results: of each table, Great Expectations' ExpectationSuiteValidationResult.

    Returns:
        HTML that loads nothing.
    """
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView
    from jinja2 import ChoiceLoader, Environment, PackageLoader

    own = PackageLoader("stablerep.validation")
    view = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([own, view.env.loader])
    renderer = ValidationResultsPageRenderer(run_info_at_end=True)
    sections = {}
    for name, result in results.items():
        document = renderer.render(result)
        # its header: a verdict without severities, and a link to a page of its site
        del document.sections[0].content_blocks[0]
        sections[name] = view.render(document, template="sections.j2")
    page = Environment(loader=own, autoescape=True).get_template("gate.html")
    failed = any(not each["success"] and each["severity"] == "fail" for each in reports)
    return page.render(gate=gate, failed=failed, num_rows=num_rows, reports=reports, sections=sections)
