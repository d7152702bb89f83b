import HTTP
import Postgres
import Shared

/// Every endpoint of billing, one line each.
enum Routes {
    static func list(_ subscriptions: Subscriptions) -> [Route] {
        [
            .get(
                "/api/subscriptions/plans/", "Plans one can subscribe to", access: .may(.readPlans),
                query: .classicPage,
                returns: .ok(Schema.results(of: Schemas.plan))
            ) { try await subscriptions.listPlans($0) },
            .get(
                "/api/subscriptions/plans/{id}/", "A plan by id or slug", access: .may(.readPlans),
                path: [.path("id", .string, "The plan's id or slug.")], returns: .ok(Schemas.plan)
            ) {
                try await subscriptions.readPlan($0)
            },
            .get(
                "/api/subscriptions/current/", "A workspace's subscription and what it has used",
                access: .may(.readSubscription),
                query: [.query("workspace", .uuid, "Default: the caller's own.")],
                returns: .ok(Schemas.current)
            ) { try await subscriptions.readCurrent($0) },
        ]
    }
}

/// What billing returns.
enum Schemas {
    private static let limits = Schema.object(
        .required("call_limit", .nullable(.integer), "Calls per period; null = unlimited."),
        .required("agent_limit", .nullable(.integer), "AI agents; null = unlimited."),
        .required("max_minutes", .nullable(.integer), "Minutes per period; null = unlimited."))

    static let plan = Schema.ref(
        "Plan",
        .object(
            .required("id", .uuid), .required("slug", .string), .required("name", .string),
            .required("description", .string), .required("price", .string, "Decimal, in `currency`."),
            .required("currency", .string), .required("interval", .string(enum: ["month", "year"])),
            .required("limits", limits), .required("is_active", .boolean), .required("created_at", .instant),
            .required("updated_at", .instant)))

    static let current = Schema.ref(
        "CurrentSubscription",
        .object(
            .required("id", .uuid), .required("workspace", .uuid), .required("plan_id", .uuid),
            .required("plan_slug", .string), .required("plan_name", .string), .required("status", .string),
            .required("current_period_start", .instant), .required("current_period_end", .instant),
            .required("cancel_at_period_end", .boolean), .required("limits", limits),
            .required(
                "usage",
                .object(
                    .required("calls", .integer), .required("seconds", .integer, "Sum of the calls' durations."),
                    .required("minutes", .integer, "Whole minutes begun."),
                    .required("agents", .integer, "AI agents there are now.")))))
}

/// Plans and subscriptions as people see them.
struct Subscriptions: Sendable {
    let database: Database

    func listPlans(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let page = Page(classic: &form)
        try form.finish()
        let found = try await PlanStore.page(size: page.size, offset: page.offset, database)
        return page.classic(request, count: Int(found.total)) { json in for plan in found.plans { json.value(plan) } }
    }

    func readPlan(_ request: Request) async throws -> Response {
        guard let plan = try await PlanStore.find(request.parameter("id"), database) else {
            throw Problem.notFound(.planNotFound)
        }
        return .json(200, plan)
    }

    func readCurrent(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let named = form.optionalID("workspace", as: WorkspaceID.self)
        try form.finish()
        let principal = try request.requirePrincipal()
        let workspace = try principal.workspace(named, for: .readSubscription)
        if let current = try await SubscriptionStore.current(workspace, database) { return .json(200, current) }
        // Whoever registered a moment ago is quicker than the news of it. An admin may name workspaces there are not.
        if principal.workspaces[workspace] != nil {
            try await database.transaction { (tx: borrowing Transaction) in
                try await openSubscription(of: workspace, owner: principal.user, at: .now(), tx)
            }
        }
        guard let current = try await SubscriptionStore.current(workspace, database) else {
            throw Problem.notFound(.subscriptionNotFound)
        }
        return .json(200, current)
    }
}

extension CurrentSubscription: JSONWritable {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", subscription.id)
            json.field("workspace", subscription.workspaceID)
            json.field("plan_id", subscription.plan.id)
            json.field("plan_slug", subscription.plan.slug)
            json.field("plan_name", subscription.plan.name)
            json.field("status", subscription.status)
            json.field("current_period_start", subscription.periodStart)
            json.field("current_period_end", subscription.periodEnd)
            json.field("cancel_at_period_end", cancelAtPeriodEnd)
            json.fieldObject("limits") { json in
                json.field("call_limit", subscription.limits.callLimit)
                json.field("agent_limit", subscription.limits.agentLimit)
                json.field("max_minutes", subscription.limits.maxMinutes)
            }
            json.fieldObject("usage") { json in
                json.field("calls", calls)
                json.field("seconds", seconds)
                json.field("minutes", (seconds + 59) / 60)
                json.field("agents", agents)
            }
        }
    }
}
