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
            WITH opened AS (
                INSERT INTO sessions (id, user_id, address, user_agent, expires_at)
                VALUES (\(session), \(user), \(client.address), \(client.userAgent), \(Instant.now() + lifetime))
                RETURNING id)
            INSERT INTO refresh_tokens (digest, session_id) SELECT \(refresh)::bytea, id FROM opened
            """)
    }

    enum Use: Sendable {
        /// The token was good and is now used.
        case fresh(SessionID, Account)
        /// Another request used it while this one was under way: its sender sent it twice and has no answer yet.
        case twin(SessionID, Account)
        /// The token was used before: somebody has a copy.
        case reused(SessionID)
        /// Never heard of it, or its session is over.
        case unknown
    }

    /// Uses a refresh token. Of any number of simultaneous uses exactly one is `fresh`: the row is locked. So is the person,
    /// first, as everywhere: what is changed of them meanwhile is waited for, or waits.
    /// - Parameters:
    ///   - successor: the token that follows this one, as long as it is unused itself the only live one of its session.
    ///   - waited: since the request came.
    static func use(
        _ digest: [UInt8], successor: [UInt8], waited: Duration, _ tx: borrowing Transaction
    ) async throws -> Use {
        let row = try await tx.queryOne(
            """
            SELECT r.session_id, r.used_at IS NOT NULL AS used, s.ended_at IS NOT NULL OR s.expires_at <= now() AS over,
                coalesce(r.used_at >= now() - make_interval(secs => \(waited.inSeconds)), false) AS meanwhile,
                \(fragment: AccountStore.columns)
            FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id
            WHERE r.digest = \(digest) FOR SHARE OF u FOR UPDATE OF r, s
            """)
        guard let row, try !row.decode("over", as: Bool.self) else { return .unknown }
        let session: SessionID = try row["session_id"]
        if try row.decode("used", as: Bool.self) {
            // Asked on its own: a statement that waited for the lock does not see what was inserted meanwhile.
            let live = try await tx.queryOne(
                "SELECT 1 AS one FROM refresh_tokens WHERE digest = \(successor) AND used_at IS NULL")
            guard live != nil, try row.decode("meanwhile", as: Bool.self) else { return .reused(session) }
            return .twin(session, try AccountStore.account(row))
        }
        tx.enqueue("UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE digest = \(digest)")
        tx.enqueue("INSERT INTO refresh_tokens (digest, session_id) VALUES (\(successor), \(session))")
        tx.enqueue("UPDATE sessions SET used_at = now() WHERE id = \(session)")
        return .fresh(session, try AccountStore.account(row))
    }

    /// Ends a session and remembers the revocation for as long as its access tokens could live.
    static func end(_ session: SessionID, reason: String, at: Instant, until: Instant, _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE sessions SET ended_at = now(), end_reason = \(reason) WHERE id = \(session) AND ended_at IS NULL
            """)
        tx.enqueue("DELETE FROM refresh_tokens WHERE session_id = \(session)")
        tx.enqueue(
            """
            INSERT INTO revocations (kind, id, at, until) VALUES ('session', \(session), \(at), \(until))
            ON CONFLICT (kind, id) DO UPDATE SET at = excluded.at, until = excluded.until
            """)
    }

    /// A person's sessions that still count, the newest first.
    static func live(of user: UserID, _ database: Database) async throws -> [LiveSession] {
        try await database.query(
            """
            SELECT id, kind, address, user_agent, created_at, used_at, expires_at FROM sessions
            WHERE user_id = \(user) AND ended_at IS NULL AND expires_at > now() ORDER BY created_at DESC LIMIT 1000
            """
        ).map {
            LiveSession(
                id: try $0["id"], kind: try $0["kind"], address: try $0["address"], userAgent: try $0["user_agent"],
                createdAt: try $0["created_at"], usedAt: try $0["used_at"], expiresAt: try $0["expires_at"])
        }
    }

    /// Locks the person's sessions that still count, but for one, and names them.
    static func live(
        of user: UserID, except kept: SessionID?, _ tx: borrowing Transaction
    ) async throws -> [SessionID] {
        try await tx.query(
            """
            SELECT id FROM sessions WHERE user_id = \(user) AND ended_at IS NULL AND id IS DISTINCT FROM \(kept)::uuid
            ORDER BY id FOR UPDATE
            """
        ).map { try $0["id"] }
    }

    /// Locks one session; false when it is not theirs or over.
    static func isLive(_ session: SessionID, of user: UserID, _ tx: borrowing Transaction) async throws -> Bool {
        try await tx.queryOne(
            """
            SELECT id FROM sessions WHERE id = \(session) AND user_id = \(user) AND ended_at IS NULL FOR UPDATE
            """) != nil
    }

    /// The session that stands for a person's requests with HTTP Basic, opened anew when there is none.
    static func basic(
        of user: UserID, from client: ClientInfo, lifetime: Duration, _ tx: borrowing Transaction
    ) async throws -> SessionID {
        let expires = Instant.now() + lifetime
        let known = try await tx.queryOne(
            """
            UPDATE sessions SET used_at = now(), expires_at = \(expires) WHERE id = (
                SELECT id FROM sessions WHERE user_id = \(user) AND kind = 'basic' AND ended_at IS NULL
                    AND expires_at > now() AND address = \(client.address) AND user_agent = \(client.userAgent)
                ORDER BY id LIMIT 1)
            AND ended_at IS NULL RETURNING id
            """)
        if let known { return try known["id"] }
        let session = SessionID()
        tx.enqueue(
            """
            INSERT INTO sessions (id, user_id, kind, address, user_agent, expires_at)
            VALUES (\(session), \(user), 'basic', \(client.address), \(client.userAgent), \(expires))
            """)
        return session
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
            // An ended session is still a device that was here before.
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < now() LIMIT 10000)",
        ])
    }
}

/// Where a request came from, for the person's own list of sessions.
struct ClientInfo: Sendable {
    var address: String
    var userAgent: String
}

/// A session that can still be used.
struct LiveSession: Sendable {
    var id: SessionID
    /// `login`, or `basic` for all requests with HTTP Basic from one place.
    var kind: String
    var address: String
    var userAgent: String
    var createdAt: Instant
    var usedAt: Instant
    var expiresAt: Instant
}
