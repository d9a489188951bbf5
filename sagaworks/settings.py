"""Settings from the environment; no other module reads it."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from sagaworks.errors import ConfigurationError
from sagaworks.project import Project, nearest, root_above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Project", "Settings"]

_PREFIX = "SAGAWORKS_"
_DEFAULT_ADDRESS = "127.0.0.1:26500"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says, read once; see `Settings.load`. Secrets are not in its repr."""

    data: Path
    root: Path = field(default_factory=Path.cwd)
    zeebe_address: str | None = None
    zeebe_secure: bool = False
    zeebe_ca_certificate: Path | None = None
    zeebe_client_id: str | None = None
    zeebe_client_secret: str | None = field(default=None, repr=False)
    zeebe_token_audience: str | None = None
    zeebe_authorization_server: str | None = None
    tenant: str = "<default>"
    token: str | None = field(default=None, repr=False)
    history: str | None = field(default=None, repr=False)
    manage_host: str = "127.0.0.1"
    manage_port: int = 0
    threads: int = 16
    group: int = 16
    lock: timedelta = timedelta(seconds=15)
    grace: timedelta = timedelta(seconds=20)
    log_format: str = "text"
    log_level: str = "INFO"
    engine_version: str = "8.6.0"
    engine_cache: Path = field(default_factory=lambda: Path.home() / ".cache" / "sagaworks")
    database_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    owner_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    management_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    manage_ports: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, project: Project | None = None) -> Self:
        """Read the environment; an empty variable counts as not set.

        With a `project`, its services' databases are also checked against each other.

        Raises:
            ConfigurationError: lists everything that is wrong, not just the first.
        """
        problems = [*_unknown_names(environ)]
        values = _own_values(environ, problems)
        values |= _service_values(environ, problems)
        root = project.root if project else root_above(Path.cwd()) or Path.cwd()
        values["root"] = root
        values["data"] = root / values.get("data", ".sagaworks")
        values.setdefault("engine_cache", _default_cache(environ))
        problems += _connection_problems(values)
        _raise_all(problems)
        settings = cls(**values)
        if project:
            _raise_all([*_project_problems(settings, project)])
        return settings

    def database_url(self, service: str) -> str:
        """`<SERVICE>_DATABASE_URL`, else an SQLite file of the service's own under `data`.

        Paths of SQLite files are absolute, so that every process means the same file.
        """
        url = self.database_urls.get(service)
        if url is None:
            return f"sqlite:///{self.data / service}.db"
        if "://" not in url:
            why = "not a database URL such as postgresql+psycopg://user@host/name"
            raise ConfigurationError(f"{service.upper()}_DATABASE_URL: {why}")
        return _absolute_sqlite(url, self.root)

    def management_port(self, service: str) -> int:
        """`<SERVICE>_MANAGE_PORT`, else `SAGAWORKS_MANAGE_PORT`; 0 takes a free one."""
        return self.manage_ports.get(service, self.manage_port)

    def management_url(self, service: str) -> str | None:
        """Where the service's worker answers: set by hand, or written by the running worker."""
        given = self.management_urls.get(service)
        if given:
            return given.rstrip("/")
        try:
            found = json.loads(self.run_file(service).read_text())
        except (OSError, ValueError):
            return None
        url = found.get("management_url") if isinstance(found, dict) else None
        return url if isinstance(url, str) else None

    def run_file(self, service: str) -> Path:
        """The file in which the service's running worker says where it is."""
        return self.data / "run" / f"{service}.json"

    def engine_file(self) -> Path:
        """The file in which the local engine says where it is."""
        return self.data / "engine" / "engine.json"

    def history_place(self) -> str | None:
        """`SAGAWORKS_HISTORY`, else the local engine's own, if it runs with one; None: nobody's."""
        if self.history or self.zeebe_address:
            return self.history
        try:
            found = json.loads(self.engine_file().read_text()).get("history")
        except (OSError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    def engine_address(self) -> str:
        """`ZEEBE_ADDRESS`, else the local engine's, else Zeebe's usual one; `host:port`.

        Raises:
            ConfigurationError: the local engine's file is damaged.
        """
        if self.zeebe_address:
            return self.zeebe_address
        try:
            return str(json.loads(self.engine_file().read_text())["address"])
        except FileNotFoundError:
            return _DEFAULT_ADDRESS
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "delete it and run `sagaworks engine up`, or set ZEEBE_ADDRESS"
            raise ConfigurationError(f"{self.engine_file()} is not readable: {remedy}") from error


class _Variable(NamedTuple):
    field: str
    parse: Callable[[str], object]


def _one_of(*known: str) -> Callable[[str], str]:
    folded = {word.lower(): word for word in known}

    def parse(text: str) -> str:
        if text.lower() not in folded:
            raise ValueError(f"{text!r} is none of {', '.join(known)}")
        return folded[text.lower()]

    return parse


def _truth(text: str) -> bool:
    return _one_of("true", "false")(text) == "true"


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(least: float, most: float) -> Callable[[str], timedelta]:
    def parse(text: str) -> timedelta:
        number = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text)
        if not number or not least <= float(text) <= most:
            raise ValueError(f"{text!r} is not a number of seconds from {least:g} to {most:g}")
        return timedelta(seconds=float(text))

    return parse


def _matching(pattern: str, wanted: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"{text!r} is not {wanted}")
        return text

    return parse


def _secret(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be printable ASCII without blanks, it is sent in a header")
    return text


def _file(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"no file at {path}")
    return path


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not host or not colon or "/" in text or not 0 < int(port if port.isdecimal() else 0) < 2**16:
        raise ValueError(f"{text!r} is not host:port, as in {_DEFAULT_ADDRESS}")
    return text


def history_url(url: str) -> str:
    """Return the URL if a history may be asked there.

    Raises:
        ValueError: it can't be; says what it should be.
    """
    found = _HISTORY.fullmatch(url)
    if not found or not 0 < int(found["port"] or 1) < 2**16:
        # A password may be in it.
        shown = re.sub(r"//[^/@]*@", "//…@", url)
        raise ValueError(f"{shown!r} is not a history's URL, such as http://127.0.0.1:9700")
    return url


_port = _whole(0, 65535)
_LEVELS = ("TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
# Tenant ids as Zeebe takes them: at most 31 characters, or its name for "no tenants".
_TENANT = r"<default>|[A-Za-z0-9._-]{1,31}"
_HISTORY = re.compile(
    r"(?:(?:operate|camunda)\+)?https?://(?:[^\s/@]+@)?(?:\[[0-9a-fA-F:.]+\]|[\w.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII,
)
_VERSION = r"[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.]+)?"

_VARIABLES: Mapping[str, _Variable] = {
    "ZEEBE_ADDRESS": _Variable("zeebe_address", _address),
    "ZEEBE_SECURE": _Variable("zeebe_secure", _truth),
    "ZEEBE_CA_CERTIFICATE": _Variable("zeebe_ca_certificate", _file),
    "ZEEBE_CLIENT_ID": _Variable("zeebe_client_id", str),
    "ZEEBE_CLIENT_SECRET": _Variable("zeebe_client_secret", str),
    "ZEEBE_TOKEN_AUDIENCE": _Variable("zeebe_token_audience", str),
    "ZEEBE_AUTHORIZATION_SERVER_URL": _Variable(
        "zeebe_authorization_server", _matching(r"https?://\S+", "an http(s) URL")
    ),
    "SAGAWORKS_DATA": _Variable("data", _folder),
    "SAGAWORKS_CACHE": _Variable("engine_cache", _folder),
    "SAGAWORKS_ENGINE_VERSION": _Variable(
        "engine_version", _matching(_VERSION, "a version such as 8.6.0")
    ),
    "SAGAWORKS_TENANT": _Variable(
        "tenant", _matching(_TENANT, "a tenant id ([A-Za-z0-9._-]{1,31})")
    ),
    "SAGAWORKS_TOKEN": _Variable("token", _secret),
    "SAGAWORKS_HISTORY": _Variable("history", history_url),
    "SAGAWORKS_MANAGE_HOST": _Variable("manage_host", _matching(r"[\w.:-]+", "a host")),
    "SAGAWORKS_MANAGE_PORT": _Variable("manage_port", _port),
    "SAGAWORKS_THREADS": _Variable("threads", _whole(1, 1000)),
    "SAGAWORKS_GROUP": _Variable("group", _whole(0, 64)),
    "SAGAWORKS_LOCK_SECONDS": _Variable("lock", _seconds(0.1, 86400)),
    "SAGAWORKS_GRACE_SECONDS": _Variable("grace", _seconds(0, 86400)),
    "SAGAWORKS_LOG_FORMAT": _Variable("log_format", _one_of("text", "json")),
    "SAGAWORKS_LOG_LEVEL": _Variable("log_level", _one_of(*_LEVELS)),
}

_SERVICE_VARIABLES: Mapping[str, _Variable] = {
    "_DATABASE_URL": _Variable("database_urls", str),
    "_OWNER_URL": _Variable("owner_urls", str),
    "_MANAGEMENT_URL": _Variable("management_urls", _matching(r"https?://\S+", "an http(s) URL")),
    "_MANAGE_PORT": _Variable("manage_ports", _port),
}


def _unknown_names(environ: Mapping[str, str]) -> Iterator[str]:
    """A misspelt name must not quietly mean the default."""
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in _VARIABLES:
            hint = nearest(name, _VARIABLES)
            yield f"{name}: no such setting" + (f", {hint}" if hint else "")


def _own_values(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, variable in _VARIABLES.items():
        if environ.get(name):
            _parse(name, environ[name], variable, values, problems)
    return values


def _service_values(environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for suffix, variable in _SERVICE_VARIABLES.items():
        found: dict[str, Any] = {}
        for name in sorted(environ):
            prefix = name.removesuffix(suffix)
            if environ[name] and prefix not in ("", name) and name not in _VARIABLES:
                one = _Variable(prefix.lower(), variable.parse)
                _parse(name, environ[name], one, found, problems)
        values[variable.field] = found
    return values


def _parse(
    name: str, text: str, variable: _Variable, values: dict[str, Any], problems: list[str]
) -> None:
    try:
        values[variable.field] = variable.parse(text.strip())
    except ValueError as error:
        problems.append(f"{name}: {error}")


def _connection_problems(values: dict[str, Any]) -> Iterator[str]:
    """OAuth is all or nothing; it and a CA switch TLS on unless TLS is set by hand."""
    oauth = ("ZEEBE_CLIENT_ID", "ZEEBE_CLIENT_SECRET", "ZEEBE_AUTHORIZATION_SERVER_URL")
    missing = [name for name in oauth if _VARIABLES[name].field not in values]
    if 0 < len(missing) < len(oauth):
        yield f"{', '.join(missing)}: missing, OAuth needs {', '.join(oauth)} together"
    if "zeebe_client_id" in values or "zeebe_ca_certificate" in values:
        values.setdefault("zeebe_secure", True)
    if "zeebe_ca_certificate" in values and not values["zeebe_secure"]:
        yield "ZEEBE_SECURE: false, but ZEEBE_CA_CERTIFICATE asks for TLS; unset one of them"


def _project_problems(settings: Settings, project: Project) -> Iterator[str]:
    """Names of services nobody has, and two services in one database."""
    names = project.service_names()
    given = {"_DATABASE_URL": settings.database_urls, "_OWNER_URL": settings.owner_urls}
    for suffix, urls in given.items():
        for stranger in sorted(set(urls) - set(names)):
            near = difflib.get_close_matches(stranger, names, n=1, cutoff=0.8)
            if near:
                yield f"{stranger.upper()}{suffix}: did you mean {near[0].upper()}{suffix}?"
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(_same_database(settings.database_url(name)), name)
        if first != name:
            yield (
                f"{name.upper()}_DATABASE_URL: the services {first} and {name} would share one "
                "database, give each its own"
            )


def _same_database(url: str) -> str:
    """What makes two URLs mean one database: not the driver, the user or an option."""
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        return f"{kind}://{parts.path}?{parts.query}"
    kind = {"postgres": "postgresql", "mysql": "mariadb"}.get(kind, kind)
    host, port = _place(parts.netloc.rpartition("@")[2].lower())
    port = port or {"postgresql": "5432", "mariadb": "3306"}.get(kind, "")
    # PostgreSQL takes the user's name for a database that isn't named.
    name = parts.path.strip("/") or (parts.username or "")
    return f"{kind}://{host}:{port}/{name}"


def _place(netloc: str) -> tuple[str, str]:
    host, _, port = netloc.rpartition(":") if re.search(r":\d*$", netloc) else (netloc, "", "")
    return ("localhost" if host in ("", "127.0.0.1", "[::1]") else host), port


def _absolute_sqlite(url: str, root: Path) -> str:
    """`sqlite:///shop.db` means the project's folder, wherever a process was started."""
    found = re.fullmatch(r"(sqlite(?:\+\w+)?:///)((?!/|:memory:|file:)[^?]+)(\?.*)?", url)
    return f"{found[1]}{root / found[2]}{found[3] or ''}" if found else url


def _default_cache(environ: Mapping[str, str]) -> Path:
    base = Path(environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification says to ignore a relative path here.
    return (base if base.is_absolute() else Path.home() / ".cache") / "sagaworks"


def _raise_all(problems: list[str]) -> None:
    if problems:
        raise ConfigurationError("; ".join(problems))
