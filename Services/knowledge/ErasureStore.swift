import Messaging
import Postgres
import Shared

/// How what knowledge keeps of a workspace or a person goes. The compacted topic of configurations gets a tombstone for
/// each, so that no reader finds them there.
enum ErasureStore {
    private static let batch = 200

    static let steps: [ErasureStep] = [
        .workspace("entries") { workspace, tx in
            let rows = try await tx.query(
                """
                DELETE FROM entries WHERE id IN (
                    SELECT id FROM entries WHERE workspace_id = \(workspace) LIMIT \(batch)) RETURNING id
                """)
            for row in rows { tx.publish(EntryEvent.removed(id: try row["id"], workspaceID: workspace)) }
            return rows.count
        },
        .workspace("word_counts") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM word_counts WHERE (workspace_id, word) IN (
                    SELECT workspace_id, word FROM word_counts WHERE workspace_id = \(workspace) LIMIT 5000)
                """)
        },
        .workspace("configs") { workspace, tx in
            let rows = try await tx.query(
                """
                DELETE FROM business_configs WHERE id IN (
                    SELECT id FROM business_configs WHERE workspace_id = \(workspace) LIMIT \(batch)) RETURNING id
                """)
            for row in rows {
                let id: BusinessID = try row["id"]
                tx.publish(ConfigEvent.removed(id: id, workspaceID: workspace))
                tx.publishTombstone(.knowledgeConfigs, key: id.text)
            }
            return rows.count
        },
        .workspace("config_versions") { workspace, tx in
            let rows = try await tx.query(
                """
                DELETE FROM business_config_versions WHERE (config_id, version) IN (
                    SELECT config_id, version FROM business_config_versions
                    WHERE workspace_id = \(workspace) LIMIT \(batch))
                RETURNING config_id
                """)
            // Also of those that were deleted before: their last word on the topic named the workspace.
            for id in Set(try rows.map { try $0.decode("config_id", as: BusinessID.self) }).sorted() {
                tx.publishTombstone(.knowledgeConfigs, key: id.text)
            }
            return rows.count
        },
        .user("config_versions") { user, tx in
            try await tx.execute(
                """
                UPDATE business_config_versions SET changed_by = '00000000-0000-0000-0000-000000000000'
                WHERE (config_id, version) IN (
                    SELECT config_id, version FROM business_config_versions WHERE changed_by = \(user) LIMIT \(batch))
                """)
        },
    ]
}
