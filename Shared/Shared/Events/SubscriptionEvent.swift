/// What happens to subscriptions.
public enum SubscriptionEvent: Event, Hashable {
    case activated(SubscriptionSnapshot)
    case changed(SubscriptionSnapshot)
    case cancelled(SubscriptionSnapshot)

    public static let topic = Topic.billingSubscriptions
    public static let types = [
        "billing.subscription.activated.v1", "billing.subscription.changed.v1", "billing.subscription.cancelled.v1",
    ]

    public var subscription: SubscriptionSnapshot {
        switch self {
        case .activated(let snapshot), .changed(let snapshot), .cancelled(let snapshot): snapshot
        }
    }

    /// The workspace: a workspace's subscriptions follow each other in order.
    public var key: String { subscription.workspaceID.text }

    public var type: String {
        switch self {
        case .activated: SubscriptionEvent.types[0]
        case .changed: SubscriptionEvent.types[1]
        case .cancelled: SubscriptionEvent.types[2]
        }
    }

    public func write(to json: inout JSONWriter) { subscription.write(to: &json) }

    public init(type: String, json: JSON) throws {
        let snapshot = try SubscriptionSnapshot(json: json)
        switch type {
        case SubscriptionEvent.types[0]: self = .activated(snapshot)
        case SubscriptionEvent.types[1]: self = .changed(snapshot)
        case SubscriptionEvent.types[2]: self = .cancelled(snapshot)
        default: throw EventError.unknownType(type)
        }
    }
}

public struct SubscriptionSnapshot: Sendable, Hashable, JSONWritable {
    public struct Plan: Sendable, Hashable {
        public var id: PlanID
        public var slug: String
        public var name: String

        public init(id: PlanID, slug: String, name: String) {
            self.id = id
            self.slug = slug
            self.name = name
        }
    }

    /// nil = unlimited.
    public struct Limits: Sendable, Hashable {
        /// Calls per period.
        public var callLimit: Int64?
        /// AI agents.
        public var agentLimit: Int64?
        /// Minutes per period.
        public var maxMinutes: Int64?

        public init(callLimit: Int64? = nil, agentLimit: Int64? = nil, maxMinutes: Int64? = nil) {
            self.callLimit = callLimit
            self.agentLimit = agentLimit
            self.maxMinutes = maxMinutes
        }
    }

    public var id: SubscriptionID
    public var workspaceID: WorkspaceID
    public var userID: UserID
    public var plan: Plan
    /// active, trialing, past_due, paused, cancelled …, as Stripe words it
    public var status: String
    public var limits: Limits
    public var periodStart: Instant
    public var periodEnd: Instant
    public var version: Int64

    public init(
        id: SubscriptionID, workspaceID: WorkspaceID, userID: UserID, plan: Plan, status: String, limits: Limits,
        periodStart: Instant, periodEnd: Instant, version: Int64 = 1
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.userID = userID
        self.plan = plan
        self.status = status
        self.limits = limits
        self.periodStart = periodStart
        self.periodEnd = periodEnd
        self.version = version
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace_id", workspaceID)
            json.field("user_id", userID)
            json.fieldObject("plan") { json in
                json.field("id", plan.id)
                json.field("slug", plan.slug)
                json.field("name", plan.name)
            }
            json.field("status", status)
            json.fieldObject("limits") { json in
                json.field("call_limit", limits.callLimit)
                json.field("agent_limit", limits.agentLimit)
                json.field("max_minutes", limits.maxMinutes)
            }
            json.field("period_start", periodStart)
            json.field("period_end", periodEnd)
            json.field("version", version)
        }
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        id = try fields.id("id")
        workspaceID = try fields.id("workspace_id")
        userID = try fields.id("user_id")
        let plan = try fields.nested("plan")
        self.plan = Plan(id: try plan.id("id"), slug: try plan.string("slug"), name: try plan.string("name"))
        status = try fields.string("status")
        let limits = try fields.nested("limits")
        self.limits = Limits(
            callLimit: try limits.optionalInt64("call_limit"), agentLimit: try limits.optionalInt64("agent_limit"),
            maxMinutes: try limits.optionalInt64("max_minutes"))
        periodStart = try fields.instant("period_start")
        periodEnd = try fields.instant("period_end")
        version = try fields.int64("version")
    }
}

extension SubscriptionEvent {
    public static let schemas = types.map { _ in SubscriptionSnapshot.schema }
}

extension SubscriptionSnapshot {
    static let schema = Schema.ref(
        "SubscriptionSnapshot",
        .object(
            .required("id", .uuid), .required("workspace_id", .uuid), .required("user_id", .uuid),
            .required(
                "plan", .object(.required("id", .uuid), .required("slug", .string), .required("name", .string))),
            .required("status", .string, "As Stripe words it."),
            .required(
                "limits",
                .object(
                    .required("call_limit", .nullable(.integer), "Calls per period; null = unlimited."),
                    .required("agent_limit", .nullable(.integer), "AI agents; null = unlimited."),
                    .required("max_minutes", .nullable(.integer), "Minutes per period; null = unlimited."))),
            .required("period_start", .instant), .required("period_end", .instant),
            .required("version", .integer, "Grows with every change.")))
}
