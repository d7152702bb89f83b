import Shared
import Testing

@testable import HTTP

@Suite struct PaginationTests {
    private func manager(_ query: String) throws -> Page {
        var form = Form(query: URLText.pairs(query))
        let page = Page(manager: &form)
        try form.finishRefusingUnknown()
        return page
    }

    private func envelope(_ page: Page, _ total: Total, next: Cursor? = nil) throws -> JSON {
        var json = JSONWriter()
        json.object { page.writePagination(to: &$0, total: total, next: next) }
        return try #require(try JSON.parse(json.bytes)["pagination"])
    }

    @Test(arguments: [
        ("", 1, 50, 0), ("page=3", 3, 50, 100), ("limit=100&page=2", 2, 100, 100), ("limit=1", 1, 1, 0),
    ])
    func `a manager page has its defaults and bounds`(_ query: String, _ number: Int, _ size: Int, _ offset: Int) throws
    {
        let page = try manager(query)
        #expect(page.number == number)
        #expect(page.size == size)
        #expect(page.offset == offset)
    }

    @Test(arguments: ["page=0", "page=-1", "page=x", "limit=0", "limit=101", "page=99999999999999999999", "cursor=??"])
    func `a page that cannot be is refused`(_ query: String) {
        #expect(throws: Problem.self) { try manager(query) }
    }

    @Test func `a classic page has page_size`() throws {
        var form = Form(query: [("page", "2"), ("page_size", "10")])
        let page = Page(classic: &form)
        try form.finish()
        #expect(page == Page(number: 2, size: 10))
        var most = Form(query: [("page_size", "101")])
        _ = Page(classic: &most)
        #expect(most.hasFailed)
    }

    @Test(arguments: [
        (1, Total.exact(0), 0, false, false), (1, .exact(50), 1, false, false), (1, .exact(51), 2, true, false),
        (2, .exact(51), 2, false, true), (3, .exact(51), 2, false, true),
    ])
    func `the manager envelope counts pages`(
        _ number: Int, _ total: Total, _ pages: Int, _ hasNext: Bool, _ hasPrevious: Bool
    ) throws {
        let json = try envelope(Page(number: number, size: 50), total)
        #expect(
            json.object?.names == ["page", "limit", "total", "total_pages", "has_next", "has_prev", "next_cursor"])
        #expect(json["total_pages"]?.int == pages)
        #expect(json["has_next"]?.bool == hasNext)
        #expect(json["has_prev"]?.bool == hasPrevious)
        #expect(json["next_cursor"] == .null)
    }

    @Test func `with a cursor nobody counts, and an estimate says so`() throws {
        let cursor = Cursor(Instant(seconds: 5), CallID())
        let page = try manager("cursor=\(cursor.text)&limit=10")
        #expect(page.cursor == cursor)
        #expect(page.offset == 0)
        let next = Cursor(Instant(seconds: 4), CallID())
        let json = try envelope(page, .uncounted, next: next)
        #expect(json["total"] == .null)
        #expect(json["has_next"] == true)
        #expect(json["has_prev"] == true)
        #expect(json["next_cursor"]?.string == next.text)
        #expect(try envelope(Page(size: 50), .estimate(1_000_000))["total_is_estimate"] == true)
    }

    @Test func `a cursor survives its text and refuses other texts`() throws {
        let id = CallID()
        let cursor = Cursor(Instant(microseconds: 1_767_323_045_678_901), id)
        let again = try #require(Cursor(cursor.text))
        let place = try #require(again.place(as: CallID.self))
        #expect(place.at == Instant(microseconds: 1_767_323_045_678_901))
        #expect(place.id == id)
        #expect(Cursor([.string("a"), .int(1)]).place(as: CallID.self) == nil)
        for text in ["", "e30", "!!", "bnVsbA", String(repeating: "A", count: 2000)] {
            #expect(Cursor(text) == nil, "\(text)")
        }
    }

    @Test(
        arguments: [
            (
                "/api/x/?page=2&page_size=10&status=a%20b", 35, "page_size=10&status=a%20b&page=3",
                "page_size=10&status=a%20b"
            ),
            ("/api/x/", 5, nil, nil), ("/api/x/?page_size=10", 11, "page_size=10&page=2", nil),
            ("/api/x/?page=4&page_size=10", 35, nil, "page_size=10&page=3"),
            ("/api/x/?page=9&page_size=10", 35, nil, "page_size=10&page=4"),
        ] as [(String, Int, String?, String?)])
    func `the classic envelope links its neighbours`(
        _ target: String, _ count: Int, _ next: String?, _ previous: String?
    ) throws {
        let request = Request(
            .get, target,
            headers: ["Host": "inside", "X-Forwarded-Host": "calls.example", "X-Forwarded-Proto": "https"])
        var form = request.queryForm
        let page = Page(classic: &form)
        let response = page.classic(request, count: count) { $0.value("item") }
        guard case .bytes(let bytes) = response.body else { throw Failure("no body") }
        let json = try JSON.parse(bytes)
        #expect(json.object?.names == ["count", "next", "previous", "results"])
        #expect(json["count"]?.int == count)
        #expect(json["results"] == ["item"])
        let base = "https://calls.example/api/x/?"
        #expect(json["next"]?.string == next.map { base + $0 })
        #expect(json["previous"]?.string == previous.map { base + $0 })
    }

    @Test func `ordering takes the listed fields in both directions`() {
        func read(_ text: String?) -> (Ordering, Bool) {
            var form = Form(query: text.map { [("ordering", $0)] } ?? [])
            let ordering = Ordering(&form, among: ["created_at", "name"], default: Ordering(field: "name"))
            return (ordering, form.hasFailed)
        }
        #expect(read(nil) == (Ordering(field: "name"), false))
        #expect(read("-created_at") == (Ordering(field: "created_at", descending: true), false))
        #expect(read("name") == (Ordering(field: "name"), false))
        #expect(read("password").1)
        #expect(read("--name").1)
    }
}
