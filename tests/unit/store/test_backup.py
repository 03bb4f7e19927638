"""Backups of a state directory: whole, checked, of a running node, and never over one."""

import contextlib
import gzip
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bosd.bal.edits import Change
from bosd.errors import StoreError
from bosd.store.backup import BEFORE, DATABASE, MANIFEST, back_up, restore
from bosd.store.records import MeterCheckpoint
from bosd.store.store import Store

CHANGE = Change(action="add", name="b1", kind="jbd", detail="")


async def written(directory: Path, *, toml: str = "first", keep: bool = False) -> Store:
    """Return a store with one more revision and a meter; closed unless it is to `keep` running."""
    store = await Store.open(directory)
    stored = await store.load_topology()
    before = 0 if stored is None else stored.revision
    await store.append_revision(before, toml=toml, changes=[CHANGE], who="me", comment="", changed_utc_s=1e9)
    await store.save_meters([MeterCheckpoint(name="b1", charge_ah=12.5, unobserved_s=0.0, at_utc_s=1e9)])
    if not keep:
        await store.close()
    return store


async def newest(directory: Path) -> tuple[int, str]:
    """Return the newest topology in a directory."""
    store = await Store.open(directory)
    stored = await store.load_topology()
    await store.close()
    assert stored is not None
    return stored.revision, stored.toml


def save(state: Path, archive: Path) -> None:
    """Back up with the version and time of these tests."""
    back_up(state, archive, version="1.2.3", now_utc_s=1e9)


def left_in(directory: Path) -> set[str]:
    """Return what is in a directory."""
    return {path.name for path in directory.iterdir()}


async def test_there_and_back(tmp_path: Path) -> None:
    """Store and other files come back in a new directory; the archive names each with its size."""
    state, archive, other = tmp_path / "state", tmp_path / "b.tar.gz", tmp_path / "other"
    await written(state)
    (state / "guard.json").write_text('{"done": true}')
    (state / "sub").mkdir()
    (state / "sub" / "x").write_bytes(b"\0\1")
    manifest = back_up(state, archive, version="1.2.3", now_utc_s=1e9)
    assert set(manifest.files) == {DATABASE, "guard.json", "sub/x"}
    assert manifest.files["sub/x"][0] == 2
    assert archive.stat().st_mode & 0o777 == 0o600
    assert restore(other, archive) == manifest
    assert await newest(other) == (1, "first")
    assert (other / "guard.json").read_text() == '{"done": true}'
    assert (other / "sub" / "x").read_bytes() == b"\0\1"
    assert left_in(tmp_path) == {"state", "other", "b.tar.gz"}


async def test_of_a_running_node(tmp_path: Path) -> None:
    """What was acknowledged is in it, though it stands in the log of an open database; onto that node it is refused."""
    state, archive = tmp_path / "state", tmp_path / "b.tar.gz"
    store = await written(state, keep=True)
    try:
        save(state, archive)
        restore(tmp_path / "copy", archive)
        with pytest.raises(StoreError, match="in use by another bosd"):
            restore(state, archive)
    finally:
        await store.close()
    assert await newest(tmp_path / "copy") == (1, "first")


async def test_over_an_older_state(tmp_path: Path) -> None:
    """The newer store gives way whole and is kept beside; nothing of its log is left to be mixed in."""
    state, archive = tmp_path / "state", tmp_path / "b.tar.gz"
    await written(state)
    save(state, archive)
    await written(state, toml="second")
    assert await newest(state) == (2, "second")
    restore(state, archive)
    assert left_in(state) == {DATABASE, "bosd.lock", BEFORE}
    with contextlib.closing(sqlite3.connect(state / BEFORE)) as old:
        assert old.execute("SELECT max(revision) FROM topology_revision").fetchone() == (2,)
    assert await newest(state) == (1, "first")
    save(state, archive)
    with tarfile.open(archive) as tar:
        assert tar.getnames() == [MANIFEST, DATABASE]


async def test_over_a_damaged_store(tmp_path: Path) -> None:
    """A store that is no database any more is what backups are for."""
    state, archive = tmp_path / "state", tmp_path / "b.tar.gz"
    await written(state)
    save(state, archive)
    (state / DATABASE).write_bytes(b"no database" * 1000)
    (state / f"{DATABASE}-wal").write_bytes(b"nor its log")
    restore(state, archive)
    assert await newest(state) == (1, "first")


def repacked(archive: Path, change: dict[str, bytes | None], extra: dict[str, bytes] | None = None) -> None:
    """Write an archive anew with some members changed, left out (None) or added."""
    with tarfile.open(archive) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar.getmembers()}  # type: ignore[union-attr]
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in {**members, **change, **(extra or {})}.items():
            if content is not None:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def cut(archive: Path) -> None:
    """Lose the second half."""
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2])


def flip(archive: Path) -> None:
    """Change one bit of the store, with a good checksum of the archive."""
    data = bytearray(gzip.decompress(archive.read_bytes()))
    data[data.index(b"SQLite format 3") + 5000] ^= 1
    archive.write_bytes(gzip.compress(bytes(data)))


def list_more(archive: Path, **keys: object) -> None:
    """Change the manifest, and add a file outside the directory."""
    with tarfile.open(archive) as tar:
        head = json.loads(tar.extractfile(MANIFEST).read())  # type: ignore[union-attr]
    head["files"].append({"name": "../evil", "size": 1, "sha256": "0"})
    repacked(archive, {MANIFEST: json.dumps({**head, **keys}).encode()}, {"../evil": b"x"})


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        flip,
        lambda archive: repacked(archive, {"note": None}),
        lambda archive: repacked(archive, {"note": b"m"}),
        lambda archive: repacked(archive, {}, {"more": b"x"}),
        list_more,
        lambda archive: list_more(archive, format=2),
        lambda archive: archive.write_text("no archive"),
        lambda archive: archive.write_bytes(b""),
    ],
    ids=["cut", "bit", "missing", "changed", "extra", "outside", "format", "text", "empty"],
)
async def test_a_damaged_archive_changes_nothing(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Cut, flipped, incomplete, changed, with files beyond the manifest or outside the directory, or of another format."""
    state, archive = tmp_path / "state", tmp_path / "b.tar.gz"
    await written(state)
    (state / "note").write_text("n")
    save(state, archive)
    damage(archive)
    await refused(tmp_path, archive, "no whole backup|format 2")


async def refused(tmp_path: Path, archive: Path, why: str) -> None:
    """Restore over a good state, which stays as it was."""
    target = tmp_path / "target"
    await written(target, toml="kept")
    with pytest.raises(StoreError, match=why):
        restore(target, archive)
    assert await newest(target) == (1, "kept")
    assert left_in(target) == {DATABASE, "bosd.lock"}
    assert not (tmp_path / "evil").exists()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A store that a newer bosd wrote would be refused at the next start: it is refused here already."""
    state, archive = tmp_path / "state", tmp_path / "b.tar.gz"
    await written(state)
    with contextlib.closing(sqlite3.connect(state / DATABASE)) as newer, newer:
        newer.execute("UPDATE meta SET value = 999 WHERE key = 'schema'")
    save(state, archive)
    await refused(tmp_path, archive, "schema 999")


async def test_what_is_no_backup_is_not_overwritten(tmp_path: Path) -> None:
    """A configuration named by mistake stays; an earlier backup is replaced; a directory without state has nothing to save."""
    state, archive, config = tmp_path / "state", tmp_path / "b.tar.gz", tmp_path / "bosd.toml"
    await written(state)
    config.write_text("[node]")
    with pytest.raises(StoreError, match="no whole backup"):
        save(state, config)
    assert config.read_text() == "[node]"
    save(state, archive)
    save(state, archive)
    with pytest.raises(StoreError, match="no store of bosd is here"):
        save(tmp_path / "nowhere", tmp_path / "n.tar.gz")
    with pytest.raises(StoreError, match="No such file"):
        restore(tmp_path / "other", tmp_path / "missing.tar.gz")
    assert not (tmp_path / "n.tar.gz").exists()
