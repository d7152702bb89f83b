import HTTP
import Postgres
import Shared

extension IdempotencyGuard {
    /// Keeps first answers in the program's own database for 24 hours.
    ///
    /// A key whose first request died with its program is free again after a minute, unless something was committed under
    /// it: every commit under a key carries the note that it was carried out, if it is one that wrote something.
    public static func postgres(_ database: Database) -> IdempotencyGuard {
        IdempotencyGuard(
            begin: { key in
                let row = try await database.queryOne(
                    """
                    WITH taken AS (
                        INSERT INTO idempotency_keys AS k (scope, key, fingerprint)
                        VALUES (\(key.scope), \(key.key), \(key.fingerprint))
                        ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, at = now(),
                            status = NULL, headers = NULL, body = NULL, carried_out_at = NULL
                        WHERE k.at < now() - interval '24 hours'
                            OR (k.status IS NULL AND k.carried_out_at IS NULL AND k.at < now() - interval '1 minute'
                                AND k.fingerprint = excluded.fingerprint)
                        RETURNING true
                    )
                    SELECT EXISTS (SELECT FROM taken) AS taken, k.fingerprint, k.status, k.headers, k.body,
                        -- Keeping the answer takes milliseconds; who has not done it by then is gone.
                        k.carried_out_at < now() - interval '5 seconds' AS lost
                    FROM (SELECT 1) AS one LEFT JOIN idempotency_keys k ON k.scope = \(key.scope) AND k.key = \(key.key)
                    """)
                guard let row, try !row.decode("taken", as: Bool.self) else { return .proceed }
                let fingerprint: [UInt8]? = try row["fingerprint"]
                // Taken by another request between the statement's snapshot and its insert.
                guard let fingerprint else { return .inProgress }
                guard fingerprint == key.fingerprint else { return .mismatch }
                guard let status = try row.decode("status", as: Int?.self) else {
                    return try row.decode("lost", as: Bool?.self) == true ? .carriedOut : .inProgress
                }
                let headers = try row.decode("headers", as: JSON?.self)?.array ?? []
                return .replay(
                    Stored(
                        status: status,
                        headers: headers.compactMap { pair in
                            guard let pair = pair.array, pair.count == 2, let name = pair[0].string,
                                let value = pair[1].string
                            else { return nil }
                            return (name, value)
                        },
                        body: try row.decode("body", as: [UInt8]?.self) ?? []))
            },
            carryOut: { key, work in
                let note: Query = """
                    UPDATE idempotency_keys SET carried_out_at = clock_timestamp()
                    WHERE scope = \(key.scope) AND key = \(key.key) AND carried_out_at IS NULL
                        AND pg_current_xact_id_if_assigned() IS NOT NULL
                    """
                return try await Rider.$current.withValue(Rider(with: database, note)) { try await work() }
            },
            finish: { key, stored in
                let headers = JSON.array(stored.headers.map { .array([.string($0.0), .string($0.1)]) })
                _ = try await database.execute(
                    """
                    UPDATE idempotency_keys SET status = \(stored.status), headers = \(headers), body = \(stored.body)
                    WHERE scope = \(key.scope) AND key = \(key.key)
                    """)
            },
            abandon: { key in
                _ = try await database.execute(
                    """
                    DELETE FROM idempotency_keys
                    WHERE scope = \(key.scope) AND key = \(key.key) AND status IS NULL AND carried_out_at IS NULL
                    """)
            })
    }
}
