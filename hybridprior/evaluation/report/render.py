"""A page made into one HTML file that needs nothing else: images, style and script are in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from hybridprior.evaluation.report.chart import panels, styles
from hybridprior.evaluation.report.page import Page

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["MARK", "render"]

MARK = '<meta name="generator" content="hybridprior report">'
"""What tells a report from any other page."""


def render(page: Page) -> str:
    """Return the page as HTML.

    It reads without JavaScript and without a network; a content security policy in it lets nothing but its own
    script run, and nothing be fetched.

    Args:
        page: What it says. All text is escaped.
    """
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        page=page, panels=panels, styles=styles, style=_asset("report.css"), script=script, digest=digest, mark=MARK
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("hybridprior.evaluation.report", "assets")
    room = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return room.get_template("report.html.j2")


def _asset(name: str) -> str:
    return (files("hybridprior.evaluation.report") / "assets" / name).read_text(encoding="utf-8")
