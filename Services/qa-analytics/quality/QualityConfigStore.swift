import Messaging
import Postgres
import Shared

/// What other programs told of how to judge and who people are, as we keep it.
enum QualityConfigStore {
    static func onConfig(_ event: ConfigEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .changed(let config):
            guard try await !tx.isErased(.workspace(config.workspaceID)) else { return }
            put(config, tx)
        case .removed(let id, _): tx.enqueue("DELETE FROM business_configs WHERE id = \(id)")
        }
    }

    private static func put(_ config: ConfigSnapshot, _ tx: borrowing Transaction) {
        let terms = config.configData["quality_assurance"] ?? [:]
        tx.enqueue(
            """
            INSERT INTO business_configs AS c (id, workspace_id, version, is_active, quality_assurance)
            VALUES (\(config.id), \(config.workspaceID), \(config.version), \(config.isActive), \(terms))
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, is_active = excluded.is_active,
                quality_assurance = excluded.quality_assurance
            WHERE c.version < excluded.version
            """)
    }

    /// What is in force for a call; the defaults where it has no active configuration.
    static func terms(for call: CallRef, _ tx: borrowing Transaction) async throws -> QualityTerms {
        guard let query = terms(call) else { return QualityTerms() }
        return try await tx.queryOne(query).map(terms) ?? QualityTerms()
    }

    static func terms(for call: CallRef, _ database: Database) async throws -> QualityTerms {
        guard let query = terms(call) else { return QualityTerms() }
        return try await database.queryOne(query).map(terms) ?? QualityTerms()
    }

    private static func terms(_ call: CallRef) -> Query? {
        call.businessID.map {
            """
            SELECT id, version, quality_assurance FROM business_configs
            WHERE id = \($0) AND workspace_id = \(call.workspaceID) AND is_active
            """
        }
    }

    private static func terms(_ row: Row) throws -> QualityTerms {
        QualityTerms(business: try row["id"], version: try row["version"], try row["quality_assurance"])
    }

    // MARK: People

    static func onUser(_ event: UserEvent, _ tx: borrowing Transaction) async throws {
        switch event {
        case .created(let user), .updated(let user), .blacklisted(let user):
            guard try await !tx.isErased(.user(user.id)) else { return }
            let name = [user.firstName, user.lastName].filter { !$0.isEmpty }.joined(separator: " ")
            tx.enqueue(
                """
                INSERT INTO people AS p (user_id, name, version)
                VALUES (\(user.id), \(name.isEmpty ? user.email : name), \(user.version))
                ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, version = excluded.version
                WHERE p.version < excluded.version
                """)
        case .deleted(let id): try await tx.erase(.user(id))
        }
    }

    /// What a person is called; nil before auth has told.
    static func name(of person: UserID, _ tx: borrowing Transaction) async throws -> String? {
        try await tx.queryOne("SELECT name FROM people WHERE user_id = \(person)").map { try $0["name"] }
    }
}
