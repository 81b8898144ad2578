"""Which policies exist, which one is champion, and who approved it: events only, nothing is ever changed.

The champion is the newest promotion. A decision that a person took back is a newer event, not a deletion.
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime

from feedback.config import Strict, validate
from feedback.errors import InvalidInput, LineageError
from feedback.ids import PolicyId

if TYPE_CHECKING:
    from feedback.store.store import Event, Store

DecisionKind = Literal["promotion", "declined", "shipment"]
PROMOTION: DecisionKind = "promotion"
DECLINED: DecisionKind = "declined"
SHIPMENT: DecisionKind = "shipment"
REQUEST = "request"


class Promotion(Strict):
    """A candidate became champion."""

    round: int
    policy_id: PolicyId
    actor: str
    reason: str
    at: AwareDatetime


def champion(store: Store, *, before_round: int | None = None) -> PolicyId | None:
    """The newest promoted policy, or None while it is the base. `before_round`: as it was when that round began."""
    found = [event for event in store.events(PROMOTION) if before_round is None or event.payload["round"] < before_round]
    return PolicyId(found[-1].payload["policy_id"]) if found else None


def promotions(store: Store) -> list[Promotion]:
    """Every promotion, oldest first."""
    return [Promotion(**event.payload, actor=event.actor, reason=event.reason, at=event.at) for event in store.events(PROMOTION)]


def decide(store: Store, kind: DecisionKind, *, round: int, policy_id: PolicyId, actor: str,
           reason: str) -> Event:
    """Append a person's decision on a round's candidate. Raises InvalidInput without a reason, or when it was decided already."""
    if not reason.strip():
        raise InvalidInput("a decision needs a reason; say why with --reason")
    kinds = (SHIPMENT,) if kind == SHIPMENT else (PROMOTION, DECLINED)
    for earlier in (event for name in kinds for event in store.events(name) if event.payload["round"] == round):
        raise InvalidInput(f"round {round} was decided already: {earlier.kind} by {earlier.actor} ({earlier.reason})")
    payload = {"round": round, "policy_id": policy_id}
    return store.append_event(kind, payload, actor=actor, reason=reason, at=datetime.now(UTC))


def decided(store: Store, round: int) -> str | None:
    """`promotion` or `declined` when a person has decided on the round's candidate."""
    events = [event for kind in (PROMOTION, DECLINED) for event in store.events(kind) if event.payload["round"] == round]
    return events[0].kind if events else None


def register(policies: Path, adapter: Path) -> PolicyId:
    """Copy an adapter folder to `policies/<policy id>` and return the id; a second call changes nothing."""
    policy = policy_of(adapter)
    target = policies / policy
    if not target.exists():
        partial = policies / f"{policy}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(adapter, partial)
        os.replace(partial, target)
    return policy


def policy_of(adapter: Path) -> PolicyId:
    """The policy id that an adapter folder records. Raises LineageError when it records none."""
    path = adapter / "policy.json"
    try:
        return PolicyId(json.loads(path.read_text(encoding="utf-8"))["policy_id"])
    except (OSError, ValueError, KeyError) as error:
        raise LineageError(f"{path}: cannot be read ({error}); the folder is not an adapter that Redpen wrote") from None


def adapter_of(policies: Path, policy: PolicyId | None) -> Path | None:
    """The folder of a registered policy; None for the base. Raises InvalidInput when it is unknown."""
    if policy is None or policy.startswith("base-"):
        return None
    if not (policies / policy).is_dir():
        known = sorted(path.name for path in policies.glob("policy-*"))
        raise InvalidInput(f"{policies / policy}: no such policy; registered: {', '.join(known) or 'none'}")
    return policies / policy


class PolicyRow(Strict):
    """One registered policy, for a table."""

    policy_id: PolicyId
    parent: PolicyId | None
    stage: str
    base: str
    champion: bool
    shipped: bool


def listed(policies: Path, store: Store) -> list[PolicyRow]:
    """Every registered policy, by id."""
    current = champion(store)
    shipped = {event.payload["policy_id"] for event in store.events(SHIPMENT)}
    rows = []
    for folder in sorted(policies.glob("policy-*[!l]")):
        record = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
        kept = {key: record.get(key) for key in ("policy_id", "parent", "stage", "base")}
        rows.append(validate({**kept, "champion": folder.name == current, "shipped": folder.name in shipped}, PolicyRow,
                             source=str(folder / "policy.json")))
    return rows
