import HTTP
import Messaging
import Postgres
import Shared

/// Which programs have said that they hold nothing more of a person or a workspace.
enum ErasureBook {
    /// Who must. Each reports on `auth.erasures`, auth itself included.
    static let programs = ["auth", "billing", "knowledge", "qa-analytics", "realtime", "telephony"]

    static let topics: [Topic] = [.authErasures, .authUsers, .authWorkspaces]

    /// Written in the transaction that deletes, so that nobody can be forgotten.
    static func open(_ subject: ErasureSubject, _ tx: borrowing Transaction) { ErasureBookStore.open(subject, tx) }

    /// What auth does about its own deletions and about the others' reports.
    static func react(to envelope: Envelope, _ tx: borrowing Transaction) async throws {
        switch Topic(rawValue: envelope.topic) {
        case .authErasures:
            if case .reported(let report) = try envelope.event(as: ErasureEvent.self) {
                try await ErasureBookStore.report(report, of: programs, tx)
            }
        case .authUsers:
            if case .deleted(let id) = try envelope.event(as: UserEvent.self) { try await begin(.user(id), tx) }
        case .authWorkspaces:
            if case .deleted(let id) = try envelope.event(as: WorkspaceEvent.self) {
                try await begin(.workspace(id), tx)
            }
        default: return
        }
    }

    /// Whoever deleted it: it is in the book, and auth's own events that speak of it go.
    private static func begin(_ subject: ErasureSubject, _ tx: borrowing Transaction) async throws {
        open(subject, tx)
        try await tx.erase(subject)
    }
}

/// One page of the book.
struct ErasureRequest: JSONWritable, Sendable {
    var kind: String
    var id: String
    var requestedAt: Instant
    var askedAt: Instant
    var asks: Int
    var finishedAt: Instant?
    var reports: JSONObject

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("kind", kind)
            json.field("id", id)
            json.field("state", finishedAt == nil ? "running" : "finished")
            json.field("requested_at", requestedAt)
            json.field("asked_at", askedAt)
            json.field("asks", asks)
            json.field("finished_at", finishedAt)
            json.field("waiting_for", ErasureBook.programs.filter { !reports.contains($0) })
            json.field("reports", reports)
        }
    }
}

extension Personal {
    /// `GET /api/users/erasures/`, newest first.
    func listErasures(_ request: Request) async throws -> Response {
        try request.requirePrincipal().require(.deleteUsers)
        var form = request.queryForm
        let page = Page(classic: &form)
        let state = form.optionalChoice("state", as: ErasureState.self)
        let id = form.optionalID("id", as: UserID.self)
        try form.finish()
        let found = try await ErasureBookStore.page(
            isFinished: state.map { $0 == .finished }, id: id, size: page.size, offset: page.offset, database)
        return page.classic(request, count: found.count) { json in for one in found.requests { json.value(one) } }
    }
}

enum ErasureState: String, CaseIterable, Sendable { case running, finished }
