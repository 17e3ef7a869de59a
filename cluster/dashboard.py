"""How a Ray dashboard answers, in one sentence each: nobody there, somebody else, no token, a wrong one, an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import requests
from ray.exceptions import AuthenticationError

FAILED_REQUEST = re.compile(r"Request failed with status code (\d+): (.*)\.", re.DOTALL)


class JobsError(OSError):
    """The cluster refused; the message says what to do. `status` is the HTTP status, 0 where there is none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class UnreachableError(JobsError):
    """The cluster does not answer: it may do so later."""


def checked(address: str) -> str:
    """`address` without a slash at its end. ValueError unless it is the URL of a machine, without a password.

    Ray would take other texts for the name of a module to import, or search for a cluster on this machine.
    """
    try:
        parts = urlsplit(address.strip())
        good = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:  # of a port that is no number
        good = False
    if not good:
        raise ValueError("the address of a cluster must be like http://head:8265, without user and password")
    return address.strip().rstrip("/")


@contextmanager
def telling(address: str, *, connecting: bool = False) -> Iterator[None]:
    """Turns what Ray's client raises in the block into JobsError and UnreachableError."""
    correct = "correct --address (or RAY_API_SERVER_ADDRESS)"
    try:
        yield
    except JobsError:
        raise
    except AuthenticationError as error:
        raise _refused(address, 401 if error.message.startswith("Authentication required") else 403) from None
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (401, 403):
            raise _refused(address, error.status) from None
        raise UnreachableError(f"{address} shows no log (HTTP {error.status}): try again", error.status) from None
    except (requests.Timeout, TimeoutError):
        raise UnreachableError(f"{address} takes too long to answer: look after its head, or {correct}") from None
    except (requests.ConnectionError, ConnectionError, aiohttp.ClientError) as error:
        text = f"nothing answers at {address}: start a cluster there with `caviar up`, or {correct}"
        if isinstance(error.__context__, requests.exceptions.SSLError):
            text = f"{address} shows no certificate to trust: name its issuer in REQUESTS_CA_BUNDLE, or {correct}"
        raise UnreachableError(text) from None
    except (RuntimeError, ValueError, KeyError, TypeError, requests.RequestException) as error:
        if connecting:
            text = f"{address} answers, but is no Ray dashboard, whose port is 8265 if none was chosen: {correct}"
            raise JobsError(text) from None
        raise _failed(address, error) from error


def _refused(address: str, status: int) -> JobsError:
    copy = "copy it from the head, where RAY_AUTH_TOKEN_PATH names it, too"
    if status == 401:
        text = "demands a token, and none was sent (401): set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH to a file "
        return JobsError(f"{address} {text}with the cluster's token; {copy}", status)
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()
    sent = "RAY_AUTH_TOKEN" if "RAY_AUTH_TOKEN" in os.environ else str(file) if file.is_file() else f"{file}, no file"
    text = f"does not accept the token in {sent} (403): set RAY_AUTH_TOKEN_PATH to a file with the cluster's token"
    return JobsError(f"{address} {text}; {copy}", status)


def _failed(address: str, error: Exception) -> JobsError:
    """A refusal in Ray's words; of a traceback only its last line."""
    found = FAILED_REQUEST.fullmatch(str(error))
    status, text = (int(found[1]), found[2]) if found else (0, str(error) or repr(error))
    lines = [line for line in text.splitlines() if line.strip(" .")]
    return JobsError(f"{address} refused: {lines[-1] if lines else 'no reason given'}", status)
