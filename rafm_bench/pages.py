"""Templates of the HTML pages, with the filters that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from rafm_bench.metrics import spoken
from rafm_bench.words import figure, option_text, share, size, times

if TYPE_CHECKING:
    from jinja2 import Template


def template(name: str) -> Template:
    """Return a template of rafm_bench/templates; a name it does not get is an error."""
    environment = Environment(
        loader=PackageLoader("rafm_bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        figure=figure,
        option=option_text,
        share=share,
        size=size,
        spoken=spoken,
        times=times,
        cell=lambda text: text.replace("|", "\\|"),
    )
    return environment.get_template(name)
