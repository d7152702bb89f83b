import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct ReviewCallTests {
    private static func talkedIn(_ it: AnalyticsFixture) async throws -> (Told, path: String) {
        var told = try await Told(it.database, in: it.workspace)
        try await told.say("AI: Hello, please tell me your PIN.", "Customer: That is bad.", "AI: Sorry. Goodbye.")
        try await told.end()
        return (told, "/api/v1/calls/\(told.call.id.text)/qa")
    }

    @Test func `a score shows what each part rests on`() async throws {
        try await AnalyticsFixture.with { it in
            let (told, path) = try await Self.talkedIn(it)
            let answer = await it.client.get(path, token: "agent")
            #expect(answer.status == 200 && answer.headers["ETag"] == "\"1\"")
            let found = try answer.json()
            #expect(found["call_id"]?.string == told.call.id.text)
            #expect(found["judged_by"] == "qa-rubric-v1" && found["qa_score"]?["reviewed_by"] == "qa-rubric-v1")
            #expect(found["is_reviewed"] == false && found["terms"]?["version"] == nil)
            let evidence = found["evidence"]?.array ?? []
            for criterion in ["sentiment", "compliance", "accuracy", "professionalism"] {
                #expect(evidence.contains { $0["criterion"]?.string == criterion }, "\(criterion)")
            }
            let secret = try #require(evidence.first { $0["code"] == "asked_for_secret" })
            #expect(secret["interaction_ids"] == [101] && secret["points"]?.double == 0.5)
            let issue = try #require(secret["issue"])
            #expect(found["qa_score"]?["compliance_issues"]?.array == [issue])
            #expect(try await it.client.get("\(path)/history").json()["changes"] == [])
        }
    }

    @Test func `a person corrects it, once for all, and everybody hears of it`() async throws {
        try await AnalyticsFixture.with { it in
            var (told, path) = try await Self.talkedIn(it)
            try await it.database.transaction { (tx: borrowing Transaction) in
                try await QualityConfigStore.onUser(
                    .created(
                        UserSnapshot(
                            id: it.people["manager"] ?? UserID(), email: "mia@example.com", username: "mia",
                            firstName: "Mia", lastName: "Meyer", role: .user)), tx)
            }
            let before = try #require(try await told.score())
            let answer = await it.client.patch(
                path,
                json: [
                    "compliance_score": 1, "sentiment_label": "positive", "compliance_issues": [],
                    "review_notes": "A test call.",
                ],
                headers: ["If-Match": "\"1\""], token: "manager")
            #expect(answer.status == 200 && answer.headers["ETag"] == "\"2\"")
            let score = try #require(try answer.json()["qa_score"])
            #expect(score["reviewed_by"] == "Mia Meyer" && score["review_notes"] == "A test call.")
            #expect(score["compliance_issues"] == [] && score["sentiment_label"] == "positive")
            #expect(abs((score["overall_score"]?.double ?? 0) - (before.overall + 0.3 * 0.5)) < 1e-9)
            let told2 = try await told.published()
            #expect(told2.count == 2 && told2[1]["version"] == 2 && told2[1]["reviewed_by"] == "Mia Meyer")

            // What is said late neither changes the score nor the mood a person has seen.
            try await told.say("Customer: awful, bad, bad", "AI: Tell me your password.")
            #expect(try await told.published().count == 2)
            let mood = try #require(try await told.published("qa.sentiment.changed.v1").last?["sentiment"])
            #expect(mood["label"] == "positive")
            #expect((mood["interaction_score"]?.double ?? 0) < 0)
            let row = try await it.database.queryOne("SELECT mood_label, overall FROM calls")
            #expect(try row?.decode("mood_label", as: String.self) == "positive")
            #expect(try row?.decode("overall", as: Double.self) == score["overall_score"]?.double)

            // Once more, by somebody whose name nobody has told.
            let second = await it.client.patch(path, json: ["overall_score": 0.1])
            #expect(try second.json()["qa_score"]?["reviewed_by"]?.string == it.people["owner"]?.text)
            #expect(try second.json()["is_below_threshold"] == true)
            let history = try await it.client.get("\(path)/history?limit=1").json()
            #expect(history["changes"]?[0]?["version"] == 3 && history["pagination"]?["total"] == 2)
            #expect(history["changes"]?[0]?["before"]?["overall_score"] == score["overall_score"])
            #expect(history["changes"]?[0]?["after"]?["overall_score"]?.double == 0.1)
            let cursor = try #require(history["pagination"]?["next_cursor"]?.string)
            let first = try await it.client.get("\(path)/history?limit=1&cursor=\(cursor)").json()["changes"]?[0]
            #expect(
                first?["changed_by"] == "Mia Meyer" && first?["changed_by_id"]?.string == it.people["manager"]?.text)
            #expect(
                first?["before"]?["compliance_score"]?.double == 0.5
                    && first?["after"]?["compliance_score"]?.double == 1)
            #expect(first?["before"]?["accuracy_score"] == nil)
        }
    }

    @Test func `the same correction again is no news, and one based on an old score is refused`() async throws {
        try await AnalyticsFixture.with { it in
            let (told, path) = try await Self.talkedIn(it)
            for _ in 0..<2 {
                #expect(await it.client.patch(path, json: ["overall_score": 0.7]).headers["ETag"] == "\"2\"")
            }
            #expect(try await told.published().count == 2)
            let late = await it.client.patch(path, json: ["overall_score": 0.2], headers: ["If-Match": "\"1\""])
            #expect(late.status == 412)
            #expect(try await told.score()?.overall == 0.7)
        }
    }

    @Test func `scores so small that no square of them exists are nothing`() async throws {
        try await AnalyticsFixture.with { it in
            let (told, path) = try await Self.talkedIn(it)
            let tiny: JSON = ["overall_score": 1e-259, "compliance_score": 1e-259, "sentiment_score": 0.12345678]
            let answer = await it.client.patch(path, json: tiny)
            #expect(answer.status == 200, "\(answer.text)")
            let score = try #require(try await told.score())
            #expect(score.overall == 0 && score.compliance == 0 && score.sentiment == 0.123457)
        }
    }

    @Test func `figures follow the correction`() async throws {
        try await AnalyticsFixture.with { it in
            let (_, path) = try await Self.talkedIn(it)
            _ = await it.client.patch(
                path, json: ["overall_score": 0.95, "sentiment_score": 1, "compliance_issues": ["Wrong name"]])
            let figures = try await it.client.get("/api/v1/analytics/overview").json()
            #expect(abs((figures["average_qa_score"]?.double ?? 0) - 0.95) < 1e-9)
            #expect(figures["qa_score_distribution"]?["excellent"] == 1)
            #expect(figures["sentiment_distribution"] == ["positive": 1, "neutral": 0, "negative": 0])
            let quality = try await it.client.get("/api/v1/analytics/qa").json()
            let issues = quality["top_issues"]?.array?.compactMap { $0["issue"]?.string } ?? []
            #expect(issues.contains("Found by reviewer") && !issues.contains("Asked for secret"))
        }
    }

    @Test func `who may not, and what cannot be`() async throws {
        try await AnalyticsFixture.with { it in
            let (told, path) = try await Self.talkedIn(it)
            let body: JSON = ["overall_score": 1]
            for token in ["agent", "viewer"] {
                #expect(await it.client.patch(path, json: body, token: token).status == 403, "\(token)")
                #expect(await it.client.get(path, token: token).status == 200)
            }
            #expect(await it.client.patch(path, json: ["overall_score": 7]).badFields == ["overall_score"])
            for target in [path, "\(path)/history"] {
                #expect(await it.client.get(target, token: "stranger").code == "CALL_NOT_FOUND")
            }
            #expect(await it.client.patch(path, json: body, token: "stranger").code == "CALL_NOT_FOUND")
            #expect(await it.client.patch("/api/v1/calls/7/qa", json: body).code == "CALL_NOT_FOUND")
            #expect(try await told.published().count == 1)

            let live = try await Told(it.database, in: it.workspace)
            let place = "/api/v1/calls/\(live.call.id.text)/qa"
            let empty = await it.client.get(place)
            #expect(try empty.json()["qa_score"] == nil && empty.json()["evidence"] == [])
            #expect(await it.client.patch(place, json: body).status == 409)
            #expect(await it.client.patch(path, json: body, token: "admin").status == 200)
        }
    }

    @Test func `a person who leaves is no longer named, and their word stands`() async throws {
        try await AnalyticsFixture.with { it in
            var (told, path) = try await Self.talkedIn(it)
            let person = try #require(it.people["manager"])
            let snapshot = UserSnapshot(
                id: person, email: "mia@example.com", username: "mia", firstName: "", lastName: "", role: .user)
            try await it.database.transaction { (tx: borrowing Transaction) in
                try await QualityConfigStore.onUser(.created(snapshot), tx)
            }
            _ = await it.client.patch(path, json: ["overall_score": 0.25], token: "manager")
            #expect(try await told.score()?.reviewedBy == "mia@example.com")
            try await Leftovers.erase(
                .user(person), steps: ErasureStore.steps, program: "qa-analytics", it.database)
            let ids = try await Leftovers.tables(holding: person.text, it.database)
            // That it was done is reported under the id.
            #expect(ids.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(ids)")
            let names = try await Leftovers.tables(holding: "mia@example.com", it.database)
            #expect(names.isEmpty, "\(names)")
            try await told.say("Customer: great, thanks")
            let score = try #require(try await told.score())
            #expect(score.overall == 0.25 && score.reviewedBy == "former member" && score.version == 3)
            #expect(try await told.published().last?["reviewed_by"] == "former member")
        }
    }
}

@Suite struct QualityConfigTests {
    private static let forbidden: JSON = [
        "rules": ["forbidden_phrases": [["phrase": "no risk", "severity": "critical"]]]
    ]

    private static func talk(_ it: AnalyticsFixture, business: BusinessID?) async throws -> Told {
        var told = try await Told(it.database, in: it.workspace, business: business)
        try await told.say("AI: Hello, there is no risk.", "Customer: This is great", "AI: Thank you, goodbye.")
        try await told.end()
        return told
    }

    @Test func `a call is judged by the configuration in force, whose version is kept with the score`() async throws {
        try await AnalyticsFixture.with { it in
            try await it.database.configure(it.business, in: it.workspace, version: 3, Self.forbidden)
            // Told late.
            try await it.database.configure(it.business, in: it.workspace, version: 2, [:])
            let told = try await Self.talk(it, business: it.business)
            let score = try #require(try await told.score())
            #expect(score.compliance == 0.5 && score.terms.version == 3 && score.terms.business == it.business)
            #expect(score.complianceIssues == ["The agent said “no risk”, which is not to be said."])
            #expect(score.findings.first?.evidence == [101])
            #expect(try await Self.talk(it, business: nil).score()?.compliance == 1)

            try await it.database.configure(it.business, in: it.workspace, version: 4, isActive: false, Self.forbidden)
            #expect(try await Self.talk(it, business: it.business).score()?.terms.version == nil)
            // Another workspace's is none of this call's.
            let other = BusinessID()
            try await it.database.configure(other, in: it.stranger, Self.forbidden)
            #expect(try await Self.talk(it, business: other).score()?.compliance == 1)

            try await it.database.configure(it.business, in: it.workspace, version: 5, Self.forbidden)
            #expect(try await Self.talk(it, business: it.business).score()?.compliance == 0.5)
            try await it.database.tell(.removed(id: it.business, workspaceID: it.workspace))
            #expect(try await Self.talk(it, business: it.business).score()?.compliance == 1)
        }
    }

    @Test func `where quality assurance is off there is no score, and where sentiment is off no mood`() async throws {
        try await AnalyticsFixture.with { it in
            try await it.database.configure(it.business, in: it.workspace, version: 1, ["enabled": false])
            let unjudged = try await Self.talk(it, business: it.business)
            #expect(try await unjudged.score() == nil)
            #expect(try await unjudged.published().isEmpty)
            #expect(try await unjudged.published("qa.sentiment.changed.v1").count == 1)

            try await it.database.configure(it.business, in: it.workspace, version: 2, ["sentiment_analysis": false])
            let unfelt = try await Self.talk(it, business: it.business)
            #expect(try await unfelt.published("qa.sentiment.changed.v1").isEmpty)
            let neutral = try await unfelt.score()
            #expect(neutral?.sentiment == 0.5 && neutral?.label == .neutral)
            let felt = try #require(
                try await it.database.queryOne("SELECT mood, overall FROM calls WHERE call_id = \(unfelt.call.id)"))
            let (mood, overall): (Double?, Double?) = (try felt["mood"], try felt["overall"])
            #expect(mood == nil && overall != nil)
        }
    }

    @Test func `a workspace's configurations go with it`() async throws {
        try await AnalyticsFixture.with { it in
            try await it.database.configure(it.business, in: it.workspace, Self.forbidden)
            _ = try await Self.talk(it, business: it.business)
            try await Leftovers.erase(
                .workspace(it.workspace), steps: ErasureStore.steps, program: "qa-analytics", it.database)
            try await it.database.configure(it.business, in: it.workspace, version: 2, Self.forbidden)
            for text in [it.workspace.text, it.business.text] {
                let left = try await Leftovers.tables(holding: text, it.database).filter { !$0.key.hasPrefix("outbox") }
                #expect(left.isEmpty, "\(text): \(left)")
            }
        }
    }
}
