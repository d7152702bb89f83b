"""Document 003 §3: the manager's figures and reports, of calls that really happened."""

import csv
import io
import time
from datetime import datetime, timedelta, timezone

import pytest
import requests
from pypdf import PdfReader

from outside.people import bad_fields, error_code, unique_number
from outside.platform import eventually

ANALYTICS = "/api/v1/analytics"


def today():
    return datetime.now(timezone.utc).date()


def days() -> dict:
    """Yesterday to tomorrow: the calls of a test are in it, also when it runs over midnight."""
    return {"from_date": str(today() - timedelta(days=1)), "to_date": str(today() + timedelta(days=1))}


@pytest.fixture
def busy(owner, carrier):
    """Three finished calls, two of them talked in, one of an unhappy customer; scored by the time they are given."""
    number = owner.number()["phone_number"]
    silent = carrier.ring(number)
    silent.ask_for_instructions()
    silent.report("completed", 3, CallDuration="10")
    owner.wait_for_call(silent.sid, status="completed")
    for words, seconds in (("Thank you, this is wonderful, great help!", 20), ("This is terrible and awful.", 30)):
        call = carrier.ring(number).answer()
        call.say(words)
        call.hang_up(seconds=seconds)
        owner.wait_for_call(call.sid, status="completed")
    eventually(lambda: overview(owner)["sentiment_distribution"]["negative"] == 1
               and sum(overview(owner)["qa_score_distribution"].values()) == 2, 15, "the calls are scored")
    return owner


def overview(person, **query) -> dict:
    return person.get(f"{ANALYTICS}/overview", **(days() | query))


def exported(person, **body):
    return person.ask("POST", f"{ANALYTICS}/export", days() | body)


# ---- figures


def test_the_overview_counts_what_happened(busy):
    found = overview(busy)
    assert set(found) == {
        "total_calls", "active_calls", "completed_calls", "failed_calls", "escalated_calls", "average_qa_score",
        "average_call_duration", "escalation_rate", "sentiment_distribution", "qa_score_distribution"}
    assert (found["total_calls"], found["completed_calls"], found["active_calls"]) == (3, 3, 0)
    assert found["average_call_duration"] == pytest.approx(20)
    assert 0 < found["average_qa_score"] <= 1 and found["escalation_rate"] == 0
    assert found["sentiment_distribution"]["positive"] >= 1
    # The default range is the last seven days, up to now.
    assert busy.get(f"{ANALYTICS}/overview")["total_calls"] == 3


def test_a_score_is_the_mean_of_the_calls_own(busy):
    def found():
        calls = busy.get("/api/v1/calls")["calls"]
        # Where nobody spoke the score is 0 and counts for nothing.
        scores = [call["qa_score"] for call in calls if call.get("qa_score")]
        return scores if len(scores) == 2 else None
    scores = eventually(found, 10, "the calls show their scores")
    assert overview(busy)["average_qa_score"] == pytest.approx(sum(scores) / len(scores), abs=1e-9)


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_call_volume_adds_up_in_every_zone_and_width(busy, interval, zone):
    data = busy.get(f"{ANALYTICS}/call-volume", **days(), interval=interval, timezone=zone)["data"]
    assert sum(point["total_calls"] for point in data) == 3
    assert sum(point["inbound_calls"] for point in data) == 3 and sum(point["outbound_calls"] for point in data) == 0
    assert all(set(point) == {"period", "total_calls", "inbound_calls", "outbound_calls", "completed_calls",
                              "escalated_calls"} for point in data)
    periods = [point["period"] for point in data]
    assert len(set(periods)) == len(periods)
    assert len(data) == {"hour": 72, "day": 3}.get(interval, len(data)), "empty periods are there too"
    none = busy.get(f"{ANALYTICS}/call-volume", **days(), interval=interval, timezone=zone, direction="outbound")["data"]
    assert len(none) == len(data) and not any(point["total_calls"] for point in none)


def test_quality_sentiment_and_escalations_have_their_fields(busy):
    quality = busy.get(f"{ANALYTICS}/qa", **days())
    assert set(quality["average_scores"]) == {"overall", "sentiment", "compliance", "accuracy", "professionalism"}
    assert sum(band["count"] for band in quality["score_distribution"]) == 2
    assert sum(band["percentage"] for band in quality["score_distribution"]) == pytest.approx(100)
    assert [point["period"] for point in quality["trends"]] == [str(today() + timedelta(days=n)) for n in (-1, 0, 1)]
    assert all(set(issue) == {"issue", "count", "percentage"} for issue in quality["top_issues"])

    sentiment = busy.get(f"{ANALYTICS}/sentiment", **days())
    assert sentiment["distribution"]["negative"] == 1
    assert -1 <= sentiment["average_sentiment_score"] <= 1
    assert set(sentiment["trends"][0]) == {"period", "positive", "neutral", "negative", "average_score"}
    assert set(sentiment["correlation"]) == {"sentiment_vs_qa", "sentiment_vs_escalation"}
    # Two calls make a line: the happier one has the better score.
    assert sentiment["correlation"]["sentiment_vs_qa"] == pytest.approx(1)

    escalations = busy.get(f"{ANALYTICS}/escalations", **days())
    assert escalations["total_escalations"] == 0 and escalations["by_trigger_type"] == []
    assert escalations["by_status"] == {"pending": 0, "in_progress": 0, "completed": 0, "cancelled": 0}


def test_an_escalation_shows_until_it_is_over(owner, slow_call):
    owner.human()
    call = slow_call(owner, owner.number()["phone_number"])
    owner.post(f"/api/v1/calls/{call.id}/escalate", {"reason": "wants a person"})

    def escalations():
        return owner.get(f"{ANALYTICS}/escalations", **days())
    eventually(lambda: escalations()["total_escalations"] == 1, 10, "the escalation counts")
    assert escalations()["by_trigger_type"] == [{"trigger_type": "manual", "count": 1, "percentage": 100}]
    assert escalations()["escalation_rate"] == 100 and overview(owner)["escalated_calls"] == 1
    call.finish()
    eventually(lambda: escalations()["by_status"]["completed"] + escalations()["by_status"]["cancelled"] == 1, 20,
               "the escalation is over")
    assert sum(escalations()["by_status"].values()) == 1


def test_figures_follow_a_call_within_a_second(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"])
    call.ask_for_instructions()
    owner.wait_for_call(call.sid)
    began = time.monotonic()
    eventually(lambda: overview(owner)["active_calls"] == 1, 5, "the call counts")
    assert time.monotonic() - began < 1
    call.report("completed", 3, CallDuration="5")
    eventually(lambda: overview(owner)["completed_calls"] == 1 and overview(owner)["active_calls"] == 0, 5, "it ended")


def test_calls_of_others_are_not_counted(busy, stranger, admin):
    assert overview(stranger)["total_calls"] == 0
    assert overview(admin)["total_calls"] >= 3
    for report in ("calls", "full"):
        assert "+1415" not in exported(stranger, format="csv", report_type=report).text


def test_a_business_of_others_has_no_calls(owner, stranger):
    business = owner.post("/api/v1/config/business", {"name": "Mine", "type": "retail"}, 201)["config"]["id"]
    owner.number()
    call = owner.post("/api/v1/calls/initiate", {
        "to_number": unique_number()[:-4] + "0001", "business_id": business}, 201)["call"]
    eventually(lambda: overview(owner, business_id=business)["failed_calls"] == 1, 20, f"call {call['id']} has failed")
    assert overview(stranger, business_id=business)["total_calls"] == 0
    assert len(exported(stranger, format="csv", report_type="calls", business_id=business).text.splitlines()) == 1
    assert len(exported(owner, format="csv", report_type="calls", business_id=business).text.splitlines()) == 2


@pytest.mark.parametrize("path", ["overview", "call-volume", "qa", "sentiment", "escalations"])
@pytest.mark.parametrize("query, field", [
    ({"from_date": "yesterday"}, "from_date"), ({"from_date": "2026-03-02", "to_date": "2026-03-01"}, "to_date"),
    ({"timezone": "Mars"}, "timezone"), ({"business_id": "7"}, "business_id"), ({"colour": "green"}, "colour")])
def test_a_bad_question_names_the_parameter(owner, path, query, field):
    answer = owner.ask("GET", f"{ANALYTICS}/{path}", params=days() | query)
    assert bad_fields(answer) == {field} and error_code(answer) == "VALIDATION_ERROR"


def test_figures_need_a_token(platform):
    for path in ("overview", "call-volume", "qa", "sentiment", "escalations"):
        assert requests.get(f"{platform.url}{ANALYTICS}/{path}", timeout=10).status_code == 401
    assert requests.post(f"{platform.url}{ANALYTICS}/export", json={}, timeout=10).status_code == 401


# ---- reports


@pytest.mark.parametrize("report", ["overview", "calls", "qa", "sentiment", "escalations", "full"])
def test_every_report_is_a_csv_that_a_reader_reads(busy, report):
    answer = exported(busy, format="csv", report_type=report)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8"), newline=""), strict=True))
    assert {len(row) for row in rows} == {len(rows[0])}
    if report in ("calls", "full"):
        place = rows[0].index("from_number")
        assert [row[place] for row in rows[1:] if row[place]] == ["+14155557301"] * 3
    if report in ("overview", "full"):
        assert ["overview", "totals", "", "total_calls", "3"] in [row[:5] for row in rows]


def test_a_callers_number_cannot_be_a_formula(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"])
    call.caller = "=HYPERLINK(1)"
    call.ask_for_instructions()
    call.report("completed", 3, CallDuration="5")
    found = eventually(lambda: [line for line in exported(owner, format="csv", report_type="calls").text.splitlines()[1:]
                                if "HYPERLINK" in line or "completed" in line], 10, "the call is exported")
    assert all(not cell.startswith(("=", "@", "-", "\t")) for row in csv.reader(found) for cell in row)


@pytest.mark.parametrize("report", ["overview", "calls", "qa", "sentiment", "escalations", "full"])
@pytest.mark.parametrize("charts", [True, False])
def test_every_report_is_a_pdf_with_title_and_page_numbers(busy, report, charts):
    answer = exported(busy, format="pdf", report_type=report, include_charts=charts)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/pdf"
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages]
    assert "Switchboard" in pages[0]
    for number, text in enumerate(pages, start=1):
        assert f"Page {number}" in text
    if report in ("calls", "full"):
        assert "+14155557301" in "".join(pages)


def test_a_report_as_a_job_is_asked_for_and_fetched(busy, stranger):
    asked = busy.ask("POST", f"{ANALYTICS}/export", days() | {"format": "pdf", "report_type": "full"},
                     headers={"Prefer": "respond-async"})
    assert asked.status_code == 202, asked.text
    url = asked.json()["status_url"]
    done = eventually(lambda: busy.get(url) if busy.get(url)["status"] == "completed" else None, 20, "the report is made")
    assert done["progress"] == 100
    file = busy.ask("GET", done["download_url"])
    assert file.status_code == 200 and len(file.content) == done["size"]
    assert len(PdfReader(io.BytesIO(file.content)).pages) >= 1
    for path in (url, f"{url}/file"):
        answer = stranger.ask("GET", path)
        assert answer.status_code == 404 and error_code(answer) == "JOB_NOT_FOUND"


@pytest.mark.parametrize("body, field", [
    ({"format": "docx"}, "format"), ({"report_type": "all"}, "report_type"), ({"include_charts": "x"}, "include_charts"),
    ({"from_date": "2026-03-02", "to_date": "2026-03-01"}, "to_date"), ({"timezone": "Mars"}, "timezone")])
def test_a_bad_wish_names_the_field(owner, body, field):
    answer = exported(owner, **({"format": "csv", "report_type": "overview"} | body))
    assert bad_fields(answer) == {field}
