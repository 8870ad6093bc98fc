"""Blocked hosts: the operator's word that no link of any program leads there.

DESIGN
------
A block is one row and no change of any link: the redirect asks for it when it looks a link up,
so a block of a host with a million links costs what one with none does, and lifting it brings
them back as they were. Here only new words are refused, where a person can choose others: a
campaign link that leads to a blocked host already goes on making links for those promoted.
"""

from collections.abc import Sequence

from sqlmodel import col, select

from app.database import ReadSession
from app.destinations import host_of, with_names_above
from app.errors import UserErrorCode, refuse
from app.models import BlockedHost, Program
from app.resolvers.change import Change
from app.resolvers.inputs import Form


async def destination(change: Change, form: Form, value: str, *path: str) -> str:
    """The URL to store, if it may be a destination now. A fault of the form if not."""
    url = form.destination(value, change.check_destination, *path)
    found = await _covering(change.session, host_of(url)) if url else []
    for each in found[:1]:
        message = f"Links to {each} are blocked on this server. Choose another destination."
        form.fault(UserErrorCode.HOST_BLOCKED, message, *path)
    return url


async def block(change: Change, host: str, *, note: str | None = None) -> BlockedHost:
    """No link leads to this host or below it any more, from the next request on.

    Blocking it again keeps the first time and note.
    """
    form = Form()
    host = form.host(host, change.check_destination, "host")
    note = form.optional_text(note, "note")
    form.check()
    blocked = await change.session.get(BlockedHost, host)
    if blocked is None:
        blocked = BlockedHost(host=host, note=note, blocked_at=change.now)
        change.session.add(blocked)
        change.session.all_links_changed()
        await _record(change, "blockHost", host)
    return blocked


async def unblock(change: Change, host: str) -> BlockedHost | None:
    """Links lead there again, unless they are archived. Returns the block, if there was one."""
    form = Form()
    host = form.host(host, change.check_destination, "host")
    form.check()
    above = [each for each in await _covering(change.session, host) if each != host]
    if above:
        message = f"{host} is blocked with everything below {above[0]}: unblock that."
        raise refuse(UserErrorCode.HOST_BLOCKED, message, "host")
    blocked = await change.session.get(BlockedHost, host)
    if blocked is not None:
        await change.session.delete(blocked)
        change.session.all_links_changed()
        await _record(change, "unblockHost", host)
    return blocked


async def listed(session: ReadSession) -> Sequence[BlockedHost]:
    """All of them, by their names."""
    return (await session.exec(select(BlockedHost).order_by(col(BlockedHost.host)))).all()


async def _covering(session: ReadSession, host: str) -> Sequence[str]:
    """The blocked hosts that this one is, or is below."""
    covering = select(BlockedHost.host).where(col(BlockedHost.host).in_(with_names_above(host)))
    return (await session.exec(covering)).all()


async def _record(change: Change, action: str, host: str) -> None:
    """It concerns every program, so it stands in the log of each."""
    programs = (await change.session.exec(select(Program.id))).all()
    await change.record(action, "prg", None, {key: {"host": host} for key in programs})
