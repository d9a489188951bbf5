"""A `.bpmn` file, read as if a stranger had sent it."""

from pathlib import Path
from typing import Final

from lxml.etree import XMLParser, XMLSyntaxError, fromstring
from lxml.etree import _Element as Node

from sagaworks.errors import ContractError

BPMN: Final = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
DTD: Final = b"<!DOCTYPE"

LARGEST: Final = 5_000_000
"""Bytes. The engine's own limit for a deployment is 4 MB; nobody draws more."""


def read_xml(path: Path, content: bytes | None = None) -> Node:
    """Return the root of a BPMN file; reads no other file and no network, whatever it says.

    Args:
        path: the file; with `content`, only its name in messages.
        content: the file's, where it comes from elsewhere.

    Raises:
        ContractError: naming file, line and what is wrong.
    """
    if content is None:
        content = _read(path)
    parser = XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = fromstring(content, parser)
    except XMLSyntaxError as error:
        if DTD in content:
            raise _has_dtd(content, path) from None
        message = error.msg.partition(", ")[0]
        raise ContractError(f"{shown(path)}:{error.lineno or 1}: not XML: {message}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _has_dtd(content, path)
    if root.tag != f"{BPMN}definitions":
        raise ContractError(f"{shown(path)}:{root.sourceline}: not a BPMN 2.0 diagram")
    return root


def shown(path: Path) -> str:
    """Return the path as a person at this folder would type it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ContractError(f"{shown(path)}: can't be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise ContractError(f"{shown(path)}: larger than {LARGEST // 1_000_000} MB")
    return content


def _has_dtd(content: bytes, path: Path) -> ContractError:
    line = content.partition(DTD)[0].count(b"\n") + 1
    return ContractError(f"{shown(path)}:{line}: has a DTD; a diagram needs none, remove it")
