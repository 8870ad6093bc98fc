"""Every process knows at once that a code may lead elsewhere."""

from pathlib import Path

from app.change_table import WRITERS, ChangeTable, slot_of


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
