import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

/// The list of calls against looking at every call there is.
@Suite struct CallListTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `any filters in any order, paged to the end, give what looking at every call gives`(seed: UInt64) async throws
    {
        try await Rig.with { rig async throws in
            var history = CallHistory(seed: seed)
            for _ in 0..<400 { try await history.place(rig.database) }
            for round in 0..<120 {
                let filter = history.filter()
                // Few and many, one by one and by what is kept counted.
                let limits = history.limits()
                let expected = history.list(filter)
                var (page, pages) = (Page(size: history.size()), 0)
                var found: [CallID] = []
                var context: String { "seed \(seed), round \(round), \(limits): \(filter)" }
                while pages <= expected.count {
                    let listed = try await ReadCalls.page(filter, page, limits: limits, in: rig.database)
                    if pages == 0 {
                        try #require(listed.total.isRight(expected.count, limits.counted, filter), "\(context)")
                    } else {
                        #expect(listed.total == .uncounted)
                    }
                    found += listed.calls.map(\.id)
                    pages += 1
                    guard let next = listed.next else { break }
                    page = Page(size: page.size, cursor: Cursor(next.text))
                }
                try #require(found == expected.map(\.id), "\(context)")
                #expect(pages == max(1, (expected.count + page.size - 1) / page.size), "\(context)")

                let number = Int.random(in: 1...12, using: &history.random)
                let numbered = try await ReadCalls.page(
                    filter, Page(number: number, size: page.size), limits: limits, in: rig.database)
                let part = expected.dropFirst((number - 1) * page.size)
                #expect(numbered.calls.map(\.id) == part.prefix(page.size).map(\.id), "page \(number), \(context)")
                #expect((numbered.next != nil) == (part.count > page.size), "page \(number), \(context)")
            }
        }
    }

    @Test func `calls that come and change while somebody pages leave every other call where it was`() async throws {
        try await Rig.with { rig async throws in
            var history = CallHistory(seed: 77)
            for _ in 0..<150 { try await history.place(rig.database) }
            for order in CallFilter.Order.allCases {
                for descending in [true, false] {
                    var filter = CallFilter(tenancy: .only(history.workspaces))
                    (filter.order, filter.descending) = (order, descending)
                    let expected = history.list(filter).map(\.id)
                    var found: [CallID] = []
                    var page = Page(size: 7)
                    while true {
                        let listed = try await ReadCalls.page(filter, page, in: rig.database)
                        found += listed.calls.map(\.id)
                        guard let next = listed.next else { break }
                        for _ in 0..<3 { try await history.place(rig.database) }
                        page = Page(size: 7, cursor: next)
                    }
                    #expect(Set(found).count == found.count, "\(order) \(descending): a call came twice")
                    #expect(found.filter(Set(expected).contains) == expected, "\(order) \(descending)")
                }
            }
        }
    }

    @Test func `what is kept counted is what is there, however calls change at once`() async throws {
        try await Rig.with { rig async throws in
            var history = CallHistory(seed: 5)
            for _ in 0..<60 { try await history.place(rig.database) }
            let ids = history.calls.map(\.id)
            // Four at a time, on the same few counts.
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<4 {
                    group.addTask {
                        var random = SplitMix64(seed: UInt64(part))
                        for _ in 0..<40 {
                            let id = ids[Int.random(in: 0..<ids.count, using: &random)]
                            try await CallHistory.change(id, &random, rig.database)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let counts: Query = """
                SELECT workspace_id::text || business_id || day || kind || ' ' || sum(calls) AS text FROM call_counts
                GROUP BY workspace_id, business_id, day, kind HAVING sum(calls) <> 0
                """
            let kept = try await rig.database.query(counts).map { try $0.decode("text", as: String.self) }
            _ = try await rig.database.query("SELECT rebuild_call_counts()::text")
            let counted = try await rig.database.query(counts).map { try $0.decode("text", as: String.self) }
            #expect(Set(kept) == Set(counted))
            #expect(counted.count > 50)
        }
    }

    // MARK: What is refused

    private static let bad: [(String, String)] = [
        ("colour", "colour=red"), ("status", "status=flying"), ("status", "status=completed,flying"),
        ("direction", "direction=up"), ("business_id", "business_id=17"), ("from_date", "from_date=yesterday"),
        ("to_date", "to_date=2026-02-30"), ("to_date", "from_date=2026-03-03&to_date=2026-03-01"),
        ("sort_by", "sort_by=colour"), ("sort_order", "sort_order=up"), ("min_qa_score", "min_qa_score=1.5"),
        ("max_qa_score", "max_qa_score=nan"), ("max_qa_score", "min_qa_score=0.5&max_qa_score=0.4"),
        ("sentiment", "sentiment=angry"), ("limit", "limit=101"), ("limit", "limit=0"), ("page", "page=0"),
        ("cursor", "cursor=x"),
    ]

    @Test(arguments: bad)
    func `a parameter that is unknown or bad is refused by its name`(field: String, query: String) async throws {
        try await Rig.with { rig async throws in
            let answer = await rig.ann.client.get("/api/v1/calls?\(query)")
            #expect(answer.status == 400, "\(query)")
            #expect(answer.code == "VALIDATION_ERROR")
            #expect(try answer.json()["error"]?["details"]?["fields"]?[field] != nil, "\(query): \(answer.text)")
        }
    }

    @Test func `a cursor of another list or another order is refused`() async throws {
        try await Rig.with { rig async throws in
            for _ in 0..<3 { _ = try await rig.call(.completed) }
            let page = try await rig.ann.client.get("/api/v1/calls?limit=2&sort_by=duration").json()
            let cursor = try #require(page["pagination"]?["next_cursor"]?.string)
            let own = await rig.ann.client.get("/api/v1/calls?limit=2&sort_by=duration&cursor=\(cursor)")
            #expect(try own.json()["calls"]?.array?.count == 1)
            #expect(try own.json()["pagination"]?["has_prev"] == true)
            #expect(try own.json()["pagination"]?["has_next"] == false)
            let others = [
                cursor, cursor, Cursor(.now(), CallID()).text, Cursor([.int(7)]).text,
                Cursor([.string("calls started_at desc"), .string("x"), .string(CallID().text)]).text,
            ]
            for (query, other) in zip(["sort_by=started_at&", "sort_by=duration&sort_order=asc&", "", "", ""], others) {
                let answer = await rig.ann.client.get("/api/v1/calls?\(query)cursor=\(other)")
                #expect(answer.status == 400, "\(query)\(other)")
                #expect(try answer.json()["error"]?["details"]?["fields"]?["cursor"] != nil, "\(answer.text)")
            }
        }
    }

    @Test func `notes are listed with their tags and category, page after page`() async throws {
        try await Rig.with { rig async throws in
            let path = "/api/v1/calls/\(try await rig.call().id.text)/notes"
            for number in 1...5 {
                let note: JSON = ["note": "no. \(number)", "tags": ["vip", "late"], "category": "billing"]
                #expect(await rig.ann.client.post(path, json: note).status == 201)
            }
            var (query, found, total) = ("limit=2", [String](), 0)
            for _ in 0..<3 {
                let page = try await rig.ann.client.get("\(path)?\(query)").json()
                found += page["notes"]?.array?.compactMap { $0["note"]?.string } ?? []
                total = page["pagination"]?["total"]?.int ?? total
                #expect(page["notes"]?[0]?["tags"] == ["vip", "late"])
                #expect(page["notes"]?[0]?["category"] == "billing")
                let next = page["pagination"]?["next_cursor"]?.string
                #expect(page["pagination"]?["has_next"] == .bool(next != nil))
                query = "limit=2&cursor=\(next ?? "")"
            }
            #expect(found == (1...5).map { "no. \($0)" })
            #expect(total == 5)
            let other = await rig.ann.client.get("\(path)?cursor=\(Cursor(["escalations", 3]).text)")
            #expect(other.status == 400)
        }
    }

    @Test func `a page too far to skip to says how to get there, one past the end is empty`() async throws {
        try await Rig.with { rig async throws in
            for _ in 0..<5 { _ = try await rig.call(.completed) }
            let past = try await rig.ann.client.get("/api/v1/calls?page=100000&limit=100").json()
            #expect(past["calls"]?.array?.isEmpty == true)
            #expect(past["pagination"]?["total"] == 5)
            #expect(past["pagination"]?["has_next"] == false)
            #expect(past["pagination"]?["has_prev"] == true)
            let filter = CallFilter(tenancy: rig.ann.principal.tenancy)
            var limits = ReadCalls.Limits()
            limits.skipped = 3
            await #expect(throws: Problem.self) {
                _ = try await ReadCalls.page(filter, Page(number: 5, size: 1), limits: limits, in: rig.database)
            }
        }
    }
}

extension Total {
    /// Exact where the number is kept or small enough to count.
    fileprivate func isRight(_ count: Int, _ max: Int, _ filter: CallFilter) -> Bool {
        switch self {
        case .exact(let exact): exact == count
        case .estimate(let guess): !filter.isCounted && count > max && guess > max
        case .uncounted: false
        }
    }
}
