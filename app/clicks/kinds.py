"""Says what hits are, each by itself: viewers come in crowds, so that many are of one kind."""

from functools import lru_cache

from app.clicks.classifier import (
    DUPLICATE,
    VERSION,
    Hit,
    Judgement,
    Verdict,
    judge,
    referrer_host,
)
from app.clicks.devices import describe
from app.clicks.queries import utm
from app.clicks.records import Record


class Kind:
    """Everything that can be said of a hit alone.

    Compared as objects, which costs nothing. Equal ones are one object most of the time; where
    they are two, their hits are added up apart first, and then together.
    """

    __slots__ = ("columns", "details", "duplicate", "is_suspect", "reason", "verdict")

    def __init__(
        self, verdict: Verdict, reason: str, details: tuple[str, ...], *, is_suspect: bool
    ) -> None:
        self.verdict = verdict
        self.reason = reason
        self.is_suspect = is_suspect
        # referrer_host, country, device, browser, os, in_app, as the last of `Detail` are
        # ordered; utm_source, utm_medium, utm_campaign
        self.details = details
        # The end of its hits' rows.
        self.columns = (int(verdict), reason, VERSION, *details)
        # What a hit of this kind is when it only repeats one.
        self.duplicate = self
        if verdict is Verdict.COUNTED:
            self.duplicate = Kind(Verdict.EXCLUDED, DUPLICATE, details, is_suspect=False)


Judged = tuple[Record, Kind]


def judged(record: Record) -> Judged:
    """A hit, and everything that can be said of it alone."""
    query = record.query
    return record, _kind_of(
        record.user_agent,
        record.referrer,
        query if "utm_" in query else "",  # all else in it may differ for each viewer
        record.country,
        record.fetch_mode,
        record.fetch_dest,
        record.is_head,
        record.is_prefetch,
        record.is_https,
        record.is_archived,
        record.is_excluded_network,
    )


# One look-up for all that is judged, where a crowd comes with the same browser from one post.
@lru_cache(8192)
def _kind_of(
    user_agent: str,
    referrer: str,
    query: str,
    country: str,
    fetch_mode: str | None,
    fetch_dest: str | None,
    is_head: bool,
    is_prefetch: bool,
    is_https: bool,
    is_archived: bool,
    is_excluded_network: bool,
) -> Kind:
    found = judge(
        Hit(
            user_agent=user_agent,
            referrer=referrer,
            is_head=is_head,
            is_prefetch=is_prefetch,
            is_https=is_https,
            is_archived=is_archived,
            is_excluded_network=is_excluded_network,
            fetch_mode=fetch_mode,
            fetch_dest=fetch_dest,
        )
    )
    return _kind(found, (referrer_host(referrer), country, *describe(user_agent), *utm(query)))


# Far fewer than user agents: those of one browser and system say the same.
@lru_cache(8192)
def _kind(found: Judgement, details: tuple[str, ...]) -> Kind:
    return Kind(found.verdict, found.reason, details, is_suspect=found.is_suspect)
