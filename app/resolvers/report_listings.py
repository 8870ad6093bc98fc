"""Which rows and columns the tables of a report list: campaigns, creators, links."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import select

from app.models import Campaign, CampaignLink, Creator, ReportSection, TrackingLink
from app.resolvers.report_subjects import Subject
from app.resolvers.stats import Scope

# Of the columns that are IDs.
PREFIXES: Final = {
    "campaign_id": "cmp",
    "creator_id": "crt",
    "campaign_link_id": "cml",
    "tracking_link_id": "lnk",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of a model with their figures, a column of the database for each of the table."""

    section: ReportSection
    scope: Scope
    model: Any
    columns: Mapping[str, Any]


def _campaigns(subject: Subject) -> Listing:
    columns = {
        "campaign_id": Campaign.id,
        "campaign": Campaign.name,
        "status": Campaign.status,
    }
    return Listing(ReportSection.CAMPAIGNS, Scope.CAMPAIGN, Campaign, columns)


def _creators(subject: Subject) -> Listing:
    columns = {
        "creator_id": Creator.id,
        "creator": Creator.display_name,
        "creator_handle": Creator.handle,
    }
    return Listing(ReportSection.CREATORS, Scope.CREATOR, Creator, columns)


def _campaign_links(subject: Subject) -> Listing:
    columns = {
        "campaign_link_id": CampaignLink.id,
        "campaign_link": CampaignLink.name,
        "destination_url": CampaignLink.destination_url,
        "created_at": CampaignLink.created_at,
        "archived_at": CampaignLink.archived_at,
    }
    return Listing(ReportSection.LINKS, Scope.CAMPAIGN_LINK, CampaignLink, columns)


def _links(subject: Subject) -> Listing:
    columns: dict[str, Any] = {
        "tracking_link_id": TrackingLink.id,
        "short_url": TrackingLink.code,
        "campaign_link": _name_of(CampaignLink, TrackingLink.campaign_link_id),
    }
    if subject.shows(ReportSection.CAMPAIGNS):
        columns["campaign"] = _name_of(Campaign, TrackingLink.campaign_id)
    if subject.shows(ReportSection.LABELS):
        columns["labels"] = TrackingLink.id
    if subject.shows(ReportSection.CREATORS):
        for name, column in (("creator", "display_name"), ("creator_handle", "handle")):
            columns[name] = _name_of(Creator, TrackingLink.creator_id, column)
        # Its UTM may hold the creator's handle.
        columns["destination_url"] = TrackingLink.destination_url
    columns |= {"created_at": TrackingLink.created_at, "archived_at": TrackingLink.archived_at}
    return Listing(ReportSection.LINKS, Scope.TRACKING_LINK, TrackingLink, columns)


def _name_of(model: Any, key: Any, column: str = "name") -> Any:
    return select(getattr(model, column)).where(model.id == key).scalar_subquery()


LISTINGS: Final[Mapping[str, Callable[[Subject], Listing]]] = {
    "campaigns": _campaigns,
    "creators": _creators,
    "campaign-links": _campaign_links,
    "links": _links,
}
