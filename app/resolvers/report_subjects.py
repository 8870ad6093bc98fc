"""What a report is of, and which parts of it are for its reader.

DESIGN
------
A report is what somebody would see who can see its subject and nothing else: `Subject.viewer`
is that somebody, a `PARTNER` of the one campaign or of the program. Every statement of a report
is asked as that viewer, so it can't show another campaign or an e-mail address by mistake,
whoever opened it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.auth import Permission, Viewer, visible
from app.database import ReadSession
from app.models import Campaign, ConversionSettings, Program, ReportSection, ReportShare, Role
from app.resolvers.breakdowns import Dimension
from app.resolvers.stats import Scope

ALL_SECTIONS: Final = frozenset(ReportSection)


# What clicks are split by, in the order of the page. One without data has no place on it.
DIMENSIONS: Final[Mapping[ReportSection, Sequence[Dimension]]] = {
    ReportSection.CAMPAIGNS: (Dimension.CAMPAIGN,),
    ReportSection.CREATORS: (Dimension.CREATOR,),
    ReportSection.LINKS: (Dimension.CAMPAIGN_LINK,),
    ReportSection.LABELS: (Dimension.LABEL, Dimension.UTM_SOURCE),
    ReportSection.AUDIENCE: (
        Dimension.REFERRER,
        Dimension.IN_APP,
        Dimension.DEVICE,
        Dimension.BROWSER,
        Dimension.OS,
        Dimension.COUNTRY,
    ),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is of, and which of its sections are for the reader."""

    program: Program
    campaign: Campaign | None
    sections: frozenset[ReportSection]
    viewer: Viewer
    tracks_conversions: bool
    # Whether the reader may see each conversion, order ids and all, and not only their sums.
    lists_conversions: bool = False

    @property
    def scope(self) -> Scope:
        return Scope.PROGRAM if self.campaign is None else Scope.CAMPAIGN

    @property
    def key(self) -> int:
        return self.program.id if self.campaign is None else self.campaign.id

    @property
    def name(self) -> str:
        return self.program.name if self.campaign is None else self.campaign.name

    @property
    def shows_conversions(self) -> bool:
        return self.tracks_conversions and ReportSection.CONVERSIONS in self.sections

    def shows(self, section: ReportSection) -> bool:
        if section is ReportSection.CAMPAIGNS and self.campaign is not None:
            return False
        return section in self.sections

    @property
    def dimensions(self) -> list[Dimension]:
        return [each for section, own in DIMENSIONS.items() if self.shows(section) for each in own]


async def subject_of_share(session: ReadSession, share: ReportShare) -> Subject:
    sections = frozenset(map(ReportSection, share.sections))
    program = await session.get_one(Program, share.program_id)
    campaign = None
    if share.campaign_id is not None:
        campaign = await session.get_one(Campaign, share.campaign_id)
    return await _subject(session, program, campaign, sections)


async def subject_of_viewer(
    session: ReadSession,
    viewer: Viewer,
    *,
    program_id: int | None = None,
    campaign_id: int | None = None,
) -> Subject | None:
    """The whole report of what the viewer can see of it, or None where they can't see it."""
    campaign = None
    if campaign_id is not None:
        found = visible(viewer, Campaign).where(Campaign.id == campaign_id)
        campaign = (await session.exec(found)).one_or_none()
        if campaign is None:
            return None
        program_id = campaign.program_id
    program = (
        await session.exec(visible(viewer, Program).where(Program.id == program_id))
    ).one_or_none()
    if program is None:
        return None
    return await _subject(session, program, campaign, ALL_SECTIONS, viewer)


async def _subject(
    session: ReadSession,
    program: Program,
    campaign: Campaign | None,
    sections: frozenset[ReportSection],
    viewer: Viewer | None = None,
) -> Subject:
    settings = await session.get(ConversionSettings, program.id)
    is_tracking = settings is not None and settings.is_on
    campaign_ids = None if viewer is None else viewer.campaign_ids
    if campaign is not None:
        campaign_ids = frozenset({campaign.id})
    return Subject(
        program,
        campaign,
        sections,
        Viewer(Role.PARTNER, program.id, campaign_ids=campaign_ids),
        is_tracking,
        is_tracking and viewer is not None and viewer.may(Permission.READ),
    )
