"""From the outbox to the mailbox, over real SMTP."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from pydantic import SecretStr
from sqlalchemy import update
from sqlmodel import col, select
from starlette.testclient import TestClient

from app.database import Database
from app.main import Application
from app.messages import delivery
from app.messages.delivery import Delivery
from app.models import Message, MessageStatus
from app.settings import Settings
from tests.mail import Mailbox, html_of, mail_server, text_of
from tests.server import free_port
from tests.world import World, a_world


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as mailbox:
        yield mailbox


def with_mail(settings: Settings, mailbox: Mailbox, **values: Any) -> Settings:
    return settings.model_copy(
        update={
            "smtp_host": "127.0.0.1",
            "smtp_port": mailbox.port,
            "smtp_security": "none",
            "mail_from": "Brand & Söhne <team@brand.example>",
            **values,
        }
    )


MAIL = Path(__file__).parent / "fixtures" / "mail"


def always(answer: str) -> Callable[[str], str]:
    return lambda _: answer


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "POLL_S", 0.05)


def wait_until(done: Callable[[], bool], what: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)  # the server is in another thread


def a_message(world: World, body: str = "Hello", **creator: Any) -> str:
    """An enrollment that was sent one."""
    campaign = world.a_campaign()
    (ana,) = world.enroll(campaign, [world.a_creator(**creator)])
    (result,) = world.send(campaign, body, ana)
    assert result["skipReason"] is None
    return ana


@pytest.fixture
def postal(settings: Settings, operator_key: str, mailbox: Mailbox) -> Iterator[World]:
    """A world whose messages go out."""
    with a_world(with_mail(settings, mailbox), operator_key) as world:
        yield world


def test_a_message_arrives_as_it_was_written(postal: World, mailbox: Mailbox) -> None:
    body = "Hi <b>Zoë</b> & Ben,\n\n{{campaign_manager_link}}.\nÀ bientôt 🎉"
    ana = a_message(postal, body, email="ana@example.com")
    wait_until(lambda: bool(mailbox.mails), "no mail came")

    (mail,) = mailbox.mails
    wait_until(lambda: postal.messages_of(ana)[0]["status"] == "SENT", "not marked as sent")
    (message,) = postal.messages_of(ana)
    assert text_of(mail) == message["body"]
    assert mail["Subject"] == "Your links"
    (sender,) = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Brand & Söhne", "team@brand.example")
    assert mail["To"].addresses[0].addr_spec == "ana@example.com"
    assert mail["Message-ID"] == f"<{message['id']}@go.brand.example>"
    assert mail["Date"].datetime.tzinfo is not None
    html = html_of(mail)
    assert "Hi &lt;b&gt;Zoë&lt;/b&gt; &amp; Ben," in html
    url = message["body"].split("\n")[2].rstrip(".")
    assert f'<a href="{url}">{url}</a>.' in html
    assert "<img" not in html
    assert message["sentAt"] is not None
    assert message["attempts"] == 1


def test_without_a_mail_server_messages_stay_readable_in_the_outbox(world: World) -> None:
    campaign = world.a_campaign()
    ana = world.an_enrollment(campaign)
    world.send(campaign, "Hello", ana)
    query = """query($id: ID!) { campaign(id: $id) {
        messages(filter: {statuses: [QUEUED]}) { totalCount nodes { body attempts } } } }"""
    found = world.ask(query, id=campaign)["campaign"]["messages"]
    assert found == {"totalCount": 1, "nodes": [{"body": "Hello", "attempts": 0}]}


def test_a_mailbox_that_does_not_exist_is_given_up_and_the_others_are_not(
    postal: World, mailbox: Mailbox
) -> None:
    mailbox.answer = lambda to: "550 5.1.1 No such user" if "gone" in to else "250 OK"
    gone = a_message(postal, email="gone@example.com")
    here = a_message(postal, email="here@example.com")
    wait_until(lambda: postal.messages_of(here)[0]["status"] == "SENT", "not sent")
    (message,) = postal.messages_of(gone)
    assert (message["status"], message["error"]) == ("FAILED", "550 5.1.1 No such user")


def test_not_now_is_tried_again_later(postal: World, mailbox: Mailbox) -> None:
    mailbox.answer = always("451 4.7.1 Come back later")
    ana = a_message(postal)
    wait_until(lambda: bool(postal.messages_of(ana)[0]["error"]), "not tried")
    (message,) = postal.messages_of(ana)
    assert (message["status"], message["attempts"]) == ("QUEUED", 1)
    assert mailbox.mails == []

    mailbox.answer = always("250 OK")
    make_due(postal)
    wait_until(lambda: postal.messages_of(ana)[0]["status"] == "SENT", "not sent")
    assert len(mailbox.mails) == 1
    assert postal.messages_of(ana)[0]["attempts"] == 2


def make_due(world: World) -> None:
    """As if the time had come that messages wait for. One that is being sent just now has only
    been put off by its lease: its next attempt is not known yet."""

    async def put_forward() -> bool:
        now = datetime.now(UTC)
        waits = update(Message).where(
            col(Message.status) == MessageStatus.QUEUED,
            col(Message.next_attempt_at) > now + delivery.LEASE,
        )
        async with world.database.writing() as session:
            done = await (await session.connection()).execute(waits.values(next_attempt_at=now))
            return bool(done.rowcount)

    portal = world.client.portal
    assert portal is not None
    wait_until(lambda: portal.call(put_forward), "nothing waits for its time")


def test_an_address_that_no_mail_can_have_is_given_up(postal: World) -> None:
    ana = a_message(postal, email="a,b;<c@example.com")
    wait_until(lambda: postal.messages_of(ana)[0]["status"] == "FAILED", "not given up")
    assert "not an address" in postal.messages_of(ana)[0]["error"]


def test_after_the_last_attempt_a_message_is_given_up(
    settings: Settings, operator_key: str, mailbox: Mailbox
) -> None:
    mailbox.answer = always("451 Later")
    with a_world(with_mail(settings, mailbox), operator_key) as world:
        ana = a_message(world)
        for attempt in range(1, len(delivery.DELAYS) + 1):
            wait_until(partial(was_tried, world, ana, attempt), f"not tried {attempt} times")
            make_due(world)
        wait_until(lambda: world.messages_of(ana)[0]["status"] == "FAILED", "not given up")


def was_tried(world: World, enrollment: str, times: int) -> bool:
    (message,) = world.messages_of(enrollment)
    return bool(message["error"]) and message["attempts"] == times


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_connection_is_secured_and_logged_in_as_the_settings_say(
    settings: Settings,
    operator_key: str,
    security: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logins = []

    def log_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        logins.append((data.login, data.password))
        return AuthResult(success=True)

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(MAIL / "certificate.pem", MAIL / "key.pem")
    options: dict[str, Any] = {"authenticator": log_in}
    if security == "tls":
        # Inside TLS there is no STARTTLS, which is what aiosmtpd means by secure.
        options |= {"ssl_context": tls, "auth_require_tls": False}
    else:
        options |= {"tls_context": tls, "require_starttls": True, "auth_required": True}
    values = {"smtp_username": "brand", "smtp_password": SecretStr("sesame")}
    monkeypatch.setattr(delivery, "PAUSE_S", 0.05)
    with mail_server(**options) as mailbox:
        chosen = with_mail(settings, mailbox, smtp_security=security, **values)
        with a_world(chosen, operator_key) as world:
            ana = a_message(world)
            # Nobody vouches for the certificate yet.
            wait_until(lambda: "can't be used" in caplog.text, "not tried")
            assert "certificate verify failed" in caplog.text
            assert logins == []
            assert world.messages_of(ana)[0]["status"] == "QUEUED"
            monkeypatch.setenv("SSL_CERT_FILE", str(MAIL / "certificate.pem"))
            wait_until(lambda: world.messages_of(ana)[0]["status"] == "SENT", "not sent")
        assert len(mailbox.mails) == 1
        assert logins == [(b"brand", b"sesame")]


def test_a_mail_server_that_is_away_costs_no_attempt(
    settings: Settings, operator_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAUSE_S", 0.05)
    away = Mailbox(port=free_port())
    with a_world(with_mail(settings, away), operator_key) as world:
        ana = a_message(world)
        with mail_server(away):
            wait_until(lambda: bool(away.mails), "no mail came")
            wait_until(lambda: world.messages_of(ana)[0]["status"] == "SENT", "not marked")
        assert world.messages_of(ana)[0]["attempts"] == 1


def test_several_workers_deliver_each_message_once(
    settings: Settings, operator_key: str, mailbox: Mailbox
) -> None:
    with a_world(settings, operator_key) as world:
        campaign = world.a_campaign()
        enrolled = world.enroll(campaign, world.creators(60))
        world.send(campaign, "Hello {{creator_name}}", *enrolled)

    async def deliver() -> None:
        databases = [Database(settings.database) for _ in range(4)]
        workers = [Delivery(with_mail(settings, mailbox), each) for each in databases]
        for worker in workers:
            await worker.open()
        async with asyncio.timeout(30):
            while len(mailbox.mails) < 60:  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.02)
        for worker in workers:
            await worker.close()
        for database in databases:
            await database.close()

    asyncio.run(deliver())
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == len(mailbox.mails) == 60


async def test_a_claim_that_nobody_finished_is_taken_again_when_its_lease_has_run_out(
    settings: Settings, operator_key: str
) -> None:
    await asyncio.to_thread(queue_one, settings, operator_key)
    now = datetime.now(UTC)
    async with opened(settings) as database:
        worker, other = Delivery(settings, database), Delivery(settings, database)
        (message,) = await worker.claim(now)
        assert await other.claim(now + delivery.LEASE - timedelta(seconds=1)) == []
        (again,) = await other.claim(now + delivery.LEASE)
        assert (again.id, again.attempts) == (message.id, 2)


async def test_a_claim_is_kept_by_whoever_is_heard_of_and_never_taken_back(
    settings: Settings, operator_key: str
) -> None:
    await asyncio.to_thread(queue_one, settings, operator_key)
    now = datetime.now(UTC)
    async with opened(settings) as database:
        worker, other = Delivery(settings, database), Delivery(settings, database)
        claim = delivery.Claim(await worker.claim(now), now + delivery.LEASE)
        later = now + delivery.LEASE - timedelta(seconds=1)
        await worker.renew(claim, later)
        assert await other.claim(now + delivery.LEASE) == []
        # Then nothing is heard of it for as long as a claim holds.
        much_later = later + delivery.LEASE
        (taken,) = await other.claim(much_later)
        await worker.renew(claim, much_later + timedelta(seconds=1))
        assert claim.left == []
        async with database.reading() as session:
            (message,) = (await session.exec(select(Message))).all()
        assert message.next_attempt_at == taken.next_attempt_at == much_later + delivery.LEASE


async def test_a_slow_mail_server_keeps_a_claim_for_longer_than_its_lease(
    settings: Settings, operator_key: str, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(queue_one, settings, operator_key)
    monkeypatch.setattr(delivery, "LEASE", timedelta(seconds=2))
    monkeypatch.setattr(delivery, "BEAT_S", 0.1)
    mailbox.limit = 0  # whoever comes waits at the door
    async with opened(settings) as database:
        worker, other = (Delivery(with_mail(settings, mailbox), database) for _ in range(2))
        began = datetime.now(UTC)
        await worker.open()
        await asyncio.to_thread(mailbox.full.wait, 20)
        while datetime.now(UTC) < began + 3 * delivery.LEASE:
            assert await other.claim(datetime.now(UTC)) == []
            await asyncio.sleep(0.02)
        mailbox.limit = None
        async with asyncio.timeout(20):
            while not mailbox.mails:  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.02)
        await worker.close()
        assert await other.claim(datetime.now(UTC) + delivery.LEASE) == []
    assert len(mailbox.mails) == 1


def queue_one(settings: Settings, key: str) -> None:
    with a_world(settings, key) as world:
        a_message(world)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database)
    yield database
    await database.close()


def test_a_server_that_stops_finishes_its_message_and_puts_the_others_back(
    settings: Settings, operator_key: str, mailbox: Mailbox
) -> None:
    with a_world(settings, operator_key) as world:
        campaign = world.a_campaign()
        world.send(campaign, "Hello", *world.enroll(campaign, world.creators(30)))
    with TestClient(Application(with_mail(settings, mailbox))):
        assert mailbox.knocked.wait(20)

    async def left() -> list[tuple[str, int]]:
        async with opened(settings) as database, database.reading() as session:
            unsent = select(Message.status, Message.attempts).where(
                Message.status != MessageStatus.SENT
            )
            return list((await session.exec(unsent)).all())

    waiting = asyncio.run(left())
    assert len(waiting) == 30 - len(mailbox.mails)
    assert set(waiting) <= {(MessageStatus.QUEUED, 0)}


def test_the_password_is_not_in_what_is_printed() -> None:
    settings = Settings.model_validate(
        {"smtp_password": "hunter2hunter2", "signing_secret": SecretStr("s" * 32)}
    )
    assert "hunter2" not in f"{settings!r}"
    assert "sss" not in f"{settings!r}"


def test_a_mail_server_without_a_sender_is_refused() -> None:
    with pytest.raises(ValueError, match="MAIL_FROM"):
        Settings.model_validate({"smtp_host": "mail.example"})
