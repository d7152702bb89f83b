import Shared

/// Which part of a list is asked for.
public struct Page: Sendable, Hashable {
    /// From 1. 1 as well when a cursor is given.
    public let number: Int
    /// Items a page.
    public let size: Int
    /// Where the page before ended: nothing is skipped or counted then.
    public let cursor: Cursor?

    public init(number: Int = 1, size: Int, cursor: Cursor? = nil) {
        self.number = number
        self.size = size
        self.cursor = cursor
    }

    /// `page` from 1, `limit` 1…100 and `cursor`, as document 003 §9 has them. A cursor that is none of ours is a bad
    /// field.
    public init(manager form: inout Form, size: Int = 50, max: Int = 100) {
        number = form.optionalInt("page", in: 1...Page.numberMax, default: 1)
        self.size = form.optionalInt("limit", in: 1...max, default: size)
        guard let text = form.optionalString("cursor", max: Cursor.lengthMax) else {
            cursor = nil
            return
        }
        cursor = Cursor(text)
        if cursor == nil { form.fail("cursor", "must be a next_cursor of an earlier answer") }
    }

    /// `page` from 1 and `page_size` 1…100, as the classic documents have them.
    /// - Parameter places: also read `after`, which the `next` link of a long list carries: the place where the page
    ///   before ended, so that nothing has to be skipped on the way to a far page.
    public init(classic form: inout Form, size: Int = 20, max: Int = 100, places: Bool = false) {
        number = form.optionalInt("page", in: 1...Page.numberMax, default: 1)
        self.size = form.optionalInt("page_size", in: 1...max, default: size)
        guard places, let text = form.optionalString("after", max: Cursor.lengthMax) else {
            cursor = nil
            return
        }
        cursor = Cursor(text)
        if cursor == nil { form.fail("after", "must come from the next link of an earlier answer") }
    }

    /// Items before this page.
    public var offset: Int { cursor == nil ? (number - 1) * size : 0 }

    /// Keeps `offset` far from overflow; nobody pages that far.
    private static let numberMax = 10_000_000
}

/// How many items there are on all pages.
public enum Total: Sendable, Hashable {
    case exact(Int)
    /// Beyond what is worth counting; said as `total_is_estimate`.
    case estimate(Int)
    /// A cursor was given: nobody counted.
    case uncounted

    var count: Int? {
        switch self {
        case .exact(let count), .estimate(let count): count
        case .uncounted: nil
        }
    }
}

// MARK: - The manager family's envelope

extension Page {
    /// `"pagination":{…}` of document 003 §9 with our `next_cursor`, to be written beside the list.
    /// - Parameters:
    ///   - next: where the next page starts; nil at the end of the list or where there are no cursors.
    ///   - hasNext: only needed with `.uncounted` and without a cursor.
    public func writePagination(
        to json: inout JSONWriter, total: Total, next: Cursor? = nil, hasNext: Bool? = nil
    ) {
        let pages = total.count.map { ($0 + size - 1) / size }
        json.fieldObject("pagination") { json in
            json.field("page", number)
            json.field("limit", size)
            json.field("total", total.count)
            json.field("total_pages", pages)
            json.field("has_next", hasNext ?? (next != nil || (pages.map { number < $0 } ?? false)))
            json.field("has_prev", number > 1 || cursor != nil)
            json.field("next_cursor", next?.text)
            if case .estimate = total { json.field("total_is_estimate", true) }
        }
    }
}

// MARK: - The classic family's envelope

extension Page {
    /// `{"count","next","previous","results":[…]}`; `next` and `previous` are this request's address with another page.
    public func classic(
        _ request: Request, count: Int, _ results: (inout JSONWriter) -> Void
    ) -> Response {
        Response.json { json in writeClassic(to: &json, request, count: count, results) }
    }

    /// The same for a list too long to skip through or to count: `next` carries the place it goes on from, and a count
    /// that is an estimate says so.
    /// - Parameter next: where the next page begins; nil at the end.
    public func classic(
        _ request: Request, total: Total, next: Cursor?, _ results: (inout JSONWriter) -> Void
    ) -> Response {
        Response.json { json in
            json.object { json in
                json.field("count", total.count ?? 0)
                if case .estimate = total { json.field("count_is_estimate", true) }
                json.field("next", next.map { address(request, page: number + 1, after: $0) })
                // A page past the end still leads back to one that exists.
                let last = max(1, ((total.count ?? 0) + size - 1) / size)
                json.field("previous", number > 1 ? address(request, page: min(number - 1, last)) : nil)
                json.fieldArray("results", results)
            }
        }
    }

    /// The same into a document that is being written.
    public func writeClassic(
        to json: inout JSONWriter, _ request: Request, count: Int, _ results: (inout JSONWriter) -> Void
    ) {
        json.object { json in
            json.field("count", count)
            json.field("next", offset + size < count ? address(request, page: number + 1) : nil)
            // A page past the end still leads back to one that exists.
            let last = max(1, (count + size - 1) / size)
            json.field("previous", number > 1 ? address(request, page: min(number - 1, last)) : nil)
            json.fieldArray("results", results)
        }
    }

    private func address(_ request: Request, page: Int, after: Cursor? = nil) -> String {
        var pairs = request.query.filter { $0.0 != "page" && $0.0 != "after" }
        if page > 1 { pairs.append(("page", String(page))) }
        if let after { pairs.append(("after", after.text)) }
        let query = pairs.isEmpty ? "" : "?" + URLText.form(pairs)
        return request.publicOrigin + request.path + query
    }
}

extension [Parameter] {
    /// The manager family's page parameters, for a route's `query`.
    public static let managerPage: [Parameter] = [
        .query("page", .integer(min: 1), "Page number, from 1."),
        .query("limit", .integer(min: 1, max: 100), "Items per page; 50 unless given."),
        .query("cursor", .string, "`next_cursor` of the page before: goes on there and skips counting."),
    ]

    /// The classic family's page parameters.
    public static let classicPage: [Parameter] = [
        .query("page", .integer(min: 1), "Page number, from 1."),
        .query("page_size", .integer(min: 1, max: 100), "Items per page; 20 unless given."),
    ]

    /// Page, `search` and `ordering` of a classic list.
    public static func classicList(ordering: [String], search: Bool = true, places: Bool = false) -> [Parameter] {
        var parameters = classicPage
        if places {
            parameters.append(.query("after", .string, "The place a `next` link goes on from; only from such a link."))
        }
        if search { parameters.append(.query("search", .string(max: 200))) }
        let names = ordering + ordering.map { "-" + $0 }
        parameters.append(.query("ordering", .string(enum: names), "A leading minus turns the order round."))
        return parameters
    }
}

extension Schema {
    /// A manager list: the items under their own name, and `pagination`.
    public static func page(_ name: String, of item: Schema) -> Schema {
        .object(.required(name, .array(item)), .required("pagination", pagination))
    }

    /// A classic list.
    public static func results(of item: Schema, mayEstimate: Bool = false) -> Schema {
        let estimate = Field(
            "count_is_estimate", .boolean, "True when there are more than 100,000 and nobody counted them.",
            optional: true)
        let count = Field("count", .integer(min: 0))
        return .object(
            (mayEstimate ? [count, estimate] : [count]) + [
                .required("next", .nullable(.string)), .required("previous", .nullable(.string)),
                .required("results", .array(item)),
            ])
    }

    private static let pagination = Schema.ref(
        "Pagination",
        .object(
            .required("page", .integer(min: 1)), .required("limit", .integer(min: 1)),
            .required("total", .nullable(.integer(min: 0)), "null when a cursor was given: nobody counted."),
            .required("total_pages", .nullable(.integer(min: 0))), .required("has_next", .boolean),
            .required("has_prev", .boolean), .required("next_cursor", .nullable(.string)),
            .optional("total_is_estimate", .boolean)))
}
