"""Whose a conversion is: decided by its claims, the clicks that are known, and nothing else.

DESIGN
------
A conversion claims to be due to clicks, to a coupon or to a link. `judge` makes of its row, the
clicks and the rules of its day who is credited; it has no memory. So it may be asked again
whenever more is known, and the order in which a report and its click arrive changes nothing.

A click is known when the recorder has moved it into the database, usually within a second of
the redirect, and long after it when a database was away. A conversion that claims a click that
is not known yet is looked at again after as long as it has waited: one more look each time its
age has doubled, so that thousands of invented ids cost next to nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import sqlalchemy
from sqlmodel import col, select

from app.database import ReadSession
from app.models import (
    AttributionModel,
    Click,
    Conversion,
    ConversionStatus,
    Precedence,
    TrackingLink,
    Verdict,
)

# The reason of a conversion that our own self-test reports: credited to nobody, shown in no list.
SELF_TEST = "self_test"
# A visitor's second tap of one moment is no click of its own, but it took them to the shop.
DUPLICATE = "duplicate"
CLOCKS_DIFFER = timedelta(seconds=300)
SOONEST = timedelta(seconds=1)
# The journal can't hold a click for longer than this and its machine be said to work.
WAITS_AT_MOST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Followed:
    """A click, as far as it can earn a conversion."""

    id: bytes
    program_id: int
    campaign_id: int
    link_id: int
    at: datetime
    # Whether it was a person's.
    counts: bool
    # Whether it was our own self-test's.
    is_test: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the things that conversions claim."""

    clicks: dict[str, Followed]
    # The campaign of each claimed link.
    campaigns: dict[int, int]


class Claiming(Protocol):
    """A conversion, or a report of one."""

    click_ids: list[str]
    claimed_link_id: int | None


async def facts_of(session: ReadSession, conversions: Iterable[Claiming]) -> Facts:
    click_ids = {bytes.fromhex(id_) for each in conversions for id_ in each.click_ids}
    link_ids = {each.claimed_link_id for each in conversions if each.claimed_link_id is not None}
    clicks: dict[str, Followed] = {}
    campaigns: dict[int, int] = {}
    if click_ids:
        find = (
            sqlalchemy.select(
                col(Click.id),
                col(Click.at_ms),
                col(Click.verdict),
                col(Click.reason),
                col(TrackingLink.program_id),
                col(TrackingLink.campaign_id),
                col(TrackingLink.id),
            )
            .join(TrackingLink, col(Click.link_id) == col(TrackingLink.id))
            .where(col(Click.id).in_(click_ids))
        )
        found = (await (await session.connection()).execute(find)).all()
        for id_, at_ms, verdict, reason, program_id, campaign_id, link_id in found:
            clicks[id_.hex()] = Followed(
                id_,
                program_id,
                campaign_id,
                link_id,
                datetime.fromtimestamp(at_ms / 1000, UTC),
                verdict is Verdict.COUNTED or reason == DUPLICATE,
                verdict is Verdict.TEST,
            )
    if link_ids:
        owners = await session.exec(
            select(TrackingLink.id, TrackingLink.campaign_id).where(
                col(TrackingLink.id).in_(link_ids)
            )
        )
        campaigns = dict(owners.all())
    return Facts(clicks, campaigns)


def judge(conversion: Conversion, facts: Facts, *, now: datetime) -> None:
    """Say in the conversion's row who is credited with it, from when, and when to look again."""
    if conversion.is_credited_by_hand:
        conversion.look_at = None
        return
    click, conversion.reason, conversion.occurred_at = _earning_click(conversion, facts)
    claimed = conversion.claimed_link_id
    coupon_wins = (
        claimed is not None
        and conversion.coupon is not None
        and conversion.precedence is Precedence.COUPON
    )
    if click is not None and click.is_test and not coupon_wins:
        # All was decided as for a person; only the credit is withheld.
        _credit_nobody(conversion, click.id)
        conversion.reason = SELF_TEST
    elif click is not None and not coupon_wins:
        _credit(conversion, click.link_id, click.campaign_id, click.id)
    elif claimed is not None:
        _credit(conversion, claimed, facts.campaigns[claimed], None)
    else:
        _credit_nobody(conversion, None)
    is_waiting = not coupon_wins and any(id_ not in facts.clicks for id_ in conversion.click_ids)
    waited = max(now - conversion.created_at, SOONEST)
    conversion.look_at = now + waited if is_waiting and waited < WAITS_AT_MOST else None


def _earning_click(conversion: Conversion, facts: Facts) -> tuple[Followed | None, str, datetime]:
    """The click that earned it, or why none did; and when it happened, as far as we believe it."""
    arrived, stated = conversion.created_at, conversion.stated_at
    at = arrived if stated is None or stated > arrived + CLOCKS_DIFFER else stated
    found = [facts.clicks[id_] for id_ in conversion.click_ids if id_ in facts.clicks]
    # Another program's click is as good as none: not even its existence may show.
    own = [click for click in found if click.program_id == conversion.program_id]
    counted = [c for c in own if c.counts] or [c for c in own if c.is_test]
    if not counted:
        reason = (
            "filtered_click" if own else "unknown_click" if conversion.click_ids else "no_click"
        )
        return None, reason, at
    before = [click for click in counted if click.at <= at]
    if not before:  # the shop's clock is wrong: nobody buys before they come
        at, before = arrived, counted
    window = timedelta(days=conversion.window_days)
    in_window = [click for click in before if at - click.at <= window]
    if not in_window:
        return None, "out_of_window", at
    choose = min if conversion.model is AttributionModel.FIRST_CLICK else max
    return choose(in_window, key=lambda click: (click.at, click.id)), "", at


def _credit_nobody(conversion: Conversion, click_id: bytes | None) -> None:
    is_late = conversion.reason == "out_of_window"
    conversion.status = ConversionStatus.OUT_OF_WINDOW if is_late else ConversionStatus.UNATTRIBUTED
    conversion.tracking_link_id = conversion.campaign_id = None
    conversion.click_id = click_id


def _credit(conversion: Conversion, link_id: int, campaign_id: int, click_id: bytes | None) -> None:
    conversion.status = ConversionStatus.ATTRIBUTED
    conversion.reason = ""
    conversion.tracking_link_id = link_id
    conversion.campaign_id = campaign_id
    conversion.click_id = click_id
