import HTTP
import Messaging
import Postgres
import Shared

/// The trail of administrative changes, and of what people change about how they log in: who did what to what, when, from
/// where, and what it was before and after.
///
/// Recorded in the transaction that makes the change, so there is no change without its line and no line without its
/// change. Lines are never changed or removed; the database refuses it (`audit_stays`).
enum Audit {
    /// What a line is about.
    enum Thing: String, CaseIterable, Sendable {
        case user, member, workspace, invitation, blacklist
        case apiKey = "api_key"
    }

    /// Who acts, and from where.
    struct Actor: Sendable {
        var user: UserID?
        var role: String
        var session: SessionID?
        var apiKey: APIKeyID?
        var client: ClientInfo?
        var request: String?

        /// Somebody at the machine itself: `auth create-superuser`.
        static let command = Actor(role: "command")
    }

    /// - Parameters:
    ///   - action: `users.created`, `workspaces.member_removed` …: the area, a dot, and what happened.
    ///   - before: nil for what is new. Members that did not change are left out, secrets always.
    ///   - after: nil for what is gone.
    static func record(
        _ action: StaticString, _ thing: Thing, _ id: String, workspace: WorkspaceID? = nil,
        before: (any JSONWritable)? = nil, after: (any JSONWritable)? = nil, by actor: Actor,
        _ tx: borrowing Transaction
    ) {
        let (was, became) = changes(before.map(object), after.map(object))
        AuditStore.insert(
            Line(
                action: "\(action)", thing: thing, id: id, workspace: workspace, before: was, after: became,
                actor: actor),
            tx)
    }

    struct Line: Sendable {
        let action: String
        let thing: Thing
        let id: String
        let workspace: WorkspaceID?
        let before: JSONObject?
        let after: JSONObject?
        let actor: Actor
    }

    // MARK: What is written down

    /// What differs between the two, and never a secret.
    static func changes(_ before: JSONObject?, _ after: JSONObject?) -> (JSONObject?, JSONObject?) {
        guard let before, let after else { return (before.map(withoutSecrets), after.map(withoutSecrets)) }
        var (was, became) = (JSONObject(), JSONObject())
        for name in Set(before.names + after.names).sorted() where before[name] != after[name] {
            // Follows from the change itself.
            if ["updated_at", "version"].contains(name) { continue }
            if let value = before[name] { was[name] = value }
            if let value = after[name] { became[name] = value }
        }
        return (withoutSecrets(was), withoutSecrets(became))
    }

    private static let secrets = ["password", "secret", "token", "hash", "digest", "totp", "recovery"]

    private static func withoutSecrets(_ object: JSONObject) -> JSONObject {
        JSONObject(
            object.pairs.filter { pair in
                !secrets.contains { pair.name.lowercased().contains($0) }
            }.map { ($0.name, withoutSecrets($0.value)) })
    }

    private static func withoutSecrets(_ json: JSON) -> JSON {
        switch json {
        case .object(let object): .object(withoutSecrets(object))
        case .array(let values): .array(values.map(withoutSecrets))
        default: json
        }
    }

    private static func object(_ value: any JSONWritable) -> JSONObject {
        (try? JSON.parse(value.jsonBytes))?.object ?? JSONObject()
    }
}

extension Audit.Actor {
    /// Whoever has shown that they are this person, by a password or by a link that went to their mailbox, but has no session.
    init(_ account: Account, _ client: ClientInfo, request: String?) {
        self.init(
            user: account.id, role: account.role.rawValue, session: nil, apiKey: nil, client: client, request: request)
    }

    /// Whoever sent the request.
    /// - Throws: 401 without a token.
    init(_ request: Request) throws(Problem) {
        let principal = try request.requirePrincipal()
        self.init(
            user: principal.user, role: principal.role.rawValue, session: principal.session,
            apiKey: principal.apiKey, client: ClientInfo(request), request: request.id)
    }
}
