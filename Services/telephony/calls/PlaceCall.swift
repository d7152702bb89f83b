import HTTP
import Messaging
import Postgres
import Shared

extension Telephony {
    /// `POST /api/v1/calls/initiate` — takes the call down and answers; dialling follows the commit (design §5.1).
    func initiateCall(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = try await request.form()
        let to = form.phone("to_number")
        let from = form.optionalPhone("from_number")
        let business = form.optionalID("business_id", as: BusinessID.self)
        let template = form.optionalID("template_id", as: AgentID.self)
        let metadata = form.object("metadata", max: 16_384) ?? [:]
        let named = form.optionalID("workspace_id", as: WorkspaceID.self)
        let priority = form.optionalChoice("priority", as: CallPriority.self) ?? .medium
        try form.finish()
        let workspace = try principal.workspace(named, for: .placeCalls)
        let order = CallOrder(
            workspace: workspace, to: to, from: from, business: business, agent: template, metadata: metadata,
            priority: priority)
        let call = try await place(order)
        return .json(201) { json in
            json.object { json in
                json.field("call") { call.snapshot.writeCall(to: &$0) }
                json.field("message", "The call is being placed.")
            }
        }
    }

    /// Checks an order in every way and takes the call down with its event and the order to dial it.
    func place(_ order: CallOrder) async throws -> Call {
        do { try rules.check(order.to) } catch { throw Problem.validation("to_number", error.message) }
        let now = Instant.now()
        return try await database.transaction { (tx: borrowing Transaction) -> Call in
            try await checkWorkspace(order, tx)
            let agent = try await agent(for: order, tx)
            try await checkHours(order, agent, tx)
            let from = try await callerNumber(for: order, agent, tx)
            let business = order.business ?? agent?.business
            try await checkBusiness(business, of: order, tx)
            let call = Call(
                id: CallID(), workspace: order.workspace, direction: .outbound, status: .initiated, from: from.text,
                to: order.to.text, business: business, agent: agent?.id, startedAt: now, createdAt: now,
                updatedAt: now, metadata: order.metadata, priority: order.priority)
            try await CallStore.insert(call, tx)
            OrderStore.dial(call, tx)
            tx.publish(CallEvent.started(call.snapshot))
            let orders = ordersWaiting
            tx.onCommit { orders.fire() }
            return call
        }
    }

    private func checkWorkspace(_ order: CallOrder, _ tx: borrowing Transaction) async throws {
        // The row lock makes two orders at once count each other.
        let facts = try await PlaceCallStore.lockWorkspace(order.workspace, callee: order.to, tx)
        if facts.isErased { throw Problem.notFound(.workspaceNotFound) }
        if let limit = facts.limits.first {
            throw Problem.limitReached(
                "The plan's limit of \(limit.max) \(limit.name) is used up. Upgrade the plan to place more calls.",
                details: ["limit": .string(limit.name), "value": .int(limit.value), "max": .int(limit.max)])
        }
        if facts.mustNotCall {
            throw Problem.validation("to_number", "is on the do-not-call list")
        }
        if facts.isBlocked {
            throw Problem.validation("to_number", "is on the blacklist")
        }
        if facts.live >= policy.concurrentMax {
            throw Problem(
                .rateLimited, "The workspace has \(facts.live) calls at once already; wait until one has ended.",
                headers: [("Retry-After", "10")])
        }
    }

    private func agent(for order: CallOrder, _ tx: borrowing Transaction) async throws -> PlaceCallStore.Agent? {
        guard let id = order.agent else {
            return try await PlaceCallStore.defaultAgent(of: order.workspace, tx)
        }
        guard let agent = try await PlaceCallStore.agent(id, in: order.workspace, tx) else {
            throw Problem.validation("template_id", "is no agent of this workspace")
        }
        if agent.isPaused { throw Problem.validation("template_id", "names an agent that is paused") }
        return agent
    }

    private func checkHours(
        _ order: CallOrder, _ agent: PlaceCallStore.Agent?, _ tx: borrowing Transaction
    ) async throws {
        guard let agent else { return }
        let zones = agent.timezone.map { [$0] } ?? NumberZones.zones(of: order.to.text)
        guard let closed = try await PlaceCallStore.closedZone(for: agent.id, in: zones, tx) else { return }
        throw Problem.validation("to_number", "is outside of the agent's calling hours (now \(closed))")
    }

    private func callerNumber(
        for order: CallOrder, _ agent: PlaceCallStore.Agent?, _ tx: borrowing Transaction
    ) async throws -> PhoneNumber {
        if let from = order.from {
            if try await PlaceCallStore.isForeign(from, to: order.workspace, tx) {
                throw Problem.validation("from_number", "belongs to somebody else")
            }
            return from
        }
        let own = try await PlaceCallStore.ownNumber(of: order.workspace, agent: agent?.id, tx)
        guard let number = own ?? policy.ownNumber else {
            throw Problem.validation("from_number", "is required: the workspace has no phone number")
        }
        return number
    }

    private func checkBusiness(_ id: BusinessID?, of order: CallOrder, _ tx: borrowing Transaction) async throws {
        guard let id, id == order.business else { return }
        if try await PlaceCallStore.isForeign(id, to: order.workspace, tx) {
            throw Problem.validation("business_id", "is no configuration of this workspace")
        }
    }
}

/// A call somebody wants placed.
struct CallOrder: Sendable {
    let workspace: WorkspaceID
    let to: PhoneNumber
    let from: PhoneNumber?
    let business: BusinessID?
    let agent: AgentID?
    let metadata: JSONObject
    let priority: CallPriority
}
