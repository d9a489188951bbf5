"""Write the pages of `docs/reference` from the code; with `--check`, only compare."""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import typer
from prometheus_client import CollectorRegistry

import sagaworks
from sagaworks import settings
from sagaworks.check import RULES
from sagaworks.cli import app
from sagaworks.history.keeping.metrics import HistoryMetrics
from sagaworks.observe.metrics import WorkerMetrics
from sagaworks.picture import draw
from sagaworks.project import Project
from sagaworks.settings import Settings
from sagaworks.start import Started, Starter
from sagaworks.step import Compensation, RemoteCompensation, RemoteStep, Step

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
PICTURES = ROOT / "docs" / "pictures" / "rules"
DIAGRAMS = ROOT / "tests" / "check" / "diagrams"
UNDRAWABLE = ("dtd", "camunda-7", "double-id")
"""Rules about files that can't be read at all, or of which nothing could be seen."""

NOTE = "<!-- written by `make cut` from the code: change it there -->\n"

EXIT_CODES = """
## Exit codes

The same for every command, for `python -m demo` and for a worker:

| code | means |
| --- | --- |
| 0 | all is well |
| 1 | an error, in one line on standard error |
| 2 | wrong usage |
| 3 | it ran and found something: a worker out of reach, an unknown key, books that don't add up |
| 4 | it could not run |
"""

RETURNED = (Step, RemoteStep, Compensation, RemoteCompensation, Started, Starter)
MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])")

MEANINGS = {
    "ZEEBE_ADDRESS": "The cluster to use. Without it: the local engine, if one is running.",
    "ZEEBE_SECURE": "TLS on the way to the cluster.",
    "ZEEBE_CA_CERTIFICATE": "The authority that signed the cluster's certificate; switches TLS on.",
    "ZEEBE_CLIENT_ID": "OAuth client; switches TLS on.",
    "ZEEBE_CLIENT_SECRET": "Its secret.",
    "ZEEBE_TOKEN_AUDIENCE": "The audience of the tokens.",
    "ZEEBE_AUTHORIZATION_SERVER_URL": "Where the tokens are asked for.",
    "SAGAWORKS_DATA": "Where databases, run files and the local engine's data are.",
    "SAGAWORKS_CACHE": "Where the engine is unpacked; `XDG_CACHE_HOME` is honoured.",
    "SAGAWORKS_ENGINE_VERSION": "Which version `sagaworks engine` fetches.",
    "SAGAWORKS_TENANT": "The engine's tenant.",
    "SAGAWORKS_TOKEN": "The bearer token of the management port; needed if it isn't on loopback.",
    "SAGAWORKS_HISTORY": "Where the engine's history is asked, such as `http://127.0.0.1:9700`.",
    "SAGAWORKS_MANAGE_HOST": "The address that the management port listens on.",
    "SAGAWORKS_MANAGE_PORT": "The management port; 0 takes a free one.",
    "SAGAWORKS_THREADS": "Jobs that a worker runs at once, and the size of its database pool.",
    "SAGAWORKS_GROUP": "Jobs of one step that may share a transaction under backlog; 0: none do.",
    "SAGAWORKS_LOCK_SECONDS": "How long the engine keeps a job for a worker; extended as it runs.",
    "SAGAWORKS_GRACE_SECONDS": "How long a stopping worker may finish what it has begun.",
    "SAGAWORKS_LOG_FORMAT": "`text` or `json`.",
    "SAGAWORKS_LOG_LEVEL": "The least level that is logged.",
}

OF_A_SERVICE = {
    "_DATABASE_URL": ("an SQLite file in `SAGAWORKS_DATA`", "The service's own database."),
    "_OWNER_URL": (
        "unset",
        "Who owns its tables: migrates, and grants rights to the worker's role.",
    ),
    "_MANAGEMENT_URL": ("from the run file", "Where `sagaworks trail` finds the service's worker."),
    "_MANAGE_PORT": ("`SAGAWORKS_MANAGE_PORT`", "The management port of this service's worker."),
}


def cli_page() -> str:
    """Return the page of all commands."""
    command = typer.main.get_command(app)
    parts = [f"{NOTE}# Commands\n", *_commands(command, "sagaworks"), EXIT_CODES]
    return "\n".join(parts)


def _commands(command: Any, name: str) -> Iterator[str]:
    yield f"## `{name}`\n\n{_prose(command.help)}\n"
    rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        yield "\n".join(["| | |", "| --- | --- |", *rows, ""])
    for below, child in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(child, f"{name} {below}")


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    else:
        names = ", ".join(f"`{option}`" for option in parameter.opts + parameter.secondary_opts)
    return f"| {names} | {_prose(getattr(parameter, 'help', '') or '')} |"


def settings_page() -> str:
    """Return the page of all environment variables."""
    defaults = {field.name: field for field in fields(Settings)}
    known = settings._VARIABLES
    rows = [
        f"| `{name}` | {_default(defaults[known[name].field])} | {MEANINGS[name]} |"
        for name in known
    ]
    own = [f"| `<SERVICE>{s}` | {d} | {m} |" for s, (d, m) in OF_A_SERVICE.items()]
    if strangers := set(MEANINGS) - set(known) | set(OF_A_SERVICE) ^ set(
        settings._SERVICE_VARIABLES
    ):
        raise LookupError(f"docs/reference.py describes settings that aren't: {strangers}")
    head = ["| variable | default | means |", "| --- | --- | --- |"]
    intro = (
        "All settings are environment variables, read once at the start. "
        "An empty variable counts as not set. "
        "An unknown `SAGAWORKS_` name or a bad value stops the program, and all of them are named "
        "at once."
    )
    service = (
        "For each service, its name in capitals, as in `INVENTORY_DATABASE_URL`. "
        "Two services in one database are refused."
    )
    every = [f"{NOTE}# Settings\n", intro, "", *head, *rows]
    return "\n".join([*every, "\n## Of one service\n", service, "", *head, *own, ""])


def _default(field: Any) -> str:
    if field.name == "data":
        return "`.sagaworks`"
    if field.name == "engine_cache":
        return "`~/.cache/sagaworks`"
    value = None if field.default is MISSING else field.default
    if isinstance(value, timedelta):
        value = f"{value.total_seconds():g}"
    if isinstance(value, bool):
        value = str(value).lower()
    return "" if value is None else f"`{value}`"


def metrics_page() -> str:
    """Return the page of all metrics of a worker, and of history."""
    of_a_worker, of_history = CollectorRegistry(), CollectorRegistry()
    WorkerMetrics(of_a_worker)
    HistoryMetrics(of_history, lambda: ())
    intro = "Served by each worker at `GET /metrics`. No label holds a business key or a value."
    parts = [f"{NOTE}# Metrics\n", intro, "", *_metrics(of_a_worker)]
    return "\n".join([*parts, "\n## Of `sagaworks history`\n", *_metrics(of_history), ""])


def _metrics(registry: CollectorRegistry) -> list[str]:
    rows = sorted(
        f"| `{_metric_name(metric)}` | {metric.type} | {_labels(registry, metric)} | "
        f"{metric.documentation} |"
        for metric in registry.collect()
    )
    return ["| metric | type | labels | means |", "| --- | --- | --- | --- |", *rows]


def _metric_name(metric: Any) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else str(metric.name)


def _labels(registry: CollectorRegistry, metric: Any) -> str:
    collector = registry._names_to_collectors.get(metric.name)
    names = getattr(metric, "_labelnames", ()) or getattr(collector, "_labelnames", ())
    return ", ".join(f"`{label}`" for label in names)


def api_page() -> str:
    """Return the page of all names that `from sagaworks import` offers."""
    parts = [f"{NOTE}# Python\n", "What `from sagaworks import …` offers.\n"]
    parts += [_name(name, getattr(sagaworks, name)) for name in sagaworks.__all__]
    parts.append("# What these return\n")
    parts += [_name(thing.__name__, thing) for thing in RETURNED]
    return "\n".join(parts)


def _name(name: str, thing: Any) -> str:
    kind = "class " if inspect.isclass(thing) else ""
    parts = [f"## `{name}`\n", f"```python\n{kind}{name}{_signature(thing)}\n```\n", _doc(thing)]
    for member, method in _methods(thing):
        parts.append(f"### `{name}.{member}`\n\n```python\n{member}{_signature(method)}\n```\n")
        parts.append(_doc(method))
    return "\n".join(parts)


def _methods(thing: Any) -> list[tuple[str, Any]]:
    if not inspect.isclass(thing):
        return []
    return [
        (name, member)
        for name, member in vars(thing).items()
        if inspect.isfunction(member) and not name.startswith("_") and member.__doc__
    ]


def _signature(thing: Any) -> str:
    if inspect.isclass(thing) and issubclass(thing, Exception) and "__init__" not in vars(thing):
        return f"({', '.join(base.__name__ for base in thing.__bases__)})"
    signature = inspect.signature(thing)
    parameters = [
        parameter.replace(annotation=_unquoted(parameter.annotation))
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    returns = signature.empty if inspect.isclass(thing) else _unquoted(signature.return_annotation)
    signature = signature.replace(parameters=parameters, return_annotation=returns)
    return MODULE.sub("", str(signature)).replace("(/, ", "(")


class _Unquoted(str):
    """An annotation that is text already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _unquoted(annotation: Any) -> Any:
    return _Unquoted(annotation) if isinstance(annotation, str) else annotation


def _doc(thing: Any) -> str:
    return f"```text\n{inspect.getdoc(thing)}\n```\n"


def services_page() -> str:
    """Return the page of the reference system's services and their steps."""
    parts = [f"{NOTE}# The reference system\n", "The steps of the services of both sagas.\n"]
    for service in Project.load().load_services():
        doc = _prose(inspect.getdoc(sys.modules[_module_of(service)]) or "")
        parts.append(f"## {service.name}\n\n{doc}\n")
        parts += [
            "| step | kind | variables | fact | undone by |",
            "| --- | --- | --- | --- | --- |",
        ]
        parts += [_step(step) for step in service.steps.values()]
        parts.append("")
        parts += [f"- `{task.name}`: {_prose(task.doc)}" for task in _tasks(service)]
        parts.append("")
    return "\n".join(parts)


def _module_of(service: Any) -> str:
    return str(next(iter(service.steps.values())).__module__)


def _tasks(service: Any) -> list[Any]:
    return [*service.steps.values(), *service.compensations.values()]


def _step(step: Any) -> str:
    kind = f"{step.kind}, remote" if step.remote else step.kind
    variables = ", ".join(f"`{name}`" for name in step.variables)
    fact = f"`{step.fact_variable}`" if step.fact else ""
    undo = f"`{step.undo.name}`" if step.undo else ""
    return f"| `{step.name}` | {kind} | {variables} | {fact} | {undo} |"


def _prose(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


RULES_INTRO = """
What `sagaworks check` looks for. Each finding is a line: file, line, element, severity, rule,
what is wrong, and what to do about it.

- An **error** ends the check with exit code 3, and `sagaworks deploy` refuses the diagram unless
  it's told `--force`. A **warning** does so with `--strict`. An **info** is only said.
- With `--diagram-only` a file is checked without any code: a step is then of the kind that its
  extension property `saga.kind` says, and compensatable without one. Rules marked *with code*
  compare diagram and code, and rest then.
- A rule is switched off for one element by its extension property `saga.ignore`: the rule's id, a
  colon, and the reason, as in `no-deadline: the bank always answers`. The reason is shown with
  each check, and a property that switches off what isn't broken is told, too.
- What the diagram itself may say: `saga.kind` of a step; `saga.leave` of a sub-process or
  multi-instance, what holds of the steps done inside when it is left early: `undo` or `keep`;
  `saga.inputs` of the process, the variables it is started with, so that any other must be
  produced.

A rule's two diagrams are in `tests/check/diagrams`, in a folder of its name. Where they look
different, both are shown here: the left one breaks the rule, the right one just doesn't.
"""


def rules_page() -> str:
    """Return the page of all rules of `sagaworks check`."""
    parts = [f"{NOTE}# Rules\n", RULES_INTRO.strip(), ""]
    subject = ""
    for rule in RULES.values():
        about = _subject(rule)
        if about != subject:
            subject = about
            parts.append(f"## {subject}\n")
        parts.append(_rule(rule))
    return "\n".join(parts)


def _subject(rule: Any) -> str:
    doc = inspect.getdoc(sys.modules[rule.find.__module__]) or ""
    return doc.partition(":")[0].rstrip(".")


def _rule(rule: Any) -> str:
    code = ", with code" if rule.needs_code else ""
    lines = [
        f"### {rule.title} {{: #{rule.id} }}\n",
        f"`{rule.id}` · {rule.severity}{code}\n",
        f"{rule.why}\n",
        f"What to do: {rule.remedy}.\n\nSource: {rule.source}.\n",
    ]
    if f"{rule.id}-wrong.svg" in rule_pictures():
        wrong, right = (f"../pictures/rules/{rule.id}-{name}.svg" for name in ("wrong", "right"))
        shown = (f"![breaks {rule.id}]({wrong})", f"![keeps {rule.id}]({right})")
        lines.append(f"| wrong | right |\n| --- | --- |\n| {' | '.join(shown)} |\n")
    return "\n".join(lines)


@cache
def rule_pictures() -> dict[str, str]:
    """Return the pictures of the rules' diagrams by file name, where a picture shows the matter."""
    pictures = {}
    for rule in RULES:
        both = [DIAGRAMS / rule / f"{name}.bpmn" for name in ("wrong", "right")]
        if rule in UNDRAWABLE or not both[0].is_file():
            continue
        wrong, right = (draw(path) for path in both)
        if wrong != right:
            pictures |= {f"{rule}-wrong.svg": wrong, f"{rule}-right.svg": right}
    return pictures


def written() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with what it must hold."""
    for name, write in PAGES.items():
        yield FOLDER / name, write()
    for name, picture in rule_pictures().items():
        yield PICTURES / name, picture


PAGES = {
    "cli.md": cli_page,
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "python.md": api_page,
    "services.md": services_page,
    "rules.md": rules_page,
}


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; return the exit code: 3 if a page is stale."""
    stale = 0
    for page, text in written():
        if page.is_file() and page.read_text() == text:
            continue
        stale += 1
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)} isn't what the code says; run `make cut`")
        else:
            page.parent.mkdir(exist_ok=True)
            page.write_text(text)
            print(f"{page.relative_to(ROOT)}: written")
    return 3 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
