"""What is in the journal survives; what does not get in is counted."""

import contextlib
import logging
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.clicks.journal import Journal
from app.clicks.segments import Segments
from tests.clicks.hits import hit


@contextlib.contextmanager
def journal(folder: Path, **options: int) -> Iterator[Journal]:
    journal = Journal(folder, **options)  # type: ignore[arg-type] # sizes only
    journal.open()
    try:
        yield journal
    finally:
        journal.close()


def wait_until(holds: Callable[[], bool]) -> None:
    """For what the keeper does, once a second."""
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def read(folder: Path, limit: int = 10_000) -> list[int]:
    """The links of all hits, as a recorder would read them from the beginning."""
    segments, positions, found = Segments(folder), dict[str, int](), list[int]()
    while True:
        batch = segments.read(positions, limit)
        positions |= {move.segment: move.new for move in batch.moves}
        found += [record.link_id for record in batch.records]
        if not batch.has_more:
            return found


def write(folder: Path, content: bytes) -> None:
    """A segment that its writer left behind like this."""
    folder.mkdir(exist_ok=True)
    (folder / "00000000000000000001-1-00000000.jnl").write_bytes(content)


def test_every_hit_is_read_once_and_in_order(tmp_path: Path) -> None:
    with journal(tmp_path, segment_bytes=2_000) as one, journal(tmp_path, segment_bytes=900) as two:
        for second in range(200):
            (one, two)[second % 3 == 0].append(hit(second, link_id=second))
    for limit in (1, 7, 1000):
        assert read(tmp_path, limit) == list(range(200))


def test_a_segment_is_finished_only_when_its_writer_is_gone(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    with journal(tmp_path) as writer:
        writer.append(hit())
        assert segments.read({}, 10).finished == []
    (finished,) = segments.read({}, 10).finished
    segments.delete(finished)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tail", [b"", b"\0" * 4096, b"\xff" * 100, b"\xc1\x1c" * 50, b"\xc1"])
def test_a_damaged_end_costs_no_whole_hit(tmp_path: Path, tail: bytes) -> None:
    whole = [hit(second, link_id=second) for second in range(50)]
    for cut in {0, 1, 7, 8, len(whole[-1]) - 1, len(whole[-1])}:
        write(tmp_path, b"".join(whole[:-1]) + whole[-1][:cut] + tail)
        is_whole = cut == len(whole[-1])
        assert read(tmp_path) == list(range(50 if is_whole else 49))


def test_damage_in_the_middle_costs_the_hit_that_it_is_in(tmp_path: Path) -> None:
    whole = [hit(second, link_id=second) for second in range(3)]
    for place in range(len(whole[1])):
        broken = bytearray(whole[1])
        broken[place] ^= 0x5A
        write(tmp_path, whole[0] + broken + whole[2])
        assert read(tmp_path) == [0, 2], place


def test_damage_wider_than_a_reading_is_stepped_over(tmp_path: Path) -> None:
    write(tmp_path, hit(link_id=1) + bytes(200_000) + hit(link_id=2))
    assert read(tmp_path, limit=1) == [1, 2]


def test_no_user_agent_can_forge_a_hit(tmp_path: Path) -> None:
    forged = hit(link_id=666).decode("latin-1")
    genuine = hit(link_id=1, user_agent=forged)
    write(tmp_path, genuine[:-1] + bytes([genuine[-1] ^ 1]) + hit(link_id=2))
    assert read(tmp_path) == [2]


def test_half_a_hit_is_taken_back_and_the_next_one_is_readable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(hit())
    with journal(tmp_path) as writer:
        with file_size_limit(size * 3 + size // 2):
            answers = [writer.append(hit(link_id=number)) for number in range(4)]
        assert answers == [True, True, True, False]
        assert writer.lost == 1
        assert writer.append(hit(link_id=9))
    assert read(tmp_path) == [0, 1, 2, 9]
    assert "1 clicks were redirected and not recorded" in caplog.text


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """As a disk that is full: a file may grow to this size and no further."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_journal_refuses_counts_and_goes_on_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    size = len(hit())
    with journal(tmp_path, max_bytes=10 * size) as writer:
        assert [writer.append(hit()) for _ in range(25)] == [True] * 10 + [False] * 15
        assert writer.lost == 15
        segments = Segments(tmp_path)
        writer._measure()
        assert "is the recorder running?" in caplog.text
        writer._close_retired()
        for name in segments.read({}, 100).finished:
            segments.delete(name)
        writer._measure()
        assert writer.append(hit())
        writer._report(now=True)
        writer._report(now=True)
    assert caplog.text.count("15 clicks were redirected and not recorded") == 1


def test_a_disk_without_room_for_a_new_segment_goes_on_with_the_old_one(tmp_path: Path) -> None:
    with journal(tmp_path, segment_bytes=1) as writer:
        folder = writer.folder
        writer.folder = tmp_path / "nowhere"
        assert writer.append(hit(link_id=1))
        assert writer.append(hit(link_id=2))
        writer.folder = folder
    assert read(tmp_path) == [1, 2]


@pytest.mark.parametrize("fsync", ["second", "always", "never"])
def test_each_promise_about_power_cuts_keeps_the_hits(tmp_path: Path, fsync: str) -> None:
    writer = Journal(tmp_path, fsync=fsync, segment_bytes=500)  # type: ignore[arg-type] # a Literal
    writer.open()
    for number in range(10):
        writer.append(hit(number, link_id=number))
    writer.close()
    assert read(tmp_path) == list(range(10))


def test_a_journal_that_fills_warns_before_it_loses_and_once_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By appends alone, faster than the keeper looks."""
    size = len(hit())
    warned, segments = [], Segments(tmp_path)
    with journal(tmp_path, max_bytes=100 * size) as writer:
        for _ in range(2):
            said = len(caplog.messages)
            for number in range(1, 101):
                assert writer.append(hit())
                warned += [number] * (len(caplog.messages) - said)
                said = len(caplog.messages)
            assert not writer.append(hit())
            wait_until(lambda: writer.disk_bytes == 100 * size)  # as the metric says
            wait_until(lambda: len(segments.read({}, 1000).finished) == 1)
            for name in segments.read({}, 1000).finished:
                segments.delete(name)
            wait_until(lambda: writer.disk_bytes == 0)
    assert warned == [80, 80]
    nearly_full = "The click journal takes 0 of 0 MB: is the recorder running?"
    lost = "1 clicks were redirected and not recorded: the journal has reached its limit"
    texts = [message.partition(" (")[0] for message in caplog.messages]
    assert texts == [nearly_full, lost] * 2
