"""Templates stay as the code is, and what was made from an older one is told."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlmodel import Session

from sagaworks import ConfigurationError, Service
from sagaworks.templates import stale, write

DIAGRAM = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="urn:test">
<process id="saga" isExecutable="true">
<serviceTask id="hold_seat" zeebe:modelerTemplate="sagaworks.flights.hold_seat"
  zeebe:modelerTemplateVersion="1" />
</process></definitions>"""


class SeatHeld(BaseModel):
    seat: str


def changed() -> Service:
    """The service after its author has added a variable and dropped a step."""
    service = Service("flights")

    @service.step
    def hold_seat(session: Session, flight: str, coach: int) -> SeatHeld:
        return SeatHeld(seat=f"{coach}{flight}")

    return service


def versions(path: Path) -> dict[str, int]:
    return {one["id"].rpartition(".")[2]: one["version"] for one in json.loads(path.read_text())}


def test_each_service_has_a_file(tmp_path: Path, flights: Service) -> None:
    (file,) = write(tmp_path / "templates", [flights])

    assert file.path == tmp_path / "templates" / "flights.json"
    assert versions(file.path) == {"hold_seat": 1, "free_seat": 1, "send_ticket": 1}


def test_writing_again_changes_nothing(tmp_path: Path, flights: Service) -> None:
    (first,) = write(tmp_path, [flights])
    before = first.path.read_bytes(), first.path.stat().st_mtime_ns
    (again,) = write(tmp_path, [flights])

    assert again.changed == ()
    assert (again.path.read_bytes(), again.path.stat().st_mtime_ns) == before


def test_a_changed_signature_is_a_new_version(tmp_path: Path, flights: Service) -> None:
    write(tmp_path, [flights])
    (file,) = write(tmp_path, [changed()])

    assert versions(file.path) == {"hold_seat": 2}


def test_other_peoples_templates_stay(tmp_path: Path, flights: Service) -> None:
    (tmp_path / "mail.json").write_text("[]")
    write(tmp_path, [flights])

    assert (tmp_path / "mail.json").read_text() == "[]"


def test_nothing_is_stale_right_after_writing(tmp_path: Path, flights: Service) -> None:
    write(tmp_path, [flights])

    assert list(stale(tmp_path, [flights])) == []


def test_who_uses_no_templates_hears_of_none(tmp_path: Path, flights: Service) -> None:
    assert list(stale(tmp_path / "nowhere", [flights])) == []


def test_a_template_older_than_the_code_is_an_error(tmp_path: Path, flights: Service) -> None:
    write(tmp_path, [flights])
    found = [(one.severity, one.what) for one in stale(tmp_path, [changed()])]

    assert found == [
        ("error", "the template `sagaworks.flights.hold_seat` isn't what the code says now"),
        *(
            ("error", f"the template `sagaworks.flights.{gone}` is of a step that the code hasn't")
            for gone in ("send_ticket", "free_seat")
        ),
    ]


def test_a_diagram_made_from_an_older_template_is_told(tmp_path: Path, flights: Service) -> None:
    diagram = tmp_path / "saga.bpmn"
    diagram.write_text(DIAGRAM)
    folder = tmp_path / "templates"
    write(folder, [flights])
    assert list(stale(folder, [flights], [diagram])) == []
    write(folder, [changed()])

    (found,) = stale(folder, [changed()], [diagram])

    assert (found.severity, found.element, found.line) == ("warning", "hold_seat", 5)
    assert "version 1" in found.what
    assert "current is 2" in found.what


@pytest.mark.parametrize("content", ["{", "{}", '[{"id": 1}]', '[{"id": "a"}]'])
def test_a_file_that_is_something_else_is_not_overwritten(
    tmp_path: Path, flights: Service, content: str
) -> None:
    (tmp_path / "flights.json").write_text(content)

    with pytest.raises(ConfigurationError, match=r"flights\.json: no .*; move it away"):
        write(tmp_path, [flights])

    assert (tmp_path / "flights.json").read_text() == content
