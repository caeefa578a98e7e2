"""How pages write names, figures and durations: the filters of the templates."""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from stablerep.reporting.headline import bounds, percent, points
from stablerep.reporting.metric_names import is_share, shown
from stablerep.reporting.tables import title_of


def bare_environment() -> Environment:
    """Returns the environment of all pages, without filters: texts are escaped, unknown names are errors."""
    return Environment(
        loader=PackageLoader("stablerep.reporting"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_environment() -> Environment:
    """Returns the environment of the templates of the report and of comparisons."""
    environment = bare_environment()
    environment.filters.update(
        percent=percent,
        points=points,
        bounds=bounds,
        shown=shown,
        metric=lambda name: str(name).replace("_", " ").replace(".", ": "),
        unit=lambda metric: ", %" if is_share(metric) else "",
        title=title_of,
        words=lambda name: str(name).replace("_", " "),
        label=lambda key: key.removeprefix("num_").replace("_", " "),
        number=lambda value: f"{value:,}",
        counted=lambda number, noun: f"{number:,} {noun}{'' if number == 1 else 's'}",
        duration=_duration,
        brief=_brief,
        json=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
    )
    environment.tests["match_start"] = lambda text, starts: str(text).startswith(starts)
    return environment


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _brief(value: Any, num_characters: int = 90) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_brief(each)}" for name, each in value.items())
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= num_characters else text[:num_characters] + "…"
