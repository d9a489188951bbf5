"""Certificates for a server on 127.0.0.1, and those of an authority that hasn't signed them."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    """Files that the server's account can read.

    Attributes:
        trusted: of the authority that has signed the server's certificate: itself.
        foreign: of one that hasn't.
    """

    certificate: Path
    key: Path
    foreign: Path

    @property
    def trusted(self) -> Path:
        return self.certificate


def certificates(folder: Path, account: str) -> Certificates:
    """Make them, or skip the test where there is no openssl."""
    if not shutil.which("openssl"):
        pytest.skip("not run: openssl isn't installed")
    folder.chmod(0o755)
    own, foreign = (folder / name for name in ("server", "foreign"))
    for name in (own, foreign):
        sign(name)
    made = Certificates(
        own.with_suffix(".pem"), own.with_suffix(".key"), foreign.with_suffix(".pem")
    )
    give(made.key, account)
    return made


def sign(name: Path) -> None:
    files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
    subject = ["-subj", f"/CN={name.name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", *kind, *files, *subject], check=True, capture_output=True)


def give(file: Path, account: str) -> None:
    """Let nobody but the server's account read a file, or its folder."""
    file.chmod(0o700 if file.is_dir() else 0o600)
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam(account)
        except KeyError:
            return
        os.chown(file, owner.pw_uid, owner.pw_gid)
