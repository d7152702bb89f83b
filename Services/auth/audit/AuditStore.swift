import Postgres
import Shared

/// Adds to the trail. There is no statement here that changes or removes a line.
enum AuditStore {
    static func insert(_ line: Audit.Line, _ tx: borrowing Transaction) {
        let actor = line.actor
        tx.enqueue(
            """
            INSERT INTO audit (actor_id, actor_role, session_id, api_key_id, action, thing, thing_id, workspace_id,
                               before, after, address, user_agent, request_id)
            VALUES (\(actor.user), \(actor.role), \(actor.session), \(actor.apiKey), \(line.action),
                    \(line.thing.rawValue), \(line.id), \(line.workspace), \(line.before.map(JSON.object)),
                    \(line.after.map(JSON.object)), \(actor.client?.address), \(actor.client?.userAgent),
                    \(actor.request))
            """)
    }
}
