import Postgres
import Shared

extension BlacklistSnapshot.Kind: PostgresValue {}

/// One line of the blacklist: whom or what it blocks, why and until when.
struct BlacklistEntry: Sendable, Equatable {
    typealias Kind = BlacklistSnapshot.Kind

    let id: BlacklistID
    let kind: Kind
    let value: String
    /// nil: everywhere.
    let workspace: WorkspaceID?
    var reason: String
    var expiresAt: Instant?
    let createdBy: UserID?
    var version: Int64 = 1
    var createdAt: Instant
    var updatedAt: Instant

    var snapshot: BlacklistSnapshot {
        BlacklistSnapshot(
            id: id, kind: kind, value: value, workspaceID: workspace, expiresAt: expiresAt, version: version)
    }

    var isActive: Bool { expiresAt.map { $0 > .now() } ?? true }

    /// The one spelling of a value, so that the same thing is not blocked twice under two names.
    /// - Returns: nil, and what is wrong with it.
    static func canonical(_ text: String, _ kind: Kind) -> (value: String?, complaint: String) {
        switch kind {
        case .user: (UserID(text)?.text, "must be a person's id")
        case .email: (canonicalEmail(text), "must be an e-mail address, or *@example.com for all of a domain")
        case .phone: (PhoneNumber(text)?.text, "must be an E.164 phone number such as +14155550123")
        case .range:
            (
                NumberRange(text).flatMap { $0.isSingle ? nil : $0.text },
                "must be a prefix such as +4479*, or two numbers of the same length such as +14155550100-+14155550199"
            )
        }
    }

    private static func canonicalEmail(_ text: String) -> String? {
        let folded = text.trimmingWhitespace().lowercased()
        guard folded.hasPrefix("*@") else { return EmailAddress(folded)?.folded }
        return EmailAddress("x" + folded.dropFirst()).map { "*" + $0.folded.dropFirst() }
    }
}

extension BlacklistEntry: JSONWritable {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("kind", kind)
            json.field("value", value)
            json.field("workspace", workspace)
            json.field("reason", reason)
            json.field("expires_at", expiresAt)
            json.field("is_active", isActive)
            json.field("created_by", createdBy)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }
}
