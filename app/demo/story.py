"""What happened in the demo program, told through the resolvers as if it happened now.

An agenda of acts, each so many days ago, carried out in the order of time: a link that is
added later therefore meets the creators where they stood on that day.
"""

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.demo.people import PEOPLE, PROGRAM, SITE, TIME_ZONE
from app.models import Program, Stage
from app.resolvers import campaign_links, campaigns, creators, enrollments, programs, tracking_links
from app.resolvers.change import Change

FIRST_DAY = 101
Act = Callable[[Change], Awaitable[None]]
Move = Callable[[Change, Sequence[int]], Awaitable[Any]]

UTM = {
    "utm_source": "{creator.handle}",
    "utm_medium": "creator",
    "utm_campaign": "{campaign.slug}",
}
SHORT_WORKFLOW = [
    Stage.CANDIDATE,
    Stage.INVITED,
    Stage.APPLIED,
    Stage.DELIVERABLES,
    Stage.CONTENT_CREATION,
    Stage.POST_REVIEW,
    Stage.POST_PAYMENT,
    Stage.COMPLETE,
    Stage.DROPPED,
]


@dataclass(frozen=True, slots=True)
class Wave:
    """Creators who are enrolled on one day and walk at one pace, each to a stage of their own."""

    days_ago: int
    pace_days: int
    first: int  # their place among the people
    reached: Sequence[tuple[Stage, int]]  # how many come to rest at which stage
    dropped: int = 0  # of these, how many of the last ones are dropped in the end

    @property
    def stages(self) -> list[Stage]:
        return [stage for stage, number in self.reached for _ in range(number)]


TRAIL_WAVES = (
    Wave(91, 4, 0, [(Stage.COMPLETE, 8), (Stage.POST_PAYMENT, 1), (Stage.CONTENT_CREATION, 1)], 1),
    Wave(72, 4, 10, [(Stage.COMPLETE, 5), (Stage.POST_PAYMENT, 2), (Stage.POST_REVIEW, 1)]),
    Wave(52, 4, 18, [(Stage.POST_REVIEW, 3), (Stage.CONTENT_CREATION, 3), (Stage.APPLIED, 1)], 1),
    Wave(
        30,
        3,
        25,
        [
            (Stage.DRAFT_REVIEW, 2),
            (Stage.DRAFT, 2),
            (Stage.PRE_PAYMENT, 1),
            (Stage.CONFIRMATION, 1),
            (Stage.DELIVERABLES, 1),
        ],
    ),
    Wave(9, 2, 32, [(Stage.APPLIED, 3), (Stage.INVITED, 2), (Stage.CANDIDATE, 1)]),
)
HUT_WAVES = (
    Wave(99, 3, 26, [(Stage.COMPLETE, 12), (Stage.DELIVERABLES, 2)], 2),
    Wave(75, 5, 40, [(Stage.COMPLETE, 8), (Stage.POST_PAYMENT, 2)]),
)
CITY_WAVES = (Wave(12, 3, 42, [(Stage.CANDIDATE, 8), (Stage.INVITED, 6), (Stage.APPLIED, 4)]),)
# By their place among the people: who compares three platforms with three links.
COMPARING = (1, 4, 7, 10, 13, 16)
PLATFORMS = ("TikTok", "Instagram", "YouTube")


async def tell(
    change: Change, rng: random.Random, progress: Callable[[str, int, int], None]
) -> Program:
    """Make the program and all that happened in it but the clicks."""
    began = change.now - timedelta(days=FIRST_DAY + 1)
    program = await programs.create(
        replace(change, now=began), name=PROGRAM, time_zone=TIME_ZONE, unique_window_minutes=30
    )
    told = _Story(program, change.now, rng)
    told.trail_season()
    told.hut_to_hut()
    told.city_commute()
    agenda = sorted(told.agenda, key=lambda entry: entry[0])
    for place, (at, act) in enumerate(agenda, start=1):
        await act(replace(change, now=at))
        progress("Creators and links", place, len(agenda))
    return program


@dataclass
class _Story:
    """Puts acts on the agenda. What one act makes and a later one needs, it finds by name."""

    program: Program
    now: datetime
    rng: random.Random
    agenda: list[tuple[datetime, Act]] = field(default_factory=list)
    made: dict[Any, int] = field(default_factory=dict)  # keys, by what they are called here

    def trail_season(self) -> None:
        trail = "Trail Season"
        self._campaign(trail, Stage, created=95, launched=93, runs=(93, -28))
        self._campaign_link(trail, 94, "Trail shoes", "/trail-shoes")
        self._campaign_link(trail, 94, "Try-on week", "/try-on-week")
        self._campaign_link(trail, 38, "Rain jackets", "/rain-jackets")
        for wave in TRAIL_WAVES:
            self._walk(trail, wave, list(Stage))
        for creator in COMPARING:
            days_ago = 56 if creator < TRAIL_WAVES[1].first else 39
            for platform in PLATFORMS:
                url = f"{SITE}/trail-shoes?utm_medium={platform.lower()}&utm_campaign=trail-season"
                self._link(trail, creator, days_ago, url, platform)
        self._link(trail, 0, 54, f"{SITE}/trail-shoes/sizes", "Newsletter")
        self._link(trail, 2, 54, f"{SITE}/shop", "Instagram", "Bio link")

        async def lead_elsewhere(change: Change) -> None:
            to = {"destination_url": f"{SITE}/trail-shoes/new"}
            await campaign_links.update(change, self.made["Trail shoes"], to)

        async def archive_campaign_link(change: Change) -> None:
            await campaign_links.archive(change, self.made["Try-on week"])

        async def replace_link(change: Change) -> None:
            await tracking_links.replace(change, self.made[COMPARING[0], "TikTok"], {})

        async def archive_link(change: Change) -> None:
            await tracking_links.archive(change, self.made[COMPARING[2], "YouTube"])

        self._on(50, lead_elsewhere)
        self._on(41, archive_campaign_link)
        self._on(33, replace_link)
        self._on(20, archive_link)

    def hut_to_hut(self) -> None:
        hut = "Hut to Hut"
        self._campaign(hut, SHORT_WORKFLOW, created=101, launched=100, runs=(100, 10))
        self._campaign_link(hut, 100, "Hut guide", "/hut-guide")
        self._campaign_link(hut, 100, "Sleeping bags", "/sleeping-bags")
        for wave in HUT_WAVES:
            self._walk(hut, wave, SHORT_WORKFLOW)
        self._link(hut, 27, 80, f"{SITE}/hut-guide?utm_medium=podcast", "Podcast")

        async def pause(change: Change) -> None:
            await campaigns.act(change, self.made[hut], campaigns.PAUSE)

        self._on(9, pause)

    def city_commute(self) -> None:
        city = "City Commute"
        self._campaign(city, Stage, created=14, runs=(-21, -80))
        self._campaign_link(city, 13, "Commuter pack", "/commuter-pack")
        for wave in CITY_WAVES:
            self._walk(city, wave, list(Stage))

    def _on(self, days_ago: int, act: Act) -> None:
        """Carry it out on that day, in working hours."""
        zone = ZoneInfo(TIME_ZONE)
        day = self.now.astimezone(zone).date() - timedelta(days=days_ago)
        minute = self.rng.randrange(9 * 60, 17 * 60)
        at = datetime.combine(day, time(minute // 60, minute % 60), zone).astimezone(UTC)
        self.agenda.append((at, act))

    def _campaign(
        self,
        name: str,
        stages: Iterable[Stage],
        *,
        created: int,
        runs: tuple[int, int],
        launched: int | None = None,
    ) -> None:
        async def create(change: Change) -> None:
            starts_on, ends_on = (self.now.date() - timedelta(days=each) for each in runs)
            values = {"name": name, "stages": stages, "starts_on": starts_on, "ends_on": ends_on}
            self.made[name] = (await campaigns.create(change, self.program.id, values)).id

        async def launch(change: Change) -> None:
            await campaigns.act(change, self.made[name], campaigns.LAUNCH)

        self._on(created, create)
        if launched is not None:
            self._on(launched, launch)

    def _campaign_link(self, campaign: str, days_ago: int, name: str, path: str) -> None:
        async def create(change: Change) -> None:
            campaign_link, _ = await campaign_links.create(
                change,
                self.made[campaign],
                name=name,
                destination_url=SITE + path,
                utm=UTM,
                generate_for_enrolled=True,
            )
            self.made[name] = campaign_link.id

        self._on(days_ago, create)

    def _walk(self, campaign: str, wave: Wave, workflow: Sequence[Stage]) -> None:
        stages = wave.stages
        places = range(wave.first, wave.first + len(stages))

        async def invite(change: Change) -> None:
            for place in places:
                if place not in self.made:
                    self.made[place] = await self._creator(change, place)

        async def enroll(change: Change) -> None:
            creator_ids = [self.made[place] for place in places]
            results = await enrollments.enroll(change, self.made[campaign], creator_ids)
            for place, result in zip(places, results, strict=True):
                assert result.enrollment is not None  # noqa: S101 - the demo's own creators
                self.made[campaign, place] = result.enrollment.id

        self._on(wave.days_ago + 1, invite)
        self._on(wave.days_ago, enroll)
        days_ago = wave.days_ago
        for stage in workflow[:-2]:  # there is nothing to walk to from the last two
            days_ago -= wave.pace_days
            walking = [place for place, to in zip(places, stages, strict=True) if stage < to]
            if walking:
                self._move(campaign, days_ago, walking, enrollments.promote)
        if wave.dropped:
            self._move(campaign, days_ago - 1, places[-wave.dropped :], enrollments.drop)

    def _move(self, campaign: str, days_ago: int, places: Sequence[int], how: Move) -> None:
        async def move(change: Change) -> None:
            await how(change, [self.made[campaign, place] for place in places])

        self._on(days_ago, move)

    async def _creator(self, change: Change, place: int) -> int:
        person = PEOPLE[place]
        values = {
            "handle": person.handle,
            "display_name": f"{person.first_name} {person.last_name}",
            "first_name": person.first_name,
            "last_name": person.last_name,
            "email": person.email,
            "external_id": person.external_id,
        }
        return (await creators.create(change, self.program.id, values)).id

    def _link(self, campaign: str, creator: int, days_ago: int, url: str, *labels: str) -> None:
        async def create(change: Change) -> None:
            link = await tracking_links.create(
                change, self.made[campaign, creator], destination_url=url, labels=labels
            )
            self.made[creator, labels[0]] = link.id

        self._on(days_ago, create)
