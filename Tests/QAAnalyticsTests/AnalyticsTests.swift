import HTTP
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

@Suite struct AnalyticsTests {
    static let figures = ["overview", "call-volume", "qa", "sentiment", "escalations"]

    private static func address(_ name: String, _ query: String) -> String {
        "/api/v1/analytics/\(name)?from_date=2026-03-01&to_date=2026-03-03\(query)"
    }

    @Test func `every figure answers an empty range with its zeros and every period`() async throws {
        try await AnalyticsFixture.with { fixture in
            for name in Self.figures {
                let answer = await fixture.client.get(Self.address(name, ""))
                #expect(answer.status == 200, "\(name): \(answer.text)")
                let series = try answer.json().object?[name == "call-volume" ? "data" : "trends"]?.array
                if name == "overview" { continue }
                #expect(
                    series?.map { $0.object?["period"]?.string } == ["2026-03-01", "2026-03-02", "2026-03-03"],
                    "\(name): \(answer.text)")
            }
        }
    }

    @Test func `a day is the whole day of the time zone and an instant is exclusive`() async throws {
        try await AnalyticsFixture.with { fixture in
            for at in [
                "2026-03-01T04:59:59.999Z", "2026-03-01T05:00:00Z", "2026-03-02T04:59:59Z", "2026-03-02T05:00:00Z",
            ] {
                try await fixture.call(at: at)
            }
            func total(_ query: String) async throws -> Int? {
                try await fixture.client.get("/api/v1/analytics/overview?\(query)").json().object?["total_calls"]?.int
            }
            #expect(try await total("from_date=2026-03-01&to_date=2026-03-01&timezone=America/New_York") == 2)
            #expect(try await total("from_date=2026-03-01&to_date=2026-03-01") == 2)
            #expect(try await total("from_date=2026-03-01T05:00:00Z&to_date=2026-03-02T05:00:00Z") == 2)
            #expect(try await total("from_date=2026-03-01T05:00:00Z&to_date=2026-03-02T05:00:00.001Z") == 3)
            #expect(
                try await total("from_date=2026-03-01T00:00:00-05:00&to_date=2026-03-01&timezone=America/New_York") == 2
            )
            // Without a beginning: the seven days before the end.
            #expect(try await total("to_date=2026-03-02") == 4)
            #expect(try await total("") == 0)
        }
    }

    @Test(arguments: [
        ("from_date=yesterday", "from_date"), ("from_date=2026-02-30", "from_date"), ("to_date=9", "to_date"),
        ("from_date=2026-03-02&to_date=2026-03-01", "to_date"), ("from_date=2999-01-01", "from_date"),
        ("from_date=2026-03-02T00:00:01Z&to_date=2026-03-01", "to_date"), ("from_date=0001-01-01", "from_date"),
        ("timezone=EST5", "timezone"), ("timezone=Nowhere/Land", "timezone"), ("timezone=CEST", "timezone"),
        ("business_id=7", "business_id"), ("colour=green", "colour"),
    ])
    func `a bad range is refused by its field`(query: String, field: String) async throws {
        try await AnalyticsFixture.with { fixture in
            for name in Self.figures where name != "call-volume" {
                let answer = await fixture.client.get("/api/v1/analytics/\(name)?\(query)")
                #expect(answer.status == 400, "\(name)?\(query): \(answer.text)")
                #expect(answer.badFields == [field], "\(name)?\(query): \(answer.text)")
            }
        }
    }

    @Test func `call volume wants its range, and no more periods than a chart can show`() async throws {
        try await AnalyticsFixture.with { fixture in
            let none = await fixture.client.get("/api/v1/analytics/call-volume")
            #expect(none.status == 400 && Set(none.badFields) == ["from_date", "to_date"])
            let path = "/api/v1/analytics/call-volume?from_date=2020-01-01&to_date=2026-01-01"
            let many = await fixture.client.get("\(path)&interval=hour")
            #expect(many.status == 400 && many.badFields == ["interval"], "\(many.text)")
            let months = try await fixture.client.get("\(path)&interval=month").json().object?["data"]?.array
            #expect(months?.count == 73)
            let bad = await fixture.client.get("\(path)&interval=minute&direction=up")
            #expect(Set(bad.badFields) == ["interval", "direction"])
        }
    }

    @Test func `hours say their offset, and the hour that comes twice is two`() async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.call(at: "2026-11-01T05:30:00Z")
            try await fixture.call(at: "2026-11-01T06:30:00Z")
            let answer = await fixture.client.get(
                "/api/v1/analytics/call-volume?from_date=2026-11-01&to_date=2026-11-01&interval=hour&timezone=America/New_York"
            )
            let points = try answer.json().object?["data"]?.array ?? []
            #expect(points.count == 25)
            let busy = points.filter { $0.object?["total_calls"]?.int == 1 }.map { $0.object?["period"]?.string }
            #expect(busy == ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"])
        }
    }

    @Test func `others' calls and their business are nobody else's`() async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.call(at: "2026-03-02T10:00:00Z", business: fixture.business)
            for (token, total) in [("owner", 1), ("colleague", 1), ("stranger", 0), ("admin", 1)] {
                for query in ["", "&business_id=\(fixture.business.text)"] {
                    let answer = await fixture.client.get(Self.address("overview", query), token: token)
                    #expect(try answer.json().object?["total_calls"]?.int == total, "\(token) \(query)")
                }
                let volume = await fixture.client.get(
                    Self.address("call-volume", "&business_id=\(fixture.business.text)"), token: token)
                let sum = try volume.json().object?["data"]?.array?.reduce(0) {
                    $0 + ($1.object?["total_calls"]?.int ?? 0)
                }
                #expect(sum == total, "\(token)")
            }
            let nobody = await fixture.client.get(Self.address("overview", ""), token: "nobody")
            #expect(nobody.status == 401)
        }
    }

    @Test func `fifty calls that end at once wait for no row and leave exact sums`() async throws {
        try await TestDatabase.fresh(
            migrations: ["qa-analytics"], poolMax: 25, waitDeadline: .seconds(60)
        ) { database in
            let workspaces = (0..<3).map { _ in WorkspaceID() }
            let ids = (0..<150).map { _ in CallID() }
            let now = Instant.now()
            for (place, id) in ids.enumerated() {
                _ = try await database.execute(
                    """
                    INSERT INTO calls (call_id, workspace_id, direction, status, started_at, version)
                    VALUES (\(id), \(workspaces[place % 3]), 'inbound', 'in_progress', \(now), 1)
                    """)
            }
            // As consumers do it: fifty transactions at once, each with calls of all three workspaces, in an order of its
            // own. If they wrote the same sums, they would lock each other out here.
            let began = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for place in 0..<50 {
                    let own = (0..<3).map { ids[3 * place + ($0 + place) % 3] }
                    group.addTask {
                        try await database.transaction { (tx: borrowing Transaction) in
                            for id in own {
                                _ = try await tx.execute(
                                    """
                                    UPDATE calls SET status = 'completed', duration_seconds = 5, version = version + 1
                                    WHERE call_id = \(id)
                                    """)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let took = began.duration(to: .now)
            #expect(took < .seconds(5), "took \(took)")
            let row = try #require(
                try await database.queryOne(
                    """
                    SELECT sum(completed)::bigint AS completed, sum(active)::bigint AS active,
                        sum(duration_sum)::bigint AS seconds, count(DISTINCT shard) AS shards,
                        (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) AS deadlocks
                    FROM rollups WHERE grain = 'day' AND workspace_id = ANY (\(workspaces))
                    """))
            #expect(try row.decode("completed", as: Int64.self) == 150)
            #expect(try row.decode("active", as: Int64.self) == 0)
            #expect(try row.decode("seconds", as: Int64.self) == 750)
            #expect(try row.decode("deadlocks", as: Int64.self) == 0)
            #expect(try row.decode("shards", as: Int64.self) > 1)
        }
    }

    @Test func `no question reads a large table from end to end`() async throws {
        try await AnalyticsFixture.with { fixture in
            try await fixture.calls(20_000, from: "2026-01-01T00:00:00Z")
            _ = try await fixture.database.execute("ANALYZE calls")
            _ = try await fixture.database.execute("ANALYZE rollups")
            let range = AnalyticsRange(
                from: .day("2026-01-03"), to: .instant(try #require(Instant(iso: "2026-01-05T10:20:30Z"))),
                zone: "Asia/Kolkata")
            for tenancy in [Tenancy.all, .only([fixture.workspace])] {
                for business in [nil, fixture.business] {
                    let scope = AnalyticsScope(tenancy: tenancy, business: business)
                    let rows = try await fixture.database.query(
                        "EXPLAIN \(fragment: ReadRange.parts(range, by: .day, scope)) SELECT count(*) FROM parts")
                    let plan = try rows.map { try $0.decode(0, as: String.self) }
                    let bad = plan.filter { $0.contains("Seq Scan") && ($0.contains("calls") || $0.contains("rollup")) }
                    #expect(bad.isEmpty, "\(plan.joined(separator: "\n"))")
                }
            }
        }
    }
}
