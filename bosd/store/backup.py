"""Backups: everything in a state directory as one archive, of a running node too, and back into a directory at rest.

An archive is a gzipped tar: `manifest.json`, then the files it lists with size and SHA-256. The database is copied by SQLite's
own backup, so it is one state of it. Restoring checks the whole archive first; then the database is exchanged in one rename.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bosd.errors import StoreError
from bosd.store.lock import DirectoryLock
from bosd.store.schema import SCHEMA_VERSION

DATABASE = "bosd.sqlite"
MANIFEST = "manifest.json"
FORMAT = 1
MAX_FILES = 1000
MAX_MANIFEST_BYTES = 1024 * 1024
BEFORE = f"{DATABASE}.before-restore"
_OWN = frozenset({DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", "bosd.lock", BEFORE})
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive holds: size and SHA-256 by file name."""

    version: str
    created_utc_s: float
    files: dict[str, tuple[int, str]]


def back_up(state_dir: Path, archive: Path, *, version: str, now_utc_s: float) -> Manifest:
    """Write everything in `state_dir` to `archive`, whole or not at all; a backup of that name is replaced.

    Raises StoreError when there is no state, something other than a backup is in the way, or a disk fails.
    """
    with _explained(archive):
        if not (state_dir / DATABASE).is_file():
            raise StoreError(f"{state_dir}: no store of bosd is here; name the node's configuration", path=state_dir)
        if archive.exists():
            with tarfile.open(archive) as old:
                _read_manifest(old, archive)
        with tempfile.TemporaryDirectory(prefix=".bosd-backup-", dir=archive.absolute().parent) as name:
            work = Path(name)
            files = {DATABASE: work / "0"}
            _copy_database(state_dir / DATABASE, files[DATABASE])
            for number, (each, path) in enumerate(_other_files(state_dir).items(), start=1):
                files[each] = Path(shutil.copyfile(path, work / str(number)))
            listed = {each: (path.stat().st_size, _digest(path)) for each, path in files.items()}
            manifest = Manifest(version=version, created_utc_s=now_utc_s, files=listed)
            _write(work / "archive", manifest, files)
            (work / "archive").replace(archive)
            _sync(archive.absolute().parent)
        return manifest


def restore(state_dir: Path, archive: Path) -> Manifest:
    """Make `state_dir` what `archive` holds; the database that was there stays beside it as `bosd.sqlite.before-restore`.

    Raises StoreError for a damaged archive, one of a newer bosd, or a directory that a running node uses; nothing changes then.
    """
    with _explained(archive):
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=state_dir) as name:
            work = Path(name)
            manifest = _unpack(archive, work)
            _check_database(work / DATABASE, archive)
            lock = DirectoryLock(state_dir)
            lock.acquire()
            try:
                _exchange(state_dir, work, manifest)
            finally:
                lock.release()
        return manifest


def _copy_database(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    connections = (sqlite3.connect(source), sqlite3.connect(target))
    with contextlib.closing(connections[0]) as old, contextlib.closing(connections[1]) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode = DELETE")


def _other_files(state_dir: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(state_dir.rglob("*")):
        name = path.relative_to(state_dir).as_posix()
        if path.is_file() and not path.is_symlink() and name not in _OWN and not name.startswith((".restore-", ".bosd-backup-")):
            found[name] = path
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(target: Path, manifest: Manifest, files: dict[str, Path]) -> None:
    """Write the archive and have it on the disk."""
    listed = [{"name": name, "size": size, "sha256": digest} for name, (size, digest) in manifest.files.items()]
    head = {"format": FORMAT, "version": manifest.version, "created_utc_s": manifest.created_utc_s, "files": listed}
    text = json.dumps(head, indent=1).encode()
    target.touch(mode=0o600, exist_ok=False)
    with target.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            tar.addfile(_member(MANIFEST, len(text), manifest.created_utc_s), io.BytesIO(text))
            for name, path in files.items():
                with path.open("rb") as content:
                    tar.addfile(_member(name, manifest.files[name][0], manifest.created_utc_s), content)
        file.flush()
        os.fsync(file.fileno())


def _member(name: str, size: int, utc_s: float) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, int(utc_s), 0o600
    return info


def _read_manifest(tar: tarfile.TarFile, archive: Path) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isfile() or first.size > MAX_MANIFEST_BYTES:
        raise _damaged(archive, "it does not begin with a manifest")
    content = tar.extractfile(first)
    try:
        head: dict[str, Any] = json.loads(content.read() if content is not None else b"")
        form = head["format"]
        if form != FORMAT:
            raise StoreError(f"{archive}: has format {form}, this bosd knows {FORMAT}: use the bosd that wrote it", path=archive)
        files = {str(each["name"]): (int(each["size"]), str(each["sha256"])) for each in head["files"]}
        manifest = Manifest(version=str(head["version"]), created_utc_s=float(head["created_utc_s"]), files=files)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(archive, "its manifest cannot be read") from error
    if DATABASE not in files or len(files) > MAX_FILES:
        raise _damaged(archive, "its manifest lists no store" if DATABASE not in files else "it lists too many files")
    if bad := [name for name in files if not _inside(name)]:
        raise _damaged(archive, f"it lists {bad[0]!r}, which lies outside")
    return manifest


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _unpack(archive: Path, work: Path) -> Manifest:
    """Write the archive's files below `work`, each checked. Raises StoreError for whatever does not agree with the manifest."""
    with tarfile.open(archive, mode="r:gz") as tar:
        manifest = _read_manifest(tar, archive)
        left = dict(manifest.files)
        while (info := tar.next()) is not None:
            size, digest = left.pop(info.name, (-1, ""))
            if not info.isfile() or info.size != size:
                raise _damaged(archive, f"{info.name!r} is not as the manifest lists it")
            target = work / info.name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(info)
            target.touch(mode=0o600, exist_ok=False)
            with target.open("wb") as file:
                if content is not None:
                    shutil.copyfileobj(content, file, _CHUNK)
                file.flush()
                os.fsync(file.fileno())
            if _digest(target) != digest:
                raise _damaged(archive, f"the checksum of {info.name!r} is wrong")
    if left:
        raise _damaged(archive, f"{next(iter(left))!r} is missing")
    return manifest


def _check_database(path: Path, archive: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if verdict != "ok":
        raise _damaged(archive, f"its store is damaged: {verdict}")
    if row is None or row[0] > SCHEMA_VERSION:
        known = f"this bosd knows {SCHEMA_VERSION}"
        raise StoreError(f"{archive}: its store has schema {row and row[0]}, {known}: use a newer bosd", path=archive)


def _exchange(state_dir: Path, work: Path, manifest: Manifest) -> None:
    """Put the files in place, the database last and in one rename, with nothing of the old one's log left beside it."""
    owner = state_dir.stat()
    for name in sorted(manifest.files, key=lambda each: each == DATABASE):
        target = state_dir / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(work / name, owner.st_uid, owner.st_gid)
        if name == DATABASE and target.exists():
            _set_aside(target)
        (work / name).replace(target)
    _sync(state_dir)


def _set_aside(database: Path) -> None:
    """Fold the old database's log into it and keep it under another name; one that is damaged loses its log."""
    with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(database)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = database.with_name(BEFORE)
    before.unlink(missing_ok=True)
    os.link(database, before)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(archive: Path, how: str) -> StoreError:
    return StoreError(f"{archive}: is no whole backup of bosd: {how}", path=archive)


@contextlib.contextmanager
def _explained(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(archive, str(error) or "it ends early") from error
    except sqlite3.Error as error:
        raise StoreError(f"{archive}: {error}", path=archive) from error
    except OSError as error:
        if error.strerror is None:  # gzip's own: a bad header or checksum
            raise _damaged(archive, str(error)) from error
        raise StoreError(f"{error.filename or archive}: {error.strerror}", path=error.filename or archive) from error
