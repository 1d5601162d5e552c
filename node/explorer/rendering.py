"""From page content to HTML: one environment that escapes everything, with the house's way of showing values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from ledger.cid import to_cid
from node.explorer import display
from node.explorer.evaluation_page import rounded
from node.explorer.happenings import label_of

HERE = Path(__file__).parent
COMMON = {"site_name": "fedbounty explorer"}


def environment() -> Environment:
    """Every value is escaped; a name that a template misspells is an error, not an empty text."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "brief": display.brief,
        "cid": to_cid,
        "duration": display.duration,
        "ether": display.ether,
        "event_label": label_of,
        "exact": display.exact,
        "hex": display.hexed,
        "iso": display.iso,
        "kind": lambda event: type(event).__name__,
        "metric": display.metric,
        "moment": display.moment,
        "norm": display.norm,
        "number": display.number,
        "rounded": rounded,
        "share": display.share,
        "short": display.short,
        "tokens": display.tokens,
        "visible": display.visible,
    }
    made.globals |= COMMON | {"percent": display.percent}
    return made


class Pages:
    """Renders templates; `shared` is what every page shows besides its own content."""

    def __init__(self) -> None:
        self._environment = environment()

    def render(self, template: str, status: int = 200, **content: Any) -> HTMLResponse:
        return HTMLResponse(self._environment.get_template(template).render(**content), status)
