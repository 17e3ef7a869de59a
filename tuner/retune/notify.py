"""Verdicts by mail, chat or webhook, through Apprise; what cannot be delivered is told, and fails nothing."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tuner.data.variables import NAME
from tuner.retune.states import Period, State

if TYPE_CHECKING:
    from apprise import NotifyType

DEADLINE_SECONDS = 30.0  # for all addresses together: a server that never ends its answer holds no period up
SCHEME = re.compile(r"[A-Za-z0-9]{1,20}(?=://)")
SHORT = 6  # characters; shorter parts of an address occur in words, too
LONGEST = 300  # characters of a cause
KINDS: Mapping[State, str] = MappingProxyType(
    {
        State.PROMOTED: "SUCCESS",
        State.ROLLED_BACK: "WARNING",
        State.HELD_DATA: "WARNING",
        State.PENDING_APPROVAL: "WARNING",
    }
)


class _Delivery(threading.Thread):
    """Sends to one address. A daemon, for Apprise's own threads, when given up, keep the process from ending."""

    def __init__(self, address: str, title: str, text: str, kind: NotifyType) -> None:
        super().__init__(daemon=True)
        self._address, self._title, self._text, self._kind = address, title, text, kind
        self.failed: str | None = f"no answer within {DEADLINE_SECONDS:.0f} seconds"

    def run(self) -> None:
        try:
            self.failed = self._send()
        except Exception as error:  # 130 plugins of others; none of them may fail a period
            self.failed = _hidden(f"{type(error).__name__}: {error}", self._address)

    def _send(self) -> str | None:
        from apprise import Apprise, AppriseAsset, NotifyFormat

        service = Apprise(asset=AppriseAsset(service_timeout=0))  # 0: in this thread, see above
        if not service.add(self._address):
            return "this is no address that Apprise can read; in a password, special characters are written as %XX"
        sent = service.notify(self._text, self._title, self._kind, body_format=NotifyFormat.TEXT)
        told = " ".join(entry.message for entry in sent.logs())
        return None if sent else _hidden(told, self._address) or "Apprise does not say why"


def notify(addresses: Sequence[str], period: Period, text: str) -> list[str]:
    """Sends `text` about the period to all `addresses` at once; returns what failed, a sentence each. Never raises.

    Addresses are written as Apprise wants them; ${NAME} in one is that environment variable. The sentences name an
    address by its place and scheme alone: everything else of it may be a secret.
    """
    if not addresses:
        return []
    logging.getLogger("apprise").propagate = False  # what it has to say is returned
    from apprise import NotifyType

    title = f"{period.model} {period.period}: {period.state.replace('_', ' ')}"
    kind = NotifyType[KINDS.get(period.state, "INFO")]
    sending = [_begun(address, title, text, kind) for address in addresses]
    until, failures = time.monotonic() + DEADLINE_SECONDS, []
    for place, (address, delivery) in enumerate(zip(addresses, sending, strict=True), 1):
        if isinstance(delivery, _Delivery):
            delivery.join(max(until - time.monotonic(), 0))
            why = delivery.failed
        else:
            why = delivery
        if why:
            which = f"address {place} of {len(addresses)} ({_shown(address)})"
            failures.append(f"nothing could be sent to {which} about period {period.period} of {period.model}: {why}")
    return failures


def _begun(address: str, title: str, text: str, kind: NotifyType) -> _Delivery | str:
    """The delivery under way, or why there is none."""
    whole, absent = _expanded(address)
    if absent:
        return f"it names ${{{absent[0]}}}, which the environment lacks: set {absent[0]}"
    delivery = _Delivery(whole, title, text, kind)
    delivery.start()
    return delivery


def _expanded(address: str) -> tuple[str, list[str]]:
    """`address` with its variables replaced, and the names of those that there are not.

    Unlike a spec's, which may be a stranger's, a policy's variables are all allowed: it is the scheduler owner's file.
    """
    absent = [name for name in NAME.findall(address) if name not in os.environ]
    return NAME.sub(lambda found: os.environ.get(found[1], ""), address), absent


def _shown(address: str) -> str:
    """What of an address is no secret: its scheme, or the variable that holds all of it."""
    if NAME.fullmatch(address):
        return address
    scheme = SCHEME.match(address)
    return f"{scheme[0]}://***" if scheme else "***"


def _hidden(told: str, address: str) -> str:
    """What Apprise told, in one line, without any part of the address, whatever part it is."""
    parts = {part for text in (address, unquote(address)) for part in re.split(r"[:/?&=@+,;\s]+", text) if part}
    for part in sorted(parts - {"http", "https"}, key=len, reverse=True):
        pattern = re.escape(part) if len(part) >= SHORT else rf"(?<!\w){re.escape(part)}(?!\w)"
        told = re.sub(pattern, "***", told)
    return " ".join(told.split())[:LONGEST]
