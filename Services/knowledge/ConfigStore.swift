import HTTP
import Messaging
import Postgres
import Shared

/// The SQL of business configurations.
enum ConfigStore {
    /// Per workspace: the list is never paged.
    static let countMax = 1000

    private static let columns: Query = """
        id, workspace_id, version, name, type, config_data, is_active, created_at, updated_at
        """

    static func list(_ tenancy: Tenancy, isActive: Bool?, _ database: Database) async throws -> [ConfigSnapshot] {
        let owners: Query = tenancy.ids.map { "workspace_id = ANY (\($0))" } ?? "true"
        return try await database.query(
            """
            SELECT \(fragment: columns) FROM business_configs
            WHERE \(fragment: owners) AND (\(isActive)::boolean IS NULL OR is_active = \(isActive)::boolean)
            ORDER BY created_at, id LIMIT \(countMax)
            """
        ).map(config)
    }

    static func find(_ id: BusinessID, _ tenancy: Tenancy, _ database: Database) async throws -> ConfigSnapshot? {
        let row = try await database.queryOne("SELECT \(fragment: columns) FROM business_configs WHERE id = \(id)")
        return try row.map(config).flatMap { tenancy.contains($0.workspaceID) ? $0 : nil }
    }

    /// The configuration's workspace, held until the transaction ends; nil when there is none in these workspaces.
    static func lock(_ id: BusinessID, _ tenancy: Tenancy, _ tx: borrowing Transaction) async throws -> WorkspaceID? {
        let row = try await tx.queryOne("SELECT workspace_id FROM business_configs WHERE id = \(id) FOR UPDATE")
        guard let workspace: WorkspaceID = try row?["workspace_id"], tenancy.contains(workspace) else { return nil }
        return workspace
    }

    /// nil when the workspace has as many as it may have.
    static func add(
        _ new: ConfigFields, to workspace: WorkspaceID, by person: UserID, _ tx: borrowing Transaction
    ) async throws -> ConfigSnapshot? {
        let row = try await tx.queryOne(
            """
            INSERT INTO business_configs (workspace_id, name, type, config_data, is_active)
            SELECT \(workspace), \(new.name), \(new.type), \(JSON.object(new.data)), \(new.isActive ?? true)
            WHERE (SELECT count(*) FROM business_configs WHERE workspace_id = \(workspace)) < \(countMax)
            RETURNING \(fragment: columns)
            """)
        return try keep(row, by: person, tx)
    }

    static func replace(
        _ id: BusinessID, by new: ConfigFields, person: UserID, _ tx: borrowing Transaction
    ) async throws -> ConfigSnapshot? {
        let row = try await tx.queryOne(
            """
            UPDATE business_configs SET name = \(new.name), type = \(new.type), config_data = \(JSON.object(new.data)),
                is_active = coalesce(\(new.isActive)::boolean, is_active), version = version + 1,
                updated_at = greatest(now(), updated_at)
            WHERE id = \(id) RETURNING \(fragment: columns)
            """)
        return try keep(row, by: person, tx)
    }

    // MARK: Versions

    /// The versions of a configuration, newest first.
    /// - Parameter before: the last version of the page before, instead of an offset.
    static func versions(
        of id: BusinessID, before: Int64?, _ page: Page, _ database: Database
    ) async throws -> (versions: [ConfigVersion], total: Int, hasMore: Bool) {
        let place: Query = before.map { "AND version < \($0)" } ?? ""
        let results = try await database.pipeline([
            """
            SELECT version, name, type, config_data, is_active, changed_by, changed_at FROM business_config_versions
            WHERE config_id = \(id) \(fragment: place) ORDER BY version DESC LIMIT \(page.size + 1) OFFSET \(page.offset)
            """,
            "SELECT count(*) AS total FROM business_config_versions WHERE config_id = \(id)",
        ])
        let found = try results[0].map(version)
        return (
            Array(found.prefix(page.size)), try results[1].first?.decode("total", as: Int.self) ?? 0,
            found.count > page.size
        )
    }

    static func version(_ number: Int64, of id: BusinessID, _ database: Database) async throws -> ConfigVersion? {
        try await database.queryOne(
            """
            SELECT version, name, type, config_data, is_active, changed_by, changed_at FROM business_config_versions
            WHERE config_id = \(id) AND version = \(number)
            """
        ).map(version)
    }

    private static func version(_ row: Row) throws -> ConfigVersion {
        let data: JSON = try row["config_data"]
        return ConfigVersion(
            version: try row["version"], name: try row["name"], type: try row["type"],
            data: data.object ?? JSONObject(), isActive: try row["is_active"], changedBy: try row["changed_by"],
            changedAt: try row["changed_at"])
    }

    /// How many knowledge entries belong to it.
    static func entries(of id: BusinessID, _ database: Database) async throws -> Int {
        let row = try await database.queryOne("SELECT count(*) AS n FROM entries WHERE business_id = \(id)")
        return try row?.decode("n", as: Int.self) ?? 0
    }

    static func remove(_ id: BusinessID, _ tx: borrowing Transaction) async throws {
        _ = try await tx.execute("DELETE FROM business_configs WHERE id = \(id)")
    }

    /// Publishes every configuration again, for a broker that lost them.
    static func restate(_ tx: borrowing Transaction) async throws {
        let rows = try await tx.query("SELECT \(fragment: columns) FROM business_configs ORDER BY id FOR SHARE")
        for row in rows { tx.publish(ConfigEvent.changed(try config(row))) }
    }

    /// Adds what a statement returned to the history.
    private static func keep(
        _ row: Row?, by person: UserID, _ tx: borrowing Transaction
    ) throws -> ConfigSnapshot? {
        guard let now = try row.map(config) else { return nil }
        tx.enqueue(
            """
            INSERT INTO business_config_versions
                (config_id, version, workspace_id, name, type, config_data, is_active, changed_by, changed_at)
            VALUES (\(now.id), \(now.version), \(now.workspaceID), \(now.name), \(now.type),
                \(JSON.object(now.configData)), \(now.isActive), \(person), \(now.updatedAt))
            """)
        return now
    }

    private static func config(_ row: Row) throws -> ConfigSnapshot {
        let data: JSON = try row["config_data"]
        return ConfigSnapshot(
            id: try row["id"], workspaceID: try row["workspace_id"], version: try row["version"],
            name: try row["name"], type: try row["type"], configData: data.object ?? JSONObject(),
            isActive: try row["is_active"], createdAt: try row["created_at"], updatedAt: try row["updated_at"])
    }
}
