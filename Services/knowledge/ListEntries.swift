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
}
