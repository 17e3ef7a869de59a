"""An object that only one of several writers can create, on file systems that fsspec knows."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

CLAIM_SECONDS = 120.0  # a claim that is older was left by a writer that died in between
ATTEMPTS = 6


def create(fs: Any, path: str, data: bytes) -> None:
    """Writes the object `path`; FileExistsError if it is there with other bytes, even since a moment ago.

    Amazon's S3 decides it itself (If-None-Match). Some servers that speak its language overwrite without a word: there
    writers announce themselves first, and of two at the same moment both step back and try again. That is safe where a
    listing shows what was just written, and no writer sleeps for CLAIM_SECONDS between two of its requests.
    """
    if _refuses(fs, str(PurePosixPath(path).parent)):
        _conditionally(fs, path, data)
    else:
        _claimed(fs, path, data)


@lru_cache(maxsize=64)
def _refuses(fs: Any, folder: str) -> bool:
    """Whether the server refuses to create an object that is there; tried out once a process and folder."""
    path = f"{folder}/.tmp-{secrets.token_hex(8)}"
    fs.pipe_file(path, b"1", mode="create")
    try:
        fs.pipe_file(path, b"2", mode="create")
    except OSError:
        return True
    else:
        return False
    finally:
        fs.rm_file(path)


def _conditionally(fs: Any, path: str, data: bytes) -> None:
    try:
        fs.pipe_file(path, data, mode="create")
    except FileExistsError:
        _require_equal(fs, path, data)  # a request sent twice, because the answer to the first was lost, is ours
    except OSError as error:  # some servers do not say which condition was not met
        try:
            _require_equal(fs, path, data)
        except FileNotFoundError:
            raise error from None


def _claimed(fs: Any, path: str, data: bytes) -> None:
    for _ in range(ATTEMPTS):
        if _alone(fs, path, data):
            return
        time.sleep(random.uniform(0.1, 1.0))  # so that one of the two comes first
    raise FileExistsError(f"{path} is being created by another process")


def _alone(fs: Any, path: str, data: bytes) -> bool:
    """Whoever sees another's claim beside its own gives way; whoever sees none writes before its claim goes."""
    pure = PurePosixPath(path)
    claims, mine = pure.with_name(f".tmp-{pure.name}"), secrets.token_hex(8)
    fs.pipe_file(f"{claims}/{mine}", b"1")
    try:
        fs.invalidate_cache()
        names = {PurePosixPath(one["name"]).name for one in fs.ls(str(claims), detail=True) if _is_fresh(one)}
        if names != {mine}:
            return False
        try:
            _require_equal(fs, path, data)
        except FileNotFoundError:
            fs.pipe_file(path, data)
        return True
    finally:
        fs.rm_file(f"{claims}/{mine}")


def _is_fresh(found: dict[str, Any]) -> bool:
    written = found.get("LastModified")
    return not isinstance(written, datetime) or datetime.now(UTC) - written < timedelta(seconds=CLAIM_SECONDS)


def _require_equal(fs: Any, path: str, data: bytes) -> None:
    """FileExistsError unless the object holds `data`; FileNotFoundError if there is none."""
    if fs.cat_file(path) != data:
        raise FileExistsError(f"{path} exists")
