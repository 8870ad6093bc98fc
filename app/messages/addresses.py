"""The public addresses that messages and pages hold: short links, creators' pages, shared reports.

DESIGN
------
The address of a Campaign Manager page is all that it takes to open it, so it names the creator
and is signed: nobody can make one, or turn theirs into another's. It holds a version that the
creator's row counts up, so that all addresses that are out can be revoked at once. It does not
expire by itself: it stands in messages that creators keep.

The address of a shared report is signed in the same way, under a name of its own, so that
neither can be taken for the other. The share's row knows whether it is revoked or has expired;
the address can be shown again to who may share, and whoever reads the database can't make it.
"""

import os
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from itsdangerous import BadSignature, Signer

from app.ids import decode, encode
from app.settings import Settings

SECRET_BYTES = 32
_PREFIX = "crt"
# Whatever the base URL was when it was written.
_TOKEN = re.compile(r"/manager/[0-9A-Za-z]+-[0-9]+\.[0-9A-Za-z_-]+")
_SHARE_PREFIX = "shr"


@dataclass(frozen=True, slots=True)
class ManagerToken:
    creator_id: int
    version: int


class Addresses:
    """Of one installation."""

    def __init__(self, base_url: str, secret: str) -> None:
        self.base_url = base_url
        self._signer = _signer(secret, "campaign-manager")
        self._report_signer = _signer(secret, "report-share")

    def link(self, code: str) -> str:
        return f"{self.base_url}/{code}"

    def manager(self, creator_id: int, version: int) -> str:
        """The creator's Campaign Manager page."""
        value = f"{encode(_PREFIX, creator_id).removeprefix(f'{_PREFIX}_')}-{version}"
        return f"{self.base_url}/manager/{self._signer.sign(value).decode()}"

    def read(self, token: str) -> ManagerToken | None:
        """Whose page a token opens; None for one that was not signed here.

        Whether it was revoked, only the creator's row knows.
        """
        try:
            letters, _, version = self._signer.unsign(token).decode().partition("-")
        except (BadSignature, UnicodeError):
            return None
        creator_id = decode(_PREFIX, f"{_PREFIX}_{letters}")
        return None if creator_id is None else ManagerToken(creator_id, int(version))

    def report(self, share_id: int) -> str:
        """The page of a shared report."""
        letters = encode(_SHARE_PREFIX, share_id).removeprefix(f"{_SHARE_PREFIX}_")
        return f"{self.base_url}/reports/{self._report_signer.sign(letters).decode()}"

    def read_report(self, token: str) -> int | None:
        """Which share a token opens; None for one that was not signed here."""
        try:
            letters = self._report_signer.unsign(token).decode()
        except (BadSignature, UnicodeError):
            return None
        return decode(_SHARE_PREFIX, f"{_SHARE_PREFIX}_{letters}")


def _signer(secret: str, salt: str) -> Signer:
    return Signer(secret, salt=salt, sep=".", digest_method=sha256, key_derivation="hmac")


def without_tokens(text: str) -> str:
    """The text for a reader who may not open the pages that it leads to."""
    return _TOKEN.sub("/manager/…", text)


def open_addresses(settings: Settings) -> Addresses:
    """The installation's, with the secret of the settings or of the data folder."""
    if settings.signing_secret is not None:
        return Addresses(settings.base_url, settings.signing_secret.get_secret_value())
    return Addresses(settings.base_url, _kept_secret(settings.data_dir / "signing-secret"))


def _kept_secret(path: Path) -> str:
    """The secret in this file, made when it is first needed, by whichever process comes first."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # unless another process has put its own there
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
