"""The round: sample, review, train, audit, decide, sample again; resumable at every step.

    round 0     the base answers; its audit answers and the first queue go to the reviewers
    round n     seal -> curate -> build -> SFT -> DPO, reward -> sample -> audit items
                ... waiting for reviews ...
                seal the audit -> evaluate -> gates -> decision
                ... waiting for a lead's approval, when the advance gate passed ...
                the champion answers new prompts -> queue
                ... waiting for reviews, then round n + 1

Nothing here talks to Argilla. Ratings arrive in the store, the queue leaves through it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from alignment import gates, registry, steps
from alignment.evaluation import report
from alignment.project import Project
from alignment.steps import Round
from feedback.config import Strict, validate
from feedback.errors import InvalidInput, NothingToDo
from feedback.gold import corrections
from feedback.ids import PolicyId
from feedback.lineage import Manifest, manifest_hash, read_manifest, writing
from feedback.schemas import Purpose, ReviewItem

AUTO = "auto-approve"
"""The actor of a promotion that no person approved; the demo's."""


NO_ROUNDS = "this form judges no answers, so there are no rounds; queue texts to be labelled with `redpen review texts FILE`"


class RoundState(Strict):
    """Where the project stands."""

    round: int
    waiting_for: Literal["reviews", "approval", "nothing", "work"]
    """`nothing`: the last round asked for is done. `work`: `redpen round run` has something to do."""
    reviews: int = 0
    """Reviews still missing before it can go on."""
    stands: Literal["", "begun", "reviewed", "decided"] = ""
    due: str = ""
    """What `redpen round run` has to do, when that is what it waits for, and how far the round got before."""

    def __str__(self) -> str:
        match self.waiting_for:
            case "reviews":
                return f"waiting: {self.reviews} reviews"
            case "approval":
                return (f"waiting: a lead's approval of round {self.round} "
                        f"(`redpen round approve {self.round} --reason ...`, or --decline)")
            case "nothing":
                return f"done: round {self.round}"
            case "work":
                return f"{self.stands} ({self.due} due: `redpen round run`, or leave it to `redpen serve`)"


class Decision(Strict):
    """What the gates said about a round's candidate."""

    kind: Literal["decision"] = "decision"
    round: int
    candidate: PolicyId
    champion: PolicyId | None
    """None in round 0, where the base is judged alone."""
    attempt: int
    """Which candidate of the project this is; the ship gate spends its alpha over them."""
    advance: gates.Gate | None
    ship: gates.Gate


def run(project: Project, *, until: int | None = None, auto_approve: bool = False) -> RoundState:
    """Do everything that is due and say what it is waiting for.

    `until`: stop after that round's decision. Raises Locked when another worker runs, NothingToDo when a round's
    ratings hold nothing to train on (new answers are queued before it is raised), InvalidInput for a form that judges nothing.
    """
    if not project.rubric.judges:
        raise InvalidInput(f"{project.folder / project.config.rubric}: {NO_ROUNDS}")
    _ = project.rubric, project.prompts, project.gold  # a mistake in a file is told before anything starts
    with project.lock(), project.open_store() as store:
        store.append_gold(corrections(project.gold, store.items(purpose=Purpose.GOLD)))
        state = _go_on(Round(project, store, _current(project)), until=until, auto_approve=auto_approve)
        while state is None:
            state = _go_on(Round(project, store, _current(project)), until=until, auto_approve=auto_approve)
        return state


def _current(project: Project) -> int:
    """The newest round; a new one when that is closed by its queue."""
    numbers = project.round_numbers
    return numbers[-1] if numbers else 0


def _go_on(r: Round, *, until: int | None, auto_approve: bool) -> RoundState | None:
    """Bring one round as far as it goes; None when its successor may start."""
    if not _closed(r):
        if not r.done(steps.DECISION):
            prepare(r)
            if not r.done(steps.AUDIT_SNAPSHOT) and (state := _wait_for_audit(r)):
                return state
        decision = judge(r)
        if auto_approve:
            approve_automatically(r, decision)
        if needs_approval(r, decision):
            return RoundState(round=r.number, waiting_for="approval")
    if until is not None and r.number >= until:
        return RoundState(round=r.number, waiting_for="nothing")
    steps.queue(r)
    if state := _wait_for_queue(r):
        return state
    r.project.round(r.number + 1).mkdir(parents=True, exist_ok=True)
    return None


def _closed(r: Round) -> bool:
    """Its queue is out, and its candidate, if it had one, was judged."""
    return r.done(steps.QUEUE) and (r.done(steps.DECISION) or (r.number > 0 and not r.done(steps.AUDIT_ITEMS)))


def prepare(r: Round) -> None:
    """Everything up to the audit items. Raises NothingToDo, with new answers queued, when the ratings train nothing."""
    r.project.round(r.number).mkdir(parents=True, exist_ok=True)
    if r.number > 0:
        try:
            train(r)
        except NothingToDo as error:
            steps.queue(r)
            raise NothingToDo(f"round {r.number}: {error}\nNew answers were queued; the next round trains on all ratings "
                              "that no promoted policy has learned from.") from error
    steps.samples(r)
    steps.champion_samples(r)
    steps.audit_items(r)
    if r.number == 0:
        steps.queue(r)


def train(r: Round) -> None:
    """From the sealed ratings to a candidate. Raises NothingToDo when neither SFT nor DPO has anything to learn from."""
    steps.snapshot(r)
    steps.curated(r)
    steps.training_sets(r)
    trained = [steps.sft(r), steps.dpo(r)]
    if not any(trained):
        raise NothingToDo(f"{r.at(steps.SETS)}: too few demonstrations and pairs to train on; see card.json for what was found")
    steps.reward(r)
    steps.rl(r)


def judge(r: Round) -> Decision:
    """Seal the audit, evaluate the candidate against the champion, and ask the gates."""
    from feedback.store.snapshot import seal

    sealed = steps.kept(r.at(steps.AUDIT_SNAPSHOT), lambda: seal(
        r.store, purpose=Purpose.AUDIT, rounds=(r.number,), rubric=r.project.rubric, out=r.at(steps.AUDIT_SNAPSHOT),
        mask=steps.mask_of(r.project)))
    snapshots = [*(r.project.round(n) / steps.AUDIT_SNAPSHOT for n in _judged_before(r)), sealed]
    asked = [r.at(step) for step in (steps.SAMPLES, steps.CHAMPION_SAMPLES) if r.done(step)]
    candidate, champion = _judged_policies(r)
    config = report.EvaluationStage(candidate=candidate, champion=champion)
    steps.made(r.at(steps.EVALUATION), config, [*snapshots, *asked], lambda: report.run(
        config, audit_snapshots=snapshots, asked=asked, out=r.at(steps.EVALUATION)))
    steps.made(r.at(steps.DECISION), r.project.config.gates, [r.at(steps.EVALUATION)], lambda: _decide(r))
    return read_decision(r.at(steps.DECISION))


def _judged_before(r: Round) -> list[int]:
    return [n for n in r.project.round_numbers if n < r.number and (r.project.round(n) / steps.AUDIT_SNAPSHOT).is_dir()]


def _judged_policies(r: Round) -> tuple[PolicyId, PolicyId | None]:
    if r.number == 0 or r.candidate_adapter is None:
        return steps.base_policy(r.project), None
    candidate = registry.register(r.project.policies, r.candidate_adapter)
    return candidate, r.champion or steps.base_policy(r.project)


def _decide(r: Round) -> Manifest:
    evaluated = report.read_report(r.at(steps.EVALUATION))
    config = r.project.config.gates
    candidate, champion = _judged_policies(r)
    # Round 0's base is not a candidate: nobody tries to ship what the project began with.
    attempt = len([n for n in _judged_before(r) if n > 0]) + 1
    planned = sum(prompt.critical for prompt in steps.audit_list(r)) or None
    decision = Decision(round=r.number, candidate=candidate, champion=champion, attempt=attempt,
                        advance=gates.advance(evaluated, config.advance) if champion else None,
                        ship=gates.ship(evaluated, config.ship, attempt=attempt, planned=planned))
    with writing(r.at(steps.DECISION), stage="decision", inputs={steps.EVALUATION: manifest_hash(r.at(steps.EVALUATION))},
                 config=config) as draft:
        (draft.folder / "decision.json").write_text(decision.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return read_manifest(r.at(steps.DECISION))


def read_decision(folder: Path) -> Decision:
    """The decision in a finished `11_decision`."""
    path = folder / "decision.json"
    return validate(json.loads(path.read_text(encoding="utf-8")), Decision, source=str(path))


def needs_approval(r: Round, decision: Decision) -> bool:
    """The advance gate passed and no lead has decided yet."""
    passed = decision.advance is not None and decision.advance.outcome == "pass"
    return passed and registry.decided(r.store, r.number) is None


def approve_automatically(r: Round, decision: Decision) -> None:
    """What a lead would approve, approved by nobody; the event says so."""
    reason = "auto-approve: no person decided this"
    if needs_approval(r, decision):
        registry.decide(r.store, registry.PROMOTION, round=r.number, policy_id=decision.candidate, actor=AUTO, reason=reason)
    shipped = {event.payload["round"] for event in r.store.events(registry.SHIPMENT)}
    if decision.ship.outcome == "pass" and r.number not in shipped:
        registry.decide(r.store, registry.SHIPMENT, round=r.number, policy_id=decision.candidate, actor=AUTO, reason=reason)


def standing(project: Project) -> RoundState:
    """Where the newest round stands; makes and changes nothing."""
    with project.open_store() as store:
        r = Round(project, store, _current(project))
        if _closed(r):
            return _wait_for_queue(r) or _due(r, "reviewed", f"round {r.number + 1} is")
        if r.done(steps.DECISION):
            if needs_approval(r, read_decision(r.at(steps.DECISION))):
                return RoundState(round=r.number, waiting_for="approval")
            return _due(r, "decided", "new answers to review are")
        if r.done(steps.AUDIT_ITEMS):
            return _wait_for_audit(r) or _due(r, "reviewed", "its gates are")
        return _due(r, "begun", "its candidate is")


def _due(r: Round, stands: Literal["begun", "reviewed", "decided"], what: str) -> RoundState:
    return RoundState(round=r.number, waiting_for="work", stands=stands, due=what)


def _wait_for_audit(r: Round) -> RoundState | None:
    return _wait(r, "audit", r.store.items(purpose=Purpose.AUDIT, round=r.number), spare=0)


def _wait_for_queue(r: Round) -> RoundState | None:
    items = r.store.items(purpose=Purpose.TRAIN, round=r.number)
    if not items:
        raise NothingToDo(f"{r.project.folder / r.project.config.prompts}: no prompt gave an answer to review; every family is "
                          "held out or every answer empty. Add prompts")
    wanted = sum(item.reviews for item in items)
    return _wait(r, "queue", items, spare=int(wanted * (1 - r.project.config.queues.enough)))


def _wait(r: Round, what: Literal["audit", "queue"], items: Sequence[ReviewItem], *, spare: int) -> RoundState | None:
    """A state to wait in, unless at most `spare` reviews are missing or someone asked to go on with what there is."""
    missing = sum(r.store.missing_reviews(items).values()) - spare
    asked = any(event.payload == {"round": r.number, "waiting_for": what} for event in r.store.events(registry.REQUEST))
    if missing <= 0 or asked:
        return None
    return RoundState(round=r.number, waiting_for="reviews", reviews=missing)


def request(project: Project, *, actor: str, reason: str) -> RoundState:
    """Ask the worker to go on with the reviews there are, instead of waiting for the rest; audit answers without
    their reviews count against the candidate."""
    with project.open_store() as store:
        r = Round(project, store, _current(project))
        what = "queue" if r.done(steps.AUDIT_SNAPSHOT) else "audit"
        store.append_event(registry.REQUEST, {"round": r.number, "waiting_for": what}, actor=actor, reason=reason,
                           at=datetime.now(UTC))
        return RoundState(round=r.number, waiting_for="nothing")


def approve(project: Project, number: int, *, gate: Literal["advance", "ship"], decline: bool, actor: str, reason: str) -> str:
    """Append a lead's decision and return the event's kind. Raises InvalidInput where the gate did not pass or it was decided."""
    folder = project.round(number) / steps.DECISION
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: round {number} has no decision yet; `redpen round status` says what it waits for")
    decision = read_decision(folder)
    judged = decision.advance if gate == "advance" else decision.ship
    if judged is None or (judged.outcome != "pass" and not decline):
        said = judged.outcome if judged else "not asked: round 0 judges the base alone"
        raise InvalidInput(f"round {number}: the {gate} gate says {said}; only a pass can be approved")
    kind = registry.DECLINED if decline else registry.PROMOTION if gate == "advance" else registry.SHIPMENT
    with project.open_store() as store:
        registry.decide(store, kind, round=number, policy_id=decision.candidate, actor=actor, reason=reason)
    return kind
