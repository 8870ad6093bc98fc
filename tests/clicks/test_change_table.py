"""Every process knows at once that a code may lead elsewhere."""

from pathlib import Path

from app.change_table import SLOTS, WRITERS, ChangeTable, slot_of


def test_another_process_sees_a_change_and_who_is_at_work(tmp_path: Path) -> None:
    ours, theirs = ChangeTable(tmp_path / "changes"), ChangeTable(tmp_path / "changes")
    slot = slot_of("code")
    seen = [theirs.slots[slot]]
    ours.changing(["code"])
    assert theirs.slots[slot] & WRITERS == 1
    seen.append(theirs.slots[slot])
    ours.changed(["code"])
    assert theirs.slots[slot] & WRITERS == 0
    seen.append(theirs.slots[slot])
    assert len(set(seen)) == 3
    ours.close()
    theirs.close()


def test_a_slot_is_kept_by_nobody_until_its_last_writer_is_done(tmp_path: Path) -> None:
    table = ChangeTable(tmp_path / "changes")
    slot = slot_of("code")
    table.changing(["code"])
    table.changing(["code"])
    table.changed(["code"])
    assert table.slots[slot] & WRITERS == 1
    table.changed(["code"])
    table.changed(["code"])  # one too many: never below nobody
    assert table.slots[slot] & WRITERS == 0
    table.close()


def test_what_may_change_every_link_touches_every_slot_and_keeps_who_else_is_at_work(
    tmp_path: Path,
) -> None:
    table = ChangeTable(tmp_path / "changes")
    busy = slot_of("code")
    table.changing(["code"])
    seen = [table.slots.tolist()]
    table.changing(None)
    seen.append(table.slots.tolist())
    assert all(value & WRITERS == 1 + (slot == busy) for slot, value in enumerate(seen[-1]))
    table.changed(None)
    seen.append(table.slots.tolist())
    assert all(value & WRITERS == (slot == busy) for slot, value in enumerate(seen[-1]))
    # No slot ever shows again what it has shown.
    assert all(len(set(shown)) == 3 for shown in zip(*seen, strict=True))
    table.close()


def test_a_disk_that_becomes_full_ends_nobody(tmp_path: Path) -> None:
    """Whoever looks at a page that has no place on the disk yet would be killed by SIGBUS."""
    path = tmp_path / "changes"
    with path.open("wb") as file:
        file.truncate(SLOTS * 8)  # as it was made once
    ours, theirs = ChangeTable(path), ChangeTable(path)
    assert path.stat().st_blocks * 512 >= SLOTS * 8
    ours.changed(["code"])
    again = ChangeTable(path)
    assert list(again.slots) == list(theirs.slots)
    assert again.slots[slot_of("code")] != 0
    for table in ours, theirs, again:
        table.close()
