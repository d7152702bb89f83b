import Messaging
import Postgres
import Shared

/// The SQL of sessions, refresh tokens and revocations.
enum SessionStore {
    /// Opens a session for a person who has just proved who they are.
    static func open(
        _ session: SessionID, of user: UserID, from client: ClientInfo, refresh: [UInt8], lifetime: Duration,
        _ tx: borrowing Transaction
    ) {
        tx.enqueue(
            """
            INSERT INTO sessions (id, user_id, address, user_agent, expires_at)
            VALUES (\(session), \(user), \(client.address), \(client.userAgent), \(Instant.now() + lifetime))
            """)
        tx.enqueue("INSERT INTO refresh_tokens (digest, session_id) VALUES (\(refresh), \(session))")
        tx.enqueue("UPDATE users SET last_login = now() WHERE id = \(user)")
    }

    enum Use: Sendable {
        /// The token was good and is now used.
        case fresh(SessionID, Account)
        /// The token was used before: somebody has a copy.
        case reused(SessionID)
        /// Never heard of it, or its session is over.
        case unknown
    }

    /// Uses a refresh token. Of any number of simultaneous uses exactly one is `fresh`: the row is locked.
    static func use(_ digest: [UInt8], _ tx: borrowing Transaction) async throws -> Use {
        let row = try await tx.queryOne(
            """
            SELECT r.session_id, r.used_at IS NOT NULL AS used, s.ended_at IS NOT NULL OR s.expires_at <= now() AS over,
                \(fragment: AccountStore.columns)
            FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id
            WHERE r.digest = \(digest) FOR UPDATE OF r, s
            """)
        guard let row, try !row.decode("over", as: Bool.self) else { return .unknown }
        let session: SessionID = try row["session_id"]
        if try row.decode("used", as: Bool.self) { return .reused(session) }
        tx.enqueue("UPDATE refresh_tokens SET used_at = now() WHERE digest = \(digest)")
        tx.enqueue("UPDATE sessions SET used_at = now() WHERE id = \(session)")
        return .fresh(session, try AccountStore.account(row))
    }

    static func add(refresh: [UInt8], to session: SessionID, _ tx: borrowing Transaction) {
        tx.enqueue("INSERT INTO refresh_tokens (digest, session_id) VALUES (\(refresh), \(session))")
    }

    /// Ends a session and remembers the revocation for as long as its access tokens could live.
    static func end(_ session: SessionID, reason: String, until: Instant, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE sessions SET ended_at = now(), end_reason = \(reason) WHERE id = \(session) AND ended_at IS NULL
            """)
        tx.enqueue("DELETE FROM refresh_tokens WHERE session_id = \(session)")
        tx.enqueue(
            """
            INSERT INTO revocations (kind, id, at, until) VALUES ('session', \(session), now(), \(until))
            ON CONFLICT (kind, id) DO UPDATE SET at = excluded.at, until = excluded.until
            """)
    }

    /// The session a refresh token belongs to, used or not.
    static func session(of digest: [UInt8], _ tx: borrowing Transaction) async throws -> (SessionID, UserID)? {
        try await tx.queryOne(
            """
            SELECT s.id, s.user_id FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id
            WHERE r.digest = \(digest)
            """
        ).map { (try $0["id"], try $0["user_id"]) }
    }

    /// Publishes every revocation that still matters: what a broker that came back empty is told again.
    static func restate(_ tx: borrowing Transaction) async throws {
        let rows = try await tx.query("SELECT kind, id::text AS id, at, until FROM revocations WHERE until > now()")
        for row in rows {
            tx.publish(
                RevocationEvent(
                    kind: try kind(row.decode("kind", as: String.self)), id: try row["id"], at: try row["at"],
                    until: try row["until"]))
        }
    }

    private static func kind(_ text: String) throws -> RevocationEvent.Kind {
        guard let kind = RevocationEvent.Kind(rawValue: text) else {
            throw EventError.field("kind", expected: "session, user or key")
        }
        return kind
    }

    /// Forgets what no token can refer to any more.
    static func prune(_ database: Database) async throws {
        _ = try await database.pipeline([
            "DELETE FROM revocations WHERE until < now()",
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < now() LIMIT 10000)",
        ])
    }
}

/// Where a request came from, for the person's own list of sessions.
struct ClientInfo: Sendable {
    var address: String
    var userAgent: String
}
