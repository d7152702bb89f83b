import HTTP
import Postgres
import Shared

extension Knowledge {
    /// `GET /api/v1/knowledge`
    func listEntries(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let business = form.optionalID("business_id", as: BusinessID.self)
        let search = form.optionalString("search", max: 200)
        let page = Page(manager: &form)
        var before: Int64?
        if let cursor = page.cursor {
            before = cursor.values.count == 1 ? cursor.values[0].int64 : nil
            if before == nil { form.fail("cursor", "must be a next_cursor of this list") }
        }
        try form.finishRefusingUnknown()
        let found = try await EntryStore.page(
            try request.requirePrincipal().tenancy, business: business,
            search: search.flatMap { $0.isEmpty ? nil : $0 },
            before: before, page, database)
        return .json { json in
            json.object { json in
                json.field("entries", found.entries)
                page.writePagination(
                    to: &json, total: found.total,
                    next: found.hasMore ? found.entries.last.map { Cursor([.int($0.about.id)]) } : nil)
            }
        }
    }

    /// `GET /api/v1/knowledge/{entry_id}`
    func readEntry(_ request: Request) async throws -> Response {
        let entry = try await entry(request)
        return .json { json in json.object { json in json.field("entry", entry) } }
    }

    /// `GET /api/v1/knowledge/{entry_id}/passages`: what a citation points at.
    func listPassages(_ request: Request) async throws -> Response {
        let entry = try await entry(request)
        var form = request.queryForm
        let page = Page(manager: &form)
        var after: Int64?
        if let cursor = page.cursor {
            after = cursor.values.count == 1 ? cursor.values[0].int64 : nil
            if after == nil { form.fail("cursor", "must be a next_cursor of this list") }
        }
        try form.finishRefusingUnknown()
        let found = try await EntryStore.passages(of: entry.about.id, after: after, page, database)
        return .json { json in
            json.object { json in
                json.field("passages", found.passages)
                page.writePagination(
                    to: &json, total: after == nil ? .exact(found.total) : .uncounted,
                    next: found.hasMore ? found.passages.last.map { Cursor([.int(Int64($0.position))]) } : nil)
            }
        }
    }

    private func entry(_ request: Request) async throws -> Entry {
        let id = try request.pathNumber("entry_id", or: .entryNotFound)
        guard let entry = try await EntryStore.find(id, try request.requirePrincipal().tenancy, database) else {
            throw Problem.notFound(.entryNotFound)
        }
        return entry
    }
}

/// A passage as it is stored.
struct StoredPassage: Sendable, JSONWritable {
    var id: Int64
    var position: Int
    var passage: Passage

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("position", position)
            json.field("passage", passage.body)
            json.field("heading", ifPresent: passage.heading)
            json.field("page_from", ifPresent: passage.pageFrom)
            json.field("page_to", ifPresent: passage.pageTo)
        }
    }
}
