"""How calls are judged: by rules of the business, with evidence, and corrected by a person whom everything follows."""

from datetime import datetime, timedelta, timezone

import pytest

from outside.people import bad_fields, error_code, unique
from outside.platform import eventually

CONFIGS = "/api/v1/config/business"
GREETING = "Hello, this is Ava. Your savings are safe. How can I help you?"


def talked_in(owner, carrier, number, *words) -> dict:
    """A finished call, once its score is there."""
    call = carrier.ring(number).answer()
    for each in words or ("What are your prices?", "Thank you, that was helpful."):
        call.say(each)
    call.hang_up(seconds=20)
    record = owner.wait_for_call(call.sid, status="completed")
    # Of all its words, not only of those before its end.
    eventually(lambda: owner.call(record["id"]).get("qa_score") is not None, 15, "the call is scored")
    return record


def quality(person, call: dict) -> dict:
    return person.get(f"/api/v1/calls/{call['id']}/qa")


def correct(person, call: dict, body: dict, **how):
    return person.ask("PATCH", f"/api/v1/calls/{call['id']}/qa", body, **how)


def analytics(person, what: str) -> dict:
    today = datetime.now(timezone.utc).date()
    return person.get(f"/api/v1/analytics/{what}", from_date=str(today - timedelta(days=1)),
                      to_date=str(today + timedelta(days=1)))


def test_every_part_of_a_score_names_the_utterances_it_rests_on(owner, carrier):
    call = talked_in(owner, carrier, owner.number()["phone_number"])
    found = quality(owner, call)
    said = {line["id"] for line in owner.get(f"/api/v1/calls/{call['id']}/interactions")["interactions"]}
    by_criterion = {}
    for entry in found["evidence"]:
        assert set(entry["interaction_ids"]) <= said and 0 <= entry["points"] <= 1
        by_criterion.setdefault(entry["criterion"], []).append(entry)
    for criterion in ("sentiment", "compliance", "accuracy", "professionalism"):
        entries = by_criterion[criterion]
        assert any(entry["interaction_ids"] for entry in entries)
        points = sum(entry["points"] for entry in entries)
        assert found["qa_score"][f"{criterion}_score"] == pytest.approx(max(0, 1 - points))
    issues = [entry["issue"] for entry in found["evidence"] if "issue" in entry]
    assert sorted(issues) == sorted(found["qa_score"]["compliance_issues"] + found["qa_score"]["flagged_issues"])


def test_a_correction_reaches_the_list_the_stream_the_figures_and_the_history(owner, carrier, streams):
    call = talked_in(owner, carrier, owner.number()["phone_number"])
    stream = streams(owner)
    first = answer = None

    def corrected():
        nonlocal first, answer
        # Words that are stored after the end of a call score it anew: the correction is then of an old score.
        first = owner.ask("GET", f"/api/v1/calls/{call['id']}/qa")
        answer = correct(owner, call, {
            "overall_score": 0.125, "sentiment_label": "negative", "compliance_issues": ["Spoke of another customer."],
            "review_notes": "Listened to it."}, headers={"If-Match": first.headers["ETag"]})
        return answer.status_code != 412
    eventually(corrected, 10, "the correction is of the present score")
    assert answer.status_code == 200, answer.text
    before = first.json()
    assert before["qa_score"]["reviewed_by"] == "qa-rubric-v1" and not before["is_reviewed"]
    after = answer.json()
    assert after["qa_score"]["reviewed_by"] == "Sam Example" and after["is_reviewed"] and after["is_below_threshold"]
    assert after["qa_score"]["accuracy_score"] == before["qa_score"]["accuracy_score"]

    frame = stream.wait_for(lambda frame: frame["event"] == "qa.score.updated"
                            and frame["data"]["qa_score"]["overall_score"] == 0.125)
    assert frame["data"]["call_id"] == call["id"] and frame["data"]["qa_score"] == after["qa_score"]

    def listed(**query):
        return [each["id"] for each in owner.get("/api/v1/calls", **query)["calls"]]
    eventually(lambda: listed(max_qa_score=0.2) == [call["id"]], 5, "the list knows the new score")
    assert listed(min_qa_score=0.2) == [] and listed(sentiment="negative") == [call["id"]]
    detail = owner.get(f"/api/v1/calls/{call['id']}")
    assert detail["qa_scores"] == after["qa_score"]

    assert analytics(owner, "overview")["average_qa_score"] == pytest.approx(0.125)
    assert analytics(owner, "overview")["qa_score_distribution"] == {"excellent": 0, "good": 0, "fair": 0, "poor": 1}
    assert "Found by reviewer" in [each["issue"] for each in analytics(owner, "qa")["top_issues"]]

    # The score it is based on is no longer the present one.
    late = correct(owner, call, {"overall_score": 1}, headers={"If-Match": first.headers["ETag"]})
    assert late.status_code == 412
    assert correct(owner, call, {"overall_score": 0.5, "review_notes": None}).status_code == 200
    changes = owner.get(f"/api/v1/calls/{call['id']}/qa/history")["changes"]
    mine = [each for each in changes if each.get("changed_by_id") == owner.user["id"]]
    assert [each["after"]["overall_score"] for each in mine] == [0.5, 0.125]
    assert mine[0]["before"] == {"overall_score": 0.125, "review_notes": "Listened to it."} | {
        name: value for name, value in mine[0]["before"].items() if name == "flagged_issues"}
    assert mine[1]["changed_by"] == "Sam Example"
    assert mine[1]["before"]["overall_score"] == pytest.approx(before["qa_score"]["overall_score"])
    assert "review_notes" not in quality(owner, call)["qa_score"]


def test_rules_of_the_business_decide_what_is_compliant(owner, carrier):
    def config(quality_assurance):
        body = {"name": unique("bank"), "type": "bank", "config_data": {"quality_assurance": quality_assurance}}
        return owner.post(CONFIGS, body, 201)["config"]
    strict = config({"min_score_threshold": 0.99, "rules": {
        "forbidden_phrases": [{"phrase": "savings are safe", "severity": "critical"}],
        "disclosure": {"required": True, "within_turns": 1, "severity": "low"}}})
    rules = strict["config_data"]["quality_assurance"]["rules"]
    assert rules["recording_notice"] == {"required": False, "within_turns": 2, "phrases": [], "severity": "high"}
    assert rules["required_phrases"] == [] and rules["disclosure"]["phrases"] == []
    agent = owner.agent(greeting=GREETING, business_id=strict["id"])
    call = talked_in(owner, carrier, owner.number(agent)["phone_number"])

    found = quality(owner, call)
    assert found["terms"]["business_id"] == strict["id"] and found["terms"]["version"] == 1
    broken = {entry["code"]: entry for entry in found["evidence"] if entry["criterion"] == "compliance" and "code" in entry}
    greeting = next(line for line in owner.get(f"/api/v1/calls/{call['id']}/interactions")["interactions"]
                    if line["speaker"] == "ai")
    assert {code: entry["points"] for code, entry in broken.items()} == {"forbidden_phrase": 0.5, "no_disclosure": 0.1}
    assert all(entry["interaction_ids"] == [greeting["id"]] for entry in broken.values())
    assert found["qa_score"]["compliance_score"] == pytest.approx(0.4) and found["is_below_threshold"]

    # Off: calls have no score any more, but still their mood.
    answer = owner.ask("PUT", f"{CONFIGS}/{strict['id']}", {
        "name": strict["name"], "type": "bank", "config_data": {"quality_assurance": {"enabled": False}}})
    assert answer.status_code == 200, answer.text
    finished = 1

    def unscored():
        """A new call has no score. The change travels for a moment: a call that was quicker still has one."""
        nonlocal finished
        call = carrier.ring(owner.number(agent)["phone_number"]).answer()
        call.say("Thank you, this is great.")
        call.hang_up(seconds=5)
        record = owner.wait_for_call(call.sid, status="completed", sentiment="positive")
        finished += 1
        eventually(lambda: analytics(owner, "overview")["completed_calls"] == finished, 10, "its end is heard of")
        return quality(owner, record) == {"call_id": record["id"], "evidence": []}
    eventually(unscored, 20, "calls are not scored any more")


@pytest.mark.parametrize("rules, field", [
    ({"forbidden_phrases": ["no risk"]}, "forbidden_phrases[0]"),
    ({"forbidden_phrases": [{"phrase": "!?"}]}, "forbidden_phrases[0].phrase"),
    ({"disclosure": {"within_turns": 0}}, "disclosure.within_turns")])
def test_rules_that_cannot_be_are_named(owner, rules, field):
    answer = owner.ask("POST", CONFIGS, {"name": "x", "type": "y",
                                         "config_data": {"quality_assurance": {"rules": rules}}})
    assert bad_fields(answer) == {f"config_data.quality_assurance.rules.{field}"}


def test_a_call_without_a_score_cannot_be_corrected(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    record = owner.wait_for_call(call.sid, status="in_progress")
    eventually(lambda: owner.ask("GET", f"/api/v1/calls/{record['id']}/qa").status_code == 200, 5, "it is known")
    assert quality(owner, record) == {"call_id": record["id"], "evidence": []}
    answer = correct(owner, record, {"overall_score": 1})
    assert answer.status_code == 409 and error_code(answer) == "CONFLICT"
    call.hang_up()
