"""GET /metrics: what a monitor needs to see before clicks are lost, in Prometheus' text format.

DESIGN
------
The click path counts in plain integers of its own, and a collector reads them when somebody
asks: a redirect pays for an addition and for nothing else. Each process tells of itself, and
``process`` says which one answered; what lies on the disk is the machine's.
"""

import os
import time
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.clicks.recorder import caught_up_at
from app.redirect import Redirect
from app.settings import Settings


class Metrics(Collector):
    def __init__(self, settings: Settings, redirect: Redirect) -> None:
        self._settings = settings
        self._redirect = redirect
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def route(self) -> Route:
        return Route("/metrics", self.answer)

    async def answer(self, request: Request) -> Response:
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    def collect(self) -> Iterator[Metric]:
        redirect, journal = self._redirect, self._redirect.journal
        pid = str(os.getpid())
        answers = CounterMetricFamily(
            "tracklinks_redirects", "Answers for short links.", labels=["process", "status"]
        )
        for status, count in redirect.answered.items():
            answers.add_metric([pid, str(status)], count)
        yield answers
        for name, text, count in (
            ("tracklinks_unknown_codes", "Requests for codes that are no link.", redirect.misses),
            ("tracklinks_clicks_journaled", "Hits written to the journal.", journal.appended),
            ("tracklinks_clicks_lost", "Hits answered and not recorded.", journal.lost),
        ):
            counter = CounterMetricFamily(name, text, labels=["process"])
            counter.add_metric([pid], count)
            yield counter
        yield GaugeMetricFamily(
            "tracklinks_journal_bytes", "Disk that the journal takes.", value=journal.disk_bytes
        )
        yield GaugeMetricFamily(
            "tracklinks_journal_max_bytes",
            "Disk that the journal may take before clicks are lost.",
            value=journal.max_bytes,
        )
        at_s = caught_up_at(self._settings.data_dir)
        if at_s is not None:
            yield GaugeMetricFamily(
                "tracklinks_recorder_lag_seconds",
                "How long ago everything in the journal was last recorded.",
                value=max(time.time() - at_s, 0),
            )
