import Postgres
import Shared

/// The blacklist's numbers, as this program keeps them.
enum BlockedNumberStore {
    static func put(_ entry: BlacklistSnapshot, _ range: NumberRange, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute(
            """
            INSERT INTO blocked_numbers AS b (id, workspace_id, numbers, digits, expires_at, version)
            SELECT \(entry.id), \(entry.workspaceID), int8range(\(range.first), \(range.last), '[]'),
                   int4range(\(range.lengths.lowerBound)::integer, \(range.lengths.upperBound)::integer, '[]'),
                   \(entry.expiresAt), \(entry.version)
            WHERE NOT EXISTS (SELECT 1 FROM lifted_numbers WHERE id = \(entry.id))
            ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, version = excluded.version
            WHERE b.version < excluded.version
            """)
    }

    static func lift(_ id: BlacklistID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("DELETE FROM blocked_numbers WHERE id = \(id)")
        _ = try await tx.execute("INSERT INTO lifted_numbers (id) VALUES (\(id)) ON CONFLICT DO NOTHING")
    }

    /// Whether a number is blocked in a workspace, as a condition: the callee of a query or a parameter.
    static func covers(_ number: PhoneNumber, in workspace: WorkspaceID) -> Query {
        """
        EXISTS (SELECT 1 FROM blocked_numbers b
                WHERE b.numbers @> \(NumberRange.place(of: number)) AND b.digits @> \(number.text.utf8.count - 1)::integer
                  AND (b.workspace_id IS NULL OR b.workspace_id = \(workspace))
                  AND (b.expires_at IS NULL OR b.expires_at > now()))
        """
    }

    static func isBlocked(
        _ number: PhoneNumber, in workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> Bool {
        let row = try await tx.queryOne("SELECT \(fragment: covers(number, in: workspace)) AS blocked")
        return try row.map { try $0["blocked"] } ?? false
    }

    /// Why a number must not be dialled any more, although it was fine when the call was ordered.
    static func refusal(
        _ number: PhoneNumber, in workspace: WorkspaceID, _ database: Database
    ) async throws -> StaticString? {
        let row = try await database.queryOne(
            """
            SELECT \(fragment: covers(number, in: workspace)) AS blocked,
                   EXISTS (SELECT 1 FROM do_not_call
                           WHERE workspace_id = \(workspace) AND phone_number = \(number)) AS unwanted
            """)
        guard let row else { return nil }
        if try row.decode("blocked", as: Bool.self) { return "blacklisted" }
        return try row.decode("unwanted", as: Bool.self) ? "do_not_call" : nil
    }

    /// Forgets what blocks nothing any more, and what nobody can tell of again.
    static func sweep(_ database: Database) async throws {
        _ = try await database.pipeline([
            "DELETE FROM blocked_numbers WHERE expires_at < now() - interval '1 day'",
            "DELETE FROM lifted_numbers WHERE at < now() - interval '30 days'",
        ])
    }
}
