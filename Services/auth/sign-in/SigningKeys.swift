import Postgres
import Runtime
import Shared

/// The Ed25519 keys that sign access tokens. The newest one that others have had time to fetch signs; every key whose
/// tokens may still live is published at `/.well-known/jwks.json`, so a rotation logs nobody out.
final class SigningKeys: Sendable {
    /// A new key is published this long before it signs: verifiers refetch on an unknown key anyway, this spares them.
    static let publishedFirst: Duration = .seconds(60)
    /// A key signs for this long; then the next one takes over.
    static let signsFor: Duration = .seconds(30 * 24 * 3600)
    /// And stays published this long after, longer than any token lives.
    static let keptFor: Duration = .seconds(24 * 3600)

    private struct Key: Sendable {
        var key: SigningKey
        var createdAt: Instant
    }

    private let database: Database
    /// SECRET_KEY, from which everything else that auth seals derives its key.
    let secret: String
    private let seal: Seal
    private let keys = Guarded<[Key]>([])

    init(database: Database, secret: String) {
        self.database = database
        self.secret = secret
        seal = Seal(secret: secret, purpose: "signing keys")
    }

    /// Loads the keys, makes the first one or the next one when it is due. Safe on every replica at once.
    func refresh(now: Instant = .now()) async throws {
        var loaded = try await load()
        let newest = loaded.first?.createdAt
        if newest.map({ now >= $0 + Self.signsFor }) ?? true {
            let fresh = try SigningKey.generate()
            try await KeyStore.insert(fresh.kid, seal.seal(Array(fresh.pem.utf8)), after: newest, database)
            loaded = try await load()
        }
        try await KeyStore.prune(createdBefore: now - Self.signsFor - Self.keptFor, database)
        keys.withLock { $0 = loaded }
    }

    private func load() async throws -> [Key] {
        try await KeyStore.all(database).map { row in
            guard let pem = seal.open(row.sealed) else { throw Sealed(kid: row.kid) }
            return Key(key: try SigningKey(pem: String(decoding: pem, as: UTF8.self)), createdAt: row.createdAt)
        }
    }

    func sign(_ claims: Claims, now: Instant = .now()) async throws -> String {
        let key = keys.withLock { keys in
            keys.first { now >= $0.createdAt + Self.publishedFirst } ?? keys.last
        }
        guard let key else { throw Problem.unavailable("The signing keys are not loaded yet; try again.") }
        return try key.key.sign(claims)
    }

    /// The public halves, as RFC 7517 shows them.
    var published: JSON {
        KeySet(keys: keys.withLock { $0.map(\.key) }).jwks
    }

    /// A key in the database does not open with this SECRET_KEY.
    struct Sealed: Error, CustomStringConvertible {
        let kid: String
        var description: String {
            "signing key \(kid) was sealed with another SECRET_KEY; set the old one, or delete the row to log everyone out"
        }
    }
}
