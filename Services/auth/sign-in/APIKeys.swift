import HTTP
import Messaging
import Postgres
import Shared

/// A key for programs: `sk_` and 192 random bits.
struct APIKey: Sendable, JSONWritable {
    var id: APIKeyID
    var user: UserID
    var name: String
    /// Its first characters, which tell it apart and open nothing.
    var prefix: String
    var scopes: [String]
    var expiresAt: Instant?
    var lastUsedAt: Instant?
    var createdAt: Instant

    static let mark = "sk_"

    static func make() -> String { mark + Digest.randomToken(bytes: 24) }
    static func digest(_ key: String) -> [UInt8] { Digest.sha256(Array(key.utf8)) }

    func write(to json: inout JSONWriter) {
        json.object { json in writeFields(to: &json) }
    }

    /// What the audit trail keeps of it.
    var trace: JSONObject {
        [
            "user": .string(user.text), "name": .string(name), "scopes": .array(scopes.map(JSON.string)),
            "expires_at": expiresAt.map { JSON.string($0.iso) } ?? .null,
        ]
    }

    func writeFields(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("name", name)
        json.field("prefix", prefix)
        json.fieldArray("scopes") { json in for scope in scopes { json.value(scope) } }
        json.field("expires_at", expiresAt)
        json.field("last_used_at", lastUsedAt)
        json.field("created_at", createdAt)
    }

    /// `*`, `read`, `write`, or an area and a verb, as `Scope` compares them.
    static func isScope(_ text: String) -> Bool {
        if ["*", "read", "write"].contains(text) { return true }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1] == "read" || parts[1] == "write", let first = parts[0].utf8.first else {
            return false
        }
        return (0x61...0x7A).contains(first)
            && parts[0].utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
}

extension Accounts {
    /// Keys of one person: more than any program needs, few enough to look through.
    private static let keysMax = 50

    /// `POST /api/auth/api-keys/` with `{name, scopes, expires_at?}` → 201 with `key`, which is shown this once.
    func createAPIKey(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        var form = try await request.form()
        let name = form.string("name", max: 100)
        let scopes = form.strings("scopes", max: 40, each: 60)
        let expires = form.optionalInstant("expires_at")
        if scopes?.isEmpty ?? true, form.failed.allSatisfy({ $0.name != "scopes" }) {
            form.fail("scopes", "is required: what the key may do, such as calls:read, knowledge:write, read or *")
        }
        if let bad = scopes?.first(where: { !APIKey.isScope($0) }) {
            form.fail("scopes", "may hold *, read, write, and areas such as calls:read, not \(bad.prefix(60))")
        }
        if let expires, expires <= .now() { form.fail("expires_at", "must be in the future") }
        try form.finish()
        let secret = APIKey.make()
        let key = APIKey(
            id: APIKeyID(), user: principal.user, name: name, prefix: String(secret.prefix(9)),
            scopes: Set(scopes ?? []).sorted(), expiresAt: expires, createdAt: .now())
        let actor = try Audit.Actor(request)
        try await database.transaction { tx in
            guard try await APIKeyStore.insert(key, APIKey.digest(secret), max: Self.keysMax, tx) else {
                throw Problem.conflict("You have \(Self.keysMax) keys; remove one that is not used.")
            }
            Audit.record("sign_in.api_key_made", .apiKey, key.id.text, after: key.trace, by: actor, tx)
        }
        return .json(201) { json in
            json.object { json in
                key.writeFields(to: &json)
                json.field("key", secret)
            }
        }
    }

    /// `GET /api/auth/api-keys/`.
    func apiKeys(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        var form = request.queryForm
        let page = Page(classic: &form)
        try form.finish()
        let all = try await APIKeyStore.all(of: principal.user, database)
        return page.classic(request, count: all.count) { json in
            for key in all.dropFirst(page.offset).prefix(page.size) { json.value(key) }
        }
    }

    /// `GET /api/auth/api-keys/{key_id}/`.
    func apiKey(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        let id = try request.pathID("key_id", as: APIKeyID.self, or: .keyNotFound)
        guard let key = try await APIKeyStore.all(of: principal.user, database).first(where: { $0.id == id }) else {
            throw Problem.notFound(.keyNotFound)
        }
        return .json(200, key)
    }

    /// `DELETE /api/auth/api-keys/{key_id}/`: it stops counting within a second, also where it was exchanged already.
    func revokeAPIKey(_ request: Request) async throws -> Response {
        let principal = try request.requireLogin()
        let id = try request.pathID("key_id", as: APIKeyID.self, or: .keyNotFound)
        let now = Instant.now()
        let until = now + settings.accessLifetime
        let actor = try Audit.Actor(request)
        try await database.transaction { tx in
            guard let key = try await APIKeyStore.remove(id, of: principal.user, tx) else {
                throw Problem.notFound(.keyNotFound)
            }
            Audit.record("sign_in.api_key_revoked", .apiKey, id.text, before: key.trace, by: actor, tx)
            APIKeyStore.revoke(id, at: now, until: until, tx)
            tx.publish(RevocationEvent(kind: .key, id: id.text, at: now, until: until))
        }
        return .empty(204)
    }
}
