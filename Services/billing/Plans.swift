import Postgres
import Shared

/// The plan everyone starts on. Its limits are settings, so an operator decides what is free.
struct FreePlan: Sendable {
    static let slug = "plan_free_monthly"
    var callLimit: Int64
    var agentLimit: Int64
    var minutesMax: Int64
}

/// A plan as the classic API shows it.
struct Plan: Sendable, JSONWritable {
    var id: PlanID
    var slug: String
    var name: String
    var description: String
    var price: Money
    var interval: String
    var callLimit: Int64?
    var agentLimit: Int64?
    var minutesMax: Int64?
    var isActive: Bool
    var createdAt: Instant
    var updatedAt: Instant

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("slug", slug)
            json.field("name", name)
            json.field("description", description)
            json.field("price", price.decimal)
            json.field("currency", price.currency)
            json.field("interval", interval)
            writeLimits("limits", to: &json)
            json.field("is_active", isActive)
            json.field("created_at", createdAt)
            json.field("updated_at", updatedAt)
        }
    }

    /// null means unlimited.
    func writeLimits(_ name: StaticString, to json: inout JSONWriter) {
        json.fieldObject(name) { json in
            json.field("call_limit", callLimit)
            json.field("agent_limit", agentLimit)
            json.field("max_minutes", minutesMax)
        }
    }
}
