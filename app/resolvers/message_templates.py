"""Message templates, and whether a message's text can be sent in its campaign."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import false
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.auth import Permission, Viewer, visible
from app.database import ReadSession
from app.errors import UserErrorCode, refuse
from app.messages import tags
from app.models import Campaign, CampaignLink, MessageTemplate
from app.resolvers.change import Change
from app.resolvers.filters import by_archived
from app.resolvers.inputs import Form

SUBJECT_MAX = 200
BODY_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Text:
    """A message's subject and body, taken apart."""

    subject: tags.Template
    body: tags.Template

    @classmethod
    def of(cls, subject: str, body: str) -> "Text":
        return cls(tags.parse(subject), tags.parse(body))

    @property
    def parts(self) -> Mapping[str, tags.Template]:
        return {"subject": self.subject, "body": self.body}

    @property
    def link_keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.subject.link_keys + self.body.link_keys))

    @property
    def lists_all_links(self) -> bool:
        return self.body.lists_all_links


async def create(
    change: Change, campaign_id: int | None, values: Mapping[str, Any]
) -> MessageTemplate:
    campaign = await change.get(Campaign, campaign_id, "campaign", "campaign_id")
    checked = await _checked(change, campaign.id, dict(values))
    template = MessageTemplate(
        program_id=campaign.program_id,
        campaign_id=campaign.id,
        created_at=change.now,
        **checked,
    )
    change.session.add(template)
    await change.session.flush()
    await _record(change, "createMessageTemplate", template, checked)
    return template


async def update(change: Change, key: int | None, changes: Mapping[str, Any]) -> MessageTemplate:
    """What was sent stays as it was; the next send has the new text."""
    template = await change.get(MessageTemplate, key, "message template", "id")
    if template.archived_at is not None:
        raise refuse(UserErrorCode.ARCHIVED, "The template is archived: create a new one.", "id")
    checked = await _checked(change, template.campaign_id, dict(changes))
    template.sqlmodel_update(checked)
    await _record(change, "updateMessageTemplate", template, checked)
    return template


async def archive(change: Change, key: int | None) -> MessageTemplate:
    """Put a template away for good: it is not sent any more. Again, it changes nothing."""
    template = await change.get(MessageTemplate, key, "message template", "id")
    if template.archived_at is None:
        template.archived_at = change.now
        await _record(change, "archiveMessageTemplate", template, {})
    return template


async def _record(
    change: Change, action: str, template: MessageTemplate, said: Mapping[str, Any]
) -> None:
    await change.record(action, "mtp", template.program_id, {template.id: said})


async def _checked(change: Change, campaign_id: int, values: dict[str, Any]) -> dict[str, Any]:
    form = Form()
    if "name" in values:
        values["name"] = form.text(values["name"], "name")
    check_form(form, values)
    written = Text.of(values.get("subject", ""), values.get("body", ""))
    links = await campaign_links(change.session, [campaign_id]) if written.link_keys else {}
    check_tags(form, written, links.get(campaign_id, []))
    form.check()
    return values


def check_form(form: Form, values: dict[str, Any], *path: str) -> None:
    """Clean the subject and the body, where they are given."""
    if "subject" in values:
        values["subject"] = form.text(values["subject"], *path, "subject", max_length=SUBJECT_MAX)
    if "body" in values:
        values["body"] = form.lines(values["body"], *path, "body", max_length=BODY_MAX)


def check_tags(form: Form, text: Text, campaign_links: Iterable[CampaignLink], *path: str) -> None:
    """Fault every tag that the campaign has not, or has no more."""
    by_key = {link.tag_key: link for link in campaign_links}
    for name, part in text.parts.items():
        for bad in part.faults:
            is_unknown = bad.reason == "unknown_tag"
            code = UserErrorCode.UNKNOWN_TAG if is_unknown else UserErrorCode.INVALID
            message = f"{bad.message} (Line {bad.line}, column {bad.column}.)"
            form.fault(code, message, *path, name)
        for key in part.link_keys:
            link = by_key.get(key)
            if link is None:
                message = f"The campaign has no link with the tag {tags.token(key)}."
                form.fault(UserErrorCode.UNKNOWN_TAG, message, *path, name)
            elif link.archived_at is not None:
                message = (
                    f"{tags.token(key)} stands for “{link.name}”, which is archived: "
                    "take the tag out, or use another link's."
                )
                form.fault(UserErrorCode.TAG_ARCHIVED, message, *path, name)
    if text.subject.lists_all_links:
        message = "A subject is one line: list the tracking links in the body."
        form.fault(UserErrorCode.INVALID, message, *path, "subject")


def problems(template: MessageTemplate, campaign_links: Iterable[CampaignLink]) -> list[str]:
    """Why a template that was sound when it was saved can't be sent now."""
    form = Form()
    check_tags(form, Text.of(template.subject, template.body), campaign_links)
    return [fault.message for fault in form.faults]


async def campaign_links(
    session: ReadSession, campaign_ids: Iterable[int], *, locked: bool = False
) -> dict[int, list[CampaignLink]]:
    """All links of these campaigns, archived ones too, oldest first: what tags can name.

    Locked, none of them is archived before the transaction ends.
    """
    links = (
        select(CampaignLink)
        .where(col(CampaignLink.campaign_id).in_(campaign_ids))
        .order_by(col(CampaignLink.created_at), col(CampaignLink.id))
    )
    if locked:
        links = links.with_for_update(read=True)
    found: dict[int, list[CampaignLink]] = {}
    for link in (await session.exec(links)).all():
        found.setdefault(link.campaign_id, []).append(link)
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    archived: bool | None = False


def listed(viewer: Viewer, only: Filter) -> SelectOfScalar[MessageTemplate]:
    """The templates that the viewer can see and the filter lets through. A key that reads link
    sets alone sees none."""
    rows = visible(viewer, MessageTemplate).where(*by_archived(MessageTemplate, only.archived))
    return rows if viewer.may(Permission.READ) else rows.where(false())
