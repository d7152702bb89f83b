import HTTP
import Postgres
import Shared

struct EscalationFilter: Sendable {
    var tenancy: Tenancy
    var status: EscalationStatus?
    var agent: HumanAgentID?
    var call: CallID?

    init(_ form: inout Form, tenancy: Tenancy) {
        self.tenancy = tenancy
        status = form.optionalChoice("status", as: EscalationStatus.self)
        agent = form.optionalID("agent_id", as: HumanAgentID.self)
        call = form.optionalID("call_id", as: CallID.self)
    }
}

enum ReadEscalations {
    static func page(
        _ filter: EscalationFilter, _ page: Page, in database: Database
    ) async throws -> (escalations: [Escalation], next: Cursor?, total: Total) {
        var condition = ReadCalls.tenant(filter.tenancy, "e.workspace_id")
        if let status = filter.status { condition = "\(fragment: condition) AND e.status = \(status)" }
        if let agent = filter.agent { condition = "\(fragment: condition) AND e.assigned_agent_id = \(agent)" }
        if let call = filter.call { condition = "\(fragment: condition) AND e.call_id = \(call)" }
        var seek: Query = ""
        if let cursor = page.cursor {
            guard cursor.values.count == 1, let after = cursor.values[0].int64 else {
                throw Problem.validation("cursor", "belongs to another list or order")
            }
            seek = "AND e.id < \(after)"
        }
        let rows = try await database.query(
            """
            SELECT \(fragment: EscalationStore.columns) FROM escalations e
            WHERE \(fragment: condition) \(fragment: seek)
            ORDER BY e.id DESC LIMIT \(page.size + 1) OFFSET \(page.offset)
            """)
        var escalations = try rows.map(Escalation.init)
        var next: Cursor?
        if escalations.count > page.size {
            escalations.removeLast()
            next = Cursor([.int(escalations[escalations.count - 1].id)])
        }
        guard page.cursor == nil else { return (escalations, next, .uncounted) }
        let row = try await database.queryOne(
            """
            SELECT count(*) AS n FROM (
                SELECT 1 FROM escalations e WHERE \(fragment: condition) LIMIT \(ReadCalls.exactMax + 1)) AS counted
            """)
        let count: Int = try row.map { try $0["n"] } ?? 0
        return (escalations, next, count > ReadCalls.exactMax ? .estimate(count) : .exact(count))
    }
}
