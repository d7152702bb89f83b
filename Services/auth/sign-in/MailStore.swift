import Messaging
import Postgres
import Shared

/// The SQL of mails that wait.
enum MailStore {
    struct Due: Sendable {
        var id: EventID
        var sealed: [UInt8]
        var attempts: Int
        var createdAt: Instant
    }

    static func insert(
        _ id: EventID, of user: UserID?, _ sealed: [UInt8], expires: Instant, _ tx: borrowing Transaction
    ) {
        tx.enqueue("INSERT INTO mails (id, user_id, sealed, expires_at) VALUES (\(id), \(user), \(sealed), \(expires))")
    }

    /// Takes what is due, for as long as a try may last: another replica leaves it alone until then, and whoever is left
    /// tries again if this one dies. What is for nobody or too late is thrown away.
    static func take(max: Int, for lease: Duration, _ database: Database) async throws -> [Due] {
        let until = Instant.now() + lease
        return try await database.pipeline([
            "DELETE FROM mails WHERE next_at <= now() AND (user_id IS NULL OR expires_at <= now())",
            """
            UPDATE mails SET attempts = attempts + 1, next_at = \(until) WHERE id IN (
                SELECT id FROM mails WHERE next_at <= now() AND user_id IS NOT NULL
                ORDER BY next_at LIMIT \(max) FOR UPDATE SKIP LOCKED)
            RETURNING id, sealed, attempts, created_at
            """,
        ])[1].map {
            Due(
                id: try $0["id"], sealed: try $0["sealed"], attempts: try $0["attempts"],
                createdAt: try $0["created_at"])
        }
    }

    static func done(_ id: EventID, _ database: Database) async throws {
        _ = try await database.execute("DELETE FROM mails WHERE id = \(id)")
    }

    static func later(_ id: EventID, at next: Instant, _ database: Database) async throws {
        _ = try await database.execute("UPDATE mails SET next_at = \(next) WHERE id = \(id)")
    }
}

/// The SQL of one-use links.
enum LinkStore {
    static func insert(
        _ kind: Link.Kind, _ digest: [UInt8], of user: UserID?, _ address: EmailAddress, expires: Instant,
        _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            INSERT INTO links (digest, kind, user_id, email_folded, expires_at)
            VALUES (\(digest), \(kind.rawValue), \(user), \(address.folded), \(expires))
            """)
    }

    /// Uses a link up: of any number at once, one gets the person. Nobody does when their address is another by now.
    static func use(_ kind: Link.Kind, _ digest: [UInt8], _ tx: borrowing Transaction) async throws -> UserID? {
        let row = try await tx.queryOne(
            """
            DELETE FROM links l USING users u
            WHERE l.digest = \(digest) AND l.kind = \(kind.rawValue) AND l.expires_at > now()
                AND u.id = l.user_id AND u.email_folded = l.email_folded
            RETURNING u.id
            """)
        guard let row else { return nil }
        let user: UserID = try row["id"]
        // Those that went out before it have done their service as well.
        tx.enqueue("DELETE FROM links WHERE user_id = \(user) AND kind = \(kind.rawValue)")
        return user
    }

    /// How many of a kind went out for a person within the last hour.
    static func recent(_ kind: Link.Kind, of user: UserID, _ tx: borrowing Transaction) async throws -> Int {
        let row = try await tx.queryOne(
            """
            SELECT count(*)::int AS n FROM links
            WHERE user_id = \(user) AND kind = \(kind.rawValue) AND created_at > now() - interval '1 hour'
            """)
        return try row?["n"] ?? 0
    }

    /// Whether such a link could be used, for refusing a bad one before work is done for it.
    static func isGood(_ kind: Link.Kind, _ digest: [UInt8], _ database: Database) async throws -> Bool {
        try await database.queryOne(
            """
            SELECT 1 AS one FROM links WHERE digest = \(digest) AND kind = \(kind.rawValue) AND expires_at > now()
                AND user_id IS NOT NULL
            """) != nil
    }

    static func prune(_ database: Database) async throws {
        _ = try await database.execute("DELETE FROM links WHERE expires_at <= now()")
    }
}
