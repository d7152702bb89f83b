import Messaging
import Postgres
import Runtime
import Shared

/// How what telephony keeps of a workspace or a person goes. In workspaces of others a person's calls stay, without their
/// name.
enum ErasureStore {
    private static let batch = 200

    /// - Parameter orders: fired when the carrier is to be asked something.
    static func steps(orders: Wakeup) -> [ErasureStep] { hangUps(orders) + ofWorkspaces + ofPeople }

    /// The carrier still holds their live calls; they are hung up before we forget them.
    private static func hangUps(_ orders: Wakeup) -> [ErasureStep] {
        [
            .workspace("live_calls") { workspace, tx in
                let asked = try await tx.execute(
                    """
                    INSERT INTO carrier_orders (kind, call_id, sid)
                    SELECT 'hang_up', c.id, c.twilio_call_sid FROM calls c
                    WHERE c.workspace_id = \(workspace) AND c.twilio_call_sid IS NOT NULL
                        AND c.status IN ('initiated', 'ringing', 'in_progress', 'escalated')
                        AND NOT EXISTS (SELECT FROM carrier_orders o WHERE o.call_id = c.id AND o.kind = 'hang_up')
                    LIMIT \(batch)
                    """)
                if asked > 0 { tx.onCommit { orders.fire() } }
                return asked
            },
            .workspace("dials") { workspace, tx in
                try await tx.execute(
                    """
                    UPDATE carrier_orders o SET state = 'failed', problem = 'withdrawn'
                    FROM calls c WHERE c.id = o.call_id AND c.workspace_id = \(workspace) AND o.state = 'pending'
                        AND o.kind IN ('dial', 'dial_agent')
                        AND c.status IN ('initiated', 'ringing', 'in_progress', 'escalated')
                    """)
            },
            .workspace("orders") { workspace, tx in
                let open = try await tx.queryOne(
                    """
                    SELECT 1 AS open FROM calls c JOIN carrier_orders o ON o.call_id = c.id
                    WHERE c.workspace_id = \(workspace)
                        AND c.status IN ('initiated', 'ringing', 'in_progress', 'escalated')
                        AND o.state IN ('pending', 'asked') LIMIT 1
                    """)
                if open != nil { throw ErasureWaits(for: "the carrier") }
                return 0
            },
        ]
    }

    private static let ofWorkspaces: [ErasureStep] = [
        .workspace("callbacks") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM callbacks WHERE id IN (
                    SELECT id FROM callbacks WHERE workspace_id = \(workspace) LIMIT \(batch))
                """)
        },
        .workspace("do_not_call") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM do_not_call WHERE workspace_id = \(workspace) AND phone_number IN (
                    SELECT phone_number FROM do_not_call WHERE workspace_id = \(workspace) LIMIT 5000)
                """)
        },
        // With their transcripts, notes, escalations and orders.
        .workspace("calls") { workspace, tx in
            try await tx.execute(
                "DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE workspace_id = \(workspace) LIMIT \(batch))")
        },
        // By then they count nothing.
        .workspace("call_counts") { workspace, tx in
            try await tx.execute(
                """
                DELETE FROM call_counts WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM call_counts WHERE workspace_id = \(workspace) LIMIT \(batch)))
                """)
        },
        .workspace("human_agents") { workspace, tx in
            let rows = try await tx.query(
                """
                DELETE FROM human_agents WHERE id IN (
                    SELECT id FROM human_agents WHERE workspace_id = \(workspace) LIMIT \(batch)) RETURNING id
                """)
            for row in rows {
                let id: HumanAgentID = try row["id"]
                tx.alsoErase(id.text, with: .workspace(workspace))
                tx.publish(AgentEvent.removed(id: id, workspaceID: workspace))
            }
            return rows.count
        },
        .workspace("phone_numbers") { workspace, tx in
            try await tx.execute("DELETE FROM phone_numbers WHERE workspace_id = \(workspace)")
        },
        .workspace("ai_agents") { workspace, tx in
            try await tx.execute("DELETE FROM ai_agents WHERE workspace_id = \(workspace)")
        },
        .workspace("configs") { workspace, tx in
            try await tx.execute("DELETE FROM business_configs WHERE workspace_id = \(workspace)")
        },
        .workspace("limits") { workspace, tx in
            try await tx.execute("DELETE FROM workspace_limits WHERE workspace_id = \(workspace)")
        },
        .workspace("plans") { workspace, tx in
            try await tx.execute("DELETE FROM workspace_plans WHERE workspace_id = \(workspace)")
        },
        .workspace("blocked_numbers") { workspace, tx in
            try await tx.execute("DELETE FROM blocked_numbers WHERE workspace_id = \(workspace)")
        },
    ]

    private static let ofPeople: [ErasureStep] = [
        .user("human_agents") { user, tx in
            let rows = try await tx.query(
                """
                DELETE FROM human_agents WHERE id IN (SELECT id FROM human_agents WHERE user_id = \(user) LIMIT \(batch))
                RETURNING id, workspace_id
                """)
            for row in rows {
                let id: HumanAgentID = try row["id"]
                // Calls and escalations know the person by this id; so do events.
                tx.alsoErase(id.text, with: .user(user))
                tx.publish(AgentEvent.removed(id: id, workspaceID: try row["workspace_id"]))
            }
            return rows.count
        },
        .user("calls") { user, tx in
            let agents = try await humans(of: user, tx)
            return try await tx.execute(
                """
                UPDATE calls SET assigned_agent_name = NULL WHERE id IN (
                    SELECT id FROM calls WHERE assigned_agent_id = ANY (\(agents)) AND assigned_agent_name IS NOT NULL
                    LIMIT \(batch))
                """)
        },
        .user("escalations") { user, tx in
            let agents = try await humans(of: user, tx)
            return try await tx.execute(
                """
                UPDATE escalations SET agent_name = NULL WHERE id IN (
                    SELECT id FROM escalations WHERE assigned_agent_id = ANY (\(agents)) AND agent_name IS NOT NULL
                    LIMIT \(batch))
                """)
        },
        .user("notes") { user, tx in
            try await tx.execute(
                """
                UPDATE notes SET author_id = NULL WHERE id IN (
                    SELECT id FROM notes WHERE author_id = \(user) LIMIT \(batch))
                """)
        },
    ]

    private static func humans(of user: UserID, _ tx: borrowing Transaction) async throws -> [HumanAgentID] {
        try await tx.alsoErased(with: .user(user)).compactMap { HumanAgentID($0) }
    }
}
