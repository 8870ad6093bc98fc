"""The audit log: who changed what, and when."""

from dataclasses import dataclass

from sqlmodel import col
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Viewer, visible
from app.models import AuditEntry
from app.resolvers import pages
from app.resolvers.filters import among

NEWEST_FIRST = pages.Order("AT", "at", is_descending=True, parse=pages.parse_instant)


@dataclass(frozen=True, slots=True)
class Filter:
    # The prefix of its public id, and its key.
    subject: tuple[str, int] | None = None
    actions: tuple[str, ...] | None = None
    key_ids: tuple[int, ...] | None = None


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[AuditEntry]:
    """The entries that the viewer can see and the filter lets through."""
    rows = visible(viewer, AuditEntry).where(
        *among(AuditEntry.action, only.actions), *among(AuditEntry.key_id, only.key_ids)
    )
    if only.subject is not None:
        type_, key = only.subject
        rows = rows.where(col(AuditEntry.subject_type) == type_, AuditEntry.subject_id == key)
    return rows
