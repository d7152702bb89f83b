import HTTP
import Postgres
import Shared

extension Telephony {
    /// `POST /api/v1/calls/{call_id}/notes`
    func addNote(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let call = try await call(request, for: .noteCalls)
        var form = try await request.form()
        let text = form.string("note", max: 10_000)
        let tags = form.strings("tags", max: 50, each: 100) ?? []
        let category = form.optionalString("category", max: 100)
        try form.finish()
        let now = Instant.now()
        let note = try await database.transaction { (tx: borrowing Transaction) -> Int64 in
            try await NoteStore.add(text, tags: tags, category: category, to: call, by: principal.user, at: now, tx)
        }
        return .json(201) { json in
            json.object { json in
                json.field("success", true)
                json.field("note_id", note)
                json.field("message", "The note has been added.")
            }
        }
    }
}
