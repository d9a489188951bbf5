"""`sagaworks adopt`: give a saga to another process instance, in every service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sagaworks.saga import SagaKey
    from sagaworks.settings import Settings


def adopt(
    key: Annotated[str, typer.Argument(help="The business key, such as order-42.")],
    instance: Annotated[
        int | None,
        typer.Option(
            "--instance",
            help="The process instance that is to own the saga; by default the one that history"
            " knows with this key.",
        ),
    ] = None,
) -> None:
    """Let the saga go on in another process instance: the engine has forgotten its first one.

    Its steps that were done answer at once there. Also lets in a saga that was cancelled and
    withdrawn, and begins anew.
    """
    from sagaworks.saga import SagaKey
    from sagaworks.settings import Project, Settings

    project = Project.load()
    settings = Settings.load(project=project)
    owner = SagaKey(instance) if instance is not None else _found_in_history(key, settings)
    passed = [name for name in project.service_names() if _passes(name, key, owner, settings)]
    for name in passed:
        typer.echo(f"{name}: {key} is process instance {owner} now")
    if not passed:
        typer.echo(f"{key}: no service had to be changed")


def _passes(service: str, key: str, owner: SagaKey, settings: Settings) -> bool:
    from sagaworks.ledger.store import Store
    from sagaworks.reconcile import adopt as pass_on

    store = Store(settings.database_url(service))
    try:
        store.check_version(service)
        with store.writing() as connection:
            return pass_on(connection, settings.tenant, key, owner)
    finally:
        store.close()


def _found_in_history(key: str, settings: Settings) -> SagaKey:
    from sagaworks.errors import ConfigurationError
    from sagaworks.history import connect

    place = settings.history_place()
    if place is None:
        why = "no history to ask (SAGAWORKS_HISTORY): name the process instance by --instance"
        raise ConfigurationError(f"{key}: {why}")
    known = connect(place, token=settings.token).instances(key)
    running = [one for one in known if one.ended is None]
    if len(running) != 1:
        found = ", ".join(str(one.key) for one in running) or "none"
        why = f"history knows as running with this key: {found}; name one by --instance"
        raise ConfigurationError(f"{key}: {why}")
    return running[0].key
