"""An installation for tests of the click path: a database with links, and a redirect over it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import uvicorn
from pydantic import SecretStr
from sqlalchemy import func, text
from sqlmodel import select
from starlette.applications import Starlette
from starlette.routing import Mount, Router

from app.change_table import ChangeTable
from app.clicks.recorder import Recorder, open_store
from app.database import Database
from app.http_protocol import LimitedHttpProtocol
from app.models import Campaign, Creator, Enrollment, Program, Stage, TrackingLink
from app.redirect import Redirect
from app.resolvers.recount import verify
from app.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DESTINATION = "https://brand.example/summer-sale?utm_source=creator#top"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
# What reads HTTP: our own protocol, or one that uvicorn knows by name.
HttpProtocol = type[LimitedHttpProtocol] | Literal["h11"]
RESERVED = ("graphql", "manager", "reports")


def application(redirect: Redirect, *, at_once: bool = True) -> Router:
    """As the server puts it together: the redirect first, all else behind it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Router) -> AsyncIterator[dict[str, Any]]:
        yield redirect.state if at_once else {}

    routes = [redirect.route(), Mount("/", app=Starlette())]
    return Router(routes, redirect_slashes=False, lifespan=lifespan)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def location(self) -> str | None:
        return self.headers.get("location")


@dataclass
class Site:
    url: str
    data_dir: Path
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        url = None if self.url.startswith("sqlite") else SecretStr(self.url)
        return Settings(data_dir=self.data_dir, database_url=url, **self.options)

    def environment(self) -> dict[str, str]:
        found = {"TRACKLINKS_DATA_DIR": str(self.data_dir)}
        if not self.url.startswith("sqlite"):
            found["TRACKLINKS_DATABASE_URL"] = self.url
        return found

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        table = ChangeTable(self.data_dir / "links.changes")
        database = Database(self.url, listeners=[table])
        try:
            yield database
        finally:
            await database.close()
            table.close()

    async def add_links(
        self, *codes: str, program: int = 1, destination: str = DESTINATION, window: int = 30
    ) -> None:
        """Links of one creator of a program; their ids follow each other from ``program`` 000."""
        async with self.database() as database, database.writing() as session:
            owner: dict[str, Any] = {"program_id": program, "created_at": NOW}
            if await session.get(Program, program) is None:
                rows = [
                    Program(id=program, name="Acme", unique_window_minutes=window, created_at=NOW),
                    Campaign(id=program, **owner, name="Spring", slug="spring"),
                    Creator(id=program, **owner, handle="ada", display_name="Ada"),
                    Enrollment(
                        id=program,
                        **owner,
                        campaign_id=program,
                        creator_id=program,
                        stage=Stage.COMPLETE,
                        stage_changed_at=NOW,
                    ),
                ]
                for row in rows:
                    session.add(row)
                    await session.flush()
            count = (await session.exec(select(func.count()).select_from(TrackingLink))).one()
            session.add_all(
                TrackingLink(
                    id=1000 + count + number,
                    **owner,
                    campaign_id=program,
                    creator_id=program,
                    enrollment_id=program,
                    code=code,
                    destination_url=destination,
                )
                for number, code in enumerate(codes)
            )

    async def archive(self, code: str) -> None:
        async with self.database() as database, database.writing() as session:
            link = (await session.exec(select(TrackingLink).filter_by(code=code))).one()
            link.archived_at = NOW
            session.link_changed(code)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database() as database, database.reading() as session:
            connection = await session.connection()
            return list((await connection.execute(text(sql), values)).all())

    async def drain(self) -> int:
        """Be the recorder, once."""
        store = open_store(self.settings.database)
        try:
            return await Recorder(self.settings, store).drain()
        finally:
            await store.close()

    async def numbers(self) -> dict[str, int]:
        """All links together, from the counters; first they are compared with the hits."""
        await self.check_sums()
        names = ("clicks", "unique_clicks", "excluded_hits", "hits_after_archive")
        sums = ", ".join(f"coalesce(sum({name}), 0)" for name in names)
        (row,) = await self.rows(f"SELECT {sums} FROM click_quarter")
        return dict(zip(names, map(int, row), strict=True))

    async def reasons(self) -> dict[str, int]:
        rows = await self.rows("SELECT reason, sum(hits) FROM excluded_quarter GROUP BY reason")
        return {reason: int(hits) for reason, hits in rows}

    async def check_sums(self) -> None:
        """Hits = counted + excluded + after the archive, for every link and quarter; and by day."""
        from_hits = await self.rows(
            """SELECT link_id, at_ms / 900000, sum(CASE WHEN verdict = 0 THEN 1 ELSE 0 END),
            sum(CASE WHEN is_unique THEN 1 ELSE 0 END),
            sum(CASE WHEN is_suspect THEN 1 ELSE 0 END),
            sum(CASE WHEN verdict = 1 THEN 1 ELSE 0 END),
            sum(CASE WHEN verdict = 2 THEN 1 ELSE 0 END)
            FROM click GROUP BY 1, 2 ORDER BY 1, 2"""
        )
        counted = await self.rows(
            """SELECT link_id, quarter, clicks, unique_clicks, suspect_clicks, excluded_hits,
            hits_after_archive FROM click_quarter ORDER BY 1, 2"""
        )
        assert [tuple(map(int, row)) for row in from_hits] == [tuple(row) for row in counted]
        by_reason = await self.rows(
            "SELECT link_id, at_ms / 900000, reason, count(*) FROM click WHERE verdict = 1 "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        excluded = await self.rows("SELECT * FROM excluded_quarter ORDER BY 1, 2, 3")
        assert sorted(map(tuple, by_reason)) == sorted(map(tuple, excluded))
        async with self.database() as database:
            assert [str(difference) async for difference in verify(database)] == []

    @contextlib.asynccontextmanager
    async def redirecting(self, **options: Any) -> AsyncIterator[Redirect]:
        """A worker's redirect, in this process."""
        settings = self.settings.model_copy(update=options)
        table = ChangeTable(self.data_dir / "links.changes")
        redirect = Redirect(settings, table, reserved=RESERVED)
        await redirect.open()
        try:
            yield redirect
        finally:
            await redirect.close()
            table.close()

    @contextlib.asynccontextmanager
    async def serving(
        self, *, http: HttpProtocol = LimitedHttpProtocol, at_once: bool = True, **options: Any
    ) -> AsyncIterator[int]:
        """The same behind a real uvicorn in this process. Yields the port.

        ``at_once``: whether our own protocol may answer where it reads.
        """
        async with (
            self.redirecting(**options) as redirect,
            uvicorn_serving(application(redirect, at_once=at_once), http) as port,
        ):
            yield port


@contextlib.asynccontextmanager
async def uvicorn_serving(
    app: Router, http: HttpProtocol = LimitedHttpProtocol
) -> AsyncIterator[int]:
    """An application behind a real uvicorn in this process. Yields the port."""
    config = uvicorn.Config(
        app, port=0, http=http, proxy_headers=False, access_log=False, log_level="critical"
    )
    server = uvicorn.Server(config)
    # Without taking the signals, which are pytest's.
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def ask(
    redirect: Redirect,
    target: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    address: str = "192.0.2.1",
) -> Answer:
    """One request to the application, as uvicorn would hand it over."""
    path, _, query = target.partition("?")
    given = {"user-agent": PHONE, **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
        "client": (address, 5000),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    await application(redirect)(scope, receive, send)
    start, *bodies = sent
    headers_sent = {k.decode(): v.decode() for k, v in start["headers"]}
    return Answer(start["status"], headers_sent, b"".join(body["body"] for body in bodies))


async def send_raw(port: int, request: bytes) -> Answer:
    """The bytes, on a connection of their own, and what comes back until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
        }
        length = 0 if request.startswith(b"HEAD ") else int(headers.get("content-length", 0))
        body = await reader.readexactly(length)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Answer(int(lines[0].split()[1]), headers, body)
