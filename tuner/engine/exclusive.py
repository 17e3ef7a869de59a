"""An object that only one of several writers can create, on file systems that fsspec knows."""

from __future__ import annotations

import random
import secrets
import time
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

CLAIM_SECONDS = 120.0  # a claim that is older was left by a writer that died in between
ATTEMPTS = 6


class ClaimedError(FileExistsError):
    """Another writer is creating the object, or died while it did: the message names its claim, which runs out."""


def create(fs: Any, path: str, data: bytes) -> None:
    """Writes the object `path`; FileExistsError if it is there with other bytes, even since a moment ago.

    ClaimedError, which is one, if nobody knows yet whether it will be there.

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
    """Whether the server refuses to create an object that is there; tried out once a process and folder.

    Any other error than the refusal comes through: a server that is busy has not said yet what it does.
    """
    path = f"{folder}/.tmp-{secrets.token_hex(8)}"
    fs.pipe_file(path, b"1")
    try:
        fs.pipe_file(path, b"2", mode="create")
    except OSError as error:
        if not _is_refusal(error):
            raise
        return bool(fs.cat_file(path) == b"1")
    else:
        return False
    finally:
        fs.rm_file(path)


def _is_refusal(error: OSError) -> bool:
    """Some servers do not say which condition was not met, which s3fs makes an error of no class of its own."""
    response = getattr(error.__cause__, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    return isinstance(error, FileExistsError) or code in ("PreconditionFailed", "412")


def _conditionally(fs: Any, path: str, data: bytes) -> None:
    try:
        fs.pipe_file(path, data, mode="create")
    except OSError as error:
        try:
            _require_equal(fs, path, data)  # a request sent twice, because the answer to the first was lost, is ours
        except FileNotFoundError:
            raise error from None


def _claimed(fs: Any, path: str, data: bytes) -> None:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0.1, 1.0))  # so that one of the two comes first
        obstacle = _try_alone(fs, path, data)
        if not obstacle:
            return
    raise ClaimedError(f"{path} is being created by another process, or one died while it did: {obstacle}")


def _try_alone(fs: Any, path: str, data: bytes) -> str:
    """Whoever sees another's claim beside its own gives way, and says which; who sees none writes before its own goes.

    Ages are differences of the server's own times: its clock and ours need not agree.
    """
    pure = PurePosixPath(path)
    claims, mine = pure.with_name(f".tmp-{pure.name}"), secrets.token_hex(8)
    fs.pipe_file(f"{claims}/{mine}", b"1")
    try:
        fs.invalidate_cache()
        written = {PurePosixPath(one["name"]).name: one.get("LastModified") for one in fs.ls(str(claims), detail=True)}
        if mine not in written:
            return f"the listing of {claims} lacks what was just written"
        now = written.pop(mine)
        for name, then in written.items():
            if (left := _seconds_left(then, now)) > 0:
                return f"the claim {claims}/{name} holds for another {left:.0f} seconds"
        try:
            _require_equal(fs, path, data)
        except FileNotFoundError:
            fs.pipe_file(path, data)
        return ""
    finally:
        fs.rm_file(f"{claims}/{mine}")


def _seconds_left(written: Any, now: Any) -> float:
    """How long a claim still holds; one without a time holds for good, or it would not hold at all."""
    if not isinstance(written, datetime) or not isinstance(now, datetime):
        return CLAIM_SECONDS
    return (written - now + timedelta(seconds=CLAIM_SECONDS)).total_seconds()


def _require_equal(fs: Any, path: str, data: bytes) -> None:
    """FileExistsError unless the object holds `data`; FileNotFoundError if there is none."""
    if fs.cat_file(path) != data:
        raise FileExistsError(f"{path} exists")
