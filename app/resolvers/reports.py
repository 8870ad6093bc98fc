"""A report, as its page shows it: one subject, one period, everything counted.

Figures come from the same functions as the graph's, in a number of statements that does not grow
with what is counted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import col, func, select

from app.auth import visible
from app.database import ReadSession
from app.errors import Refused
from app.models import Campaign, CampaignLink, Creator, ReportSection, TrackingLink
from app.resolvers import earnings, stats, tracking_links
from app.resolvers.breakdowns import OBJECTS, Breakdown, Dimension, Split, breakdowns
from app.resolvers.earnings import Earned
from app.resolvers.mail_merge import name_of
from app.resolvers.report_subjects import Subject
from app.resolvers.stats import Counts, Granularity, Period, Restated, Scope, Step

LINKS_SHOWN: Final = 25
PARTS_SHOWN: Final = 10
# Longer than this, and a line of days is a thicket.
DAYS_AS_DAYS: Final = 92
DAYS_AS_WEEKS: Final = 731


@dataclass(frozen=True, slots=True)
class Totals:
    counts: Counts
    # None where the program tracks no conversions, or they are not for the reader.
    earned: Earned | None

    @property
    def conversion_rate(self) -> float | None:
        if self.earned is None or not self.counts.unique_clicks:
            return None
        return self.earned.conversions / self.counts.unique_clicks


@dataclass(frozen=True, slots=True)
class Link:
    """A tracking link and what it counted."""

    row: TrackingLink
    name: str
    creator: Creator
    campaign: Campaign
    totals: Totals


@dataclass(frozen=True, slots=True)
class NamedPart:
    """One part of a breakdown; no name where there is no value."""

    name: str | None
    clicks: int
    unique_clicks: int


@dataclass(frozen=True, slots=True)
class Parts:
    by: Dimension
    rows: Sequence[NamedPart]
    other: NamedPart


@dataclass(frozen=True, slots=True)
class Report:
    subject: Subject
    period: Period
    granularity: Granularity
    totals: Totals
    excluded: Mapping[str, int]
    restated: Sequence[Restated]
    # Of the period before; None where it is not compared.
    before: Totals | None
    steps: Sequence[Step] = ()
    steps_before: Sequence[Step] = ()
    splits: Sequence[Parts] = ()
    # What is counted by days of the program's own zone, and was asked for in another.
    uncounted: Sequence[Dimension] = ()
    links: Sequence[Link] = ()
    links_in_all: int = 0

    @property
    def is_empty(self) -> bool:
        counts = self.totals.counts
        return not (counts.clicks or counts.excluded_hits or counts.hits_after_archive)


def granularity_of(period: Period) -> Granularity:
    """The steps in which this many days are read best."""
    if period.first is None:
        return Granularity.MONTH
    days = (period.last - period.first).days + 1
    if days <= 2:  # noqa: PLR2004 - a day and the next
        return Granularity.HOUR
    if days <= DAYS_AS_DAYS:
        return Granularity.DAY
    return Granularity.WEEK if days <= DAYS_AS_WEEKS else Granularity.MONTH


async def load(
    session: ReadSession,
    subject: Subject,
    period: Period,
    *,
    granularity: Granularity | None = None,
    compare: bool,
) -> Report:
    """Everything that the subject's reader may see of the period."""
    granularity = granularity or granularity_of(period)
    previous = period.previous if compare else None
    excluded: Mapping[str, int] = {}
    if subject.shows(ReportSection.TOTALS):
        found = await stats.excluded(session, subject.viewer, subject.scope, [subject.key], period)
        excluded = found.get(subject.key, {})
    restated = await stats.restated(session, subject.viewer, subject.scope, [subject.key], period)
    steps: Sequence[Step] = ()
    steps_before: Sequence[Step] = ()
    if subject.shows(ReportSection.TIME_SERIES):
        steps = await series(session, subject, period, granularity)
        if previous is not None:
            steps_before = await series(session, subject, previous, granularity)
    splits, uncounted = await _splits(session, subject, period)
    links: Sequence[Link] = ()
    links_in_all = 0
    if subject.shows(ReportSection.LINKS):
        links = await _links(session, subject, period)
        counted = select(func.count()).select_from(visible(subject.viewer, TrackingLink).subquery())
        links_in_all = (await session.exec(counted)).one()
    return Report(
        subject=subject,
        period=period,
        granularity=granularity,
        totals=await totals(session, subject, period),
        excluded=excluded,
        restated=restated.get(subject.key, ()),
        before=None if previous is None else await totals(session, subject, previous),
        steps=steps,
        steps_before=steps_before,
        splits=splits,
        uncounted=uncounted,
        links=links,
        links_in_all=links_in_all,
    )


async def _splits(
    session: ReadSession, subject: Subject, period: Period
) -> tuple[list[Parts], list[Dimension]]:
    splits, uncounted = [], []
    for by in subject.dimensions:
        try:
            parts = await split(session, subject, period, Split(by, PARTS_SHOWN))
        except Refused:
            uncounted.append(by)
            continue
        # One part without a name says no more than the total does.
        if any(part.name is not None for part in parts.rows):
            splits.append(parts)
    return splits, uncounted


async def totals(session: ReadSession, subject: Subject, period: Period) -> Totals:
    (found,) = (await totals_of(session, subject, subject.scope, [subject.key], period)).values()
    return found


async def totals_of(
    session: ReadSession, subject: Subject, scope: Scope, keys: Collection[int], period: Period
) -> dict[int, Totals]:
    """The totals of each of these, also of one without any hits."""
    keys = list(keys)
    counts = await stats.totals(session, subject.viewer, scope, keys, period)
    earned: Mapping[int, Earned] = {}
    if subject.shows_conversions:
        earned = await earnings.totals(session, subject.viewer, scope, keys, period)
    return {
        key: Totals(
            counts.get(key, stats.NOTHING),
            earned.get(key, Earned()) if subject.shows_conversions else None,
        )
        for key in keys
    }


async def series(
    session: ReadSession, subject: Subject, period: Period, granularity: Granularity
) -> Sequence[Step]:
    found = await stats.series(
        session, subject.viewer, subject.scope, [subject.key], period, granularity
    )
    return found.get(subject.key, ())


async def split(session: ReadSession, subject: Subject, period: Period, how: Split) -> Parts:
    """The clicks by one dimension, its objects by their names."""
    found = await breakdowns(session, subject.viewer, subject.scope, [subject.key], period, how)
    breakdown = found.get(subject.key, Breakdown())
    keys = [part.value for part in breakdown.parts if isinstance(part.value, int)]
    names = await _names(session, subject, how.by, keys) if how.by in OBJECTS else {}
    return Parts(
        how.by,
        [
            NamedPart(
                names.get(part.value) if isinstance(part.value, int) else part.value,
                part.clicks,
                part.unique_clicks,
            )
            for part in breakdown.parts
        ],
        NamedPart(None, breakdown.other.clicks, breakdown.other.unique_clicks),
    )


async def _names(
    session: ReadSession, subject: Subject, by: Dimension, keys: Sequence[int]
) -> dict[int, str]:
    model: Any
    model, name = {
        Dimension.CAMPAIGN: (Campaign, Campaign.name),
        Dimension.CREATOR: (Creator, Creator.display_name),
        Dimension.CAMPAIGN_LINK: (CampaignLink, CampaignLink.name),
        Dimension.TRACKING_LINK: (TrackingLink, TrackingLink.code),
    }[by]
    found = select(model.id, name).where(col(model.id).in_(keys))
    return dict((await session.exec(found)).all())


async def _links(session: ReadSession, subject: Subject, period: Period) -> list[Link]:
    """The links with the most clicks, most first."""
    one = Scope.TRACKING_LINK
    found = await breakdowns(
        session,
        subject.viewer,
        subject.scope,
        [subject.key],
        period,
        Split(Dimension.TRACKING_LINK, LINKS_SHOWN),
    )
    parts = found.get(subject.key, Breakdown()).parts
    keys = [part.value for part in parts if isinstance(part.value, int)]
    rows = (
        await session.exec(
            select(TrackingLink, Creator, Campaign, CampaignLink)
            .join(Creator, col(TrackingLink.creator_id) == col(Creator.id))
            .join(Campaign, col(TrackingLink.campaign_id) == col(Campaign.id))
            .join(
                CampaignLink,
                col(TrackingLink.campaign_link_id) == col(CampaignLink.id),
                isouter=True,
            )
            .where(col(TrackingLink.id).in_(keys))
        )
    ).all()
    labels: Mapping[int, Sequence[str]] = {}
    if subject.shows(ReportSection.LABELS):
        labels = await tracking_links.labels(session, keys)
    counted = await totals_of(session, subject, one, keys, period)
    by_key = {
        row.id: Link(
            row,
            name_of(row, labels.get(row.id, ()))
            if row.campaign_link_id is None
            else campaign_link.name,
            creator,
            campaign,
            counted[row.id],
        )
        for row, creator, campaign, campaign_link in rows
    }
    return [by_key[key] for key in keys]
