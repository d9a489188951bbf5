"""The report as one HTML page: it asks nobody for anything, and works from a disk."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, Final

from sagaworks.picture.paint import MEANINGS, PAINTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagaworks.report.gathering import Gathering

VIEWER: Final = "bpmn-navigated-viewer.production.min.js"
STYLES: Final = ("diagram-js.css", "bpmn-js.css")

POLICY: Final = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)
"""Nothing is fetched; no script runs but the two in the page. The viewer styles what it draws."""


def page(gathering: Gathering, title: str) -> str:
    """Return the page; what sagas and diagrams are called is text in it, never markup."""
    data = gathering.as_data() | {
        "title": title,
        "paints": {state: [paint.fill, paint.line] for state, paint in PAINTS.items()},
        "meanings": MEANINGS,
    }
    scripts = [_own("bpmn_js", VIEWER), _own("page.js")]
    return Template(_own("page.html")).substitute(
        title=escape(title),
        policy=POLICY.format(scripts=" ".join(map(_hash, scripts))),
        styles="\n".join([*(_own("bpmn_js", name) for name in STYLES), _own("page.css")]),
        viewer=scripts[0],
        script=scripts[1],
        data=_written(data),
        licence=escape(_own("bpmn_js", "LICENSE")),
    )


def _own(*path: str) -> str:
    return files("sagaworks.report").joinpath(*path).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _written(data: Any) -> str:  # noqa: ANN401  JSON
    """Return JSON that can stand in a page: nothing in it ends its element."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _escaped(text, "<>&\u2028\u2029")


def _escaped(text: str, letters: Iterable[str]) -> str:
    for one in letters:
        text = text.replace(one, f"\\u{ord(one):04x}")
    return text
