import Shared

/// Who answers what: the programs behind the gateway and the paths they own. The routes themselves, with their
/// parameters and permissions, are in each program's own table; here is only where a path goes.
enum Owner: String, CaseIterable, Sendable {
    case auth, billing, telephony
    case qaAnalytics = "qa-analytics"
    case knowledge, realtime

    /// The setting that lists its replicas.
    var setting: String {
        switch self {
        case .auth: "AUTH_URLS"
        case .billing: "BILLING_URLS"
        case .telephony: "TELEPHONY_URLS"
        case .qaAnalytics: "QA_ANALYTICS_URLS"
        case .knowledge: "KNOWLEDGE_URLS"
        case .realtime: "REALTIME_URLS"
        }
    }
}

/// How requests to a path are counted (document 003 §8).
enum LimitClass: Sendable { case standard, analytics, uncounted }

/// Path prefixes and their owners. The longest matching prefix wins; `*` matches one segment.
struct RouteTable: Sendable {
    struct Entry: Sendable {
        let prefix: [String]
        let owner: Owner
        let limit: LimitClass
    }

    /// By the first two segments, longest prefix first: a path is compared with a handful of entries, not with all.
    private let entries: [String: [Entry]]

    init(_ rows: [(path: String, owner: Owner, limit: LimitClass)] = RouteTable.rows) {
        let all = rows.map { row in
            Entry(
                prefix: row.path.split(separator: "/").map(String.init), owner: row.owner, limit: row.limit)
        }
        // Longest first, and a literal before a `*`: the first match is then the right one.
        .sorted { ($0.prefix.count, $1.wildcards) > ($1.prefix.count, $0.wildcards) }
        entries = Dictionary(grouping: all) { Self.key($0.prefix) }
    }

    private static func key(_ segments: [String]) -> String {
        segments.count > 1 ? segments[0] + "/" + segments[1] : segments.first ?? ""
    }

    /// The entry for a path's decoded segments; nil when nobody owns it.
    func entry(for segments: [String]) -> Entry? {
        entries[Self.key(segments)]?.first { entry in
            guard entry.prefix.count <= segments.count else { return false }
            for (own, given) in zip(entry.prefix, segments) where own != "*" && own != given { return false }
            return true
        }
    }

    /// Every prefix, for the test that holds this table against the programs' own.
    static let rows: [(path: String, owner: Owner, limit: LimitClass)] = [
        ("/.well-known/jwks.json", .auth, .uncounted),
        ("/api/auth", .auth, .standard),
        ("/api/users", .auth, .standard),
        ("/api/workspaces", .auth, .standard),
        ("/media/avatars", .auth, .uncounted),

        ("/api/subscriptions", .billing, .standard),
        ("/api/subscriptions/stripe-webhook", .billing, .uncounted),

        ("/api/agents", .telephony, .standard),
        ("/api/leads", .telephony, .standard),
        ("/api/calendars", .telephony, .standard),
        ("/api/calls", .telephony, .standard),
        ("/api/calls/twilio-webhook", .telephony, .uncounted),
        ("/api/calls/twilio-connect", .telephony, .uncounted),
        ("/api/v1/calls", .telephony, .standard),
        ("/api/v1/agents", .telephony, .standard),
        ("/api/v1/escalations", .telephony, .standard),

        ("/api/calls/call-logs/analytics", .qaAnalytics, .analytics),
        ("/api/calls/call-logs/daily_stats", .qaAnalytics, .analytics),
        ("/api/calls/call-logs/duration_distribution", .qaAnalytics, .analytics),
        ("/api/v1/calls/*/qa", .qaAnalytics, .standard),
        ("/api/v1/analytics", .qaAnalytics, .analytics),
        // Asking how far a report is costs next to nothing, and is done often.
        ("/api/v1/analytics/export/*", .qaAnalytics, .standard),

        ("/api/v1/config", .knowledge, .standard),
        ("/api/v1/knowledge", .knowledge, .standard),

        ("/api/dashboard/admin/subscriptions", .billing, .standard),
        ("/api/dashboard/admin/agents", .telephony, .standard),
        ("/api/dashboard/admin/users", .auth, .standard),
        ("/api/dashboard/user/subscription", .billing, .standard),
        ("/api/dashboard/user/subscription-action", .billing, .standard),
        ("/api/dashboard/user/agent-management", .telephony, .standard),
        ("/api/dashboard/user/calls", .telephony, .standard),
        ("/api/dashboard/user/profile", .auth, .standard),
        ("/api/dashboard/user/settings", .auth, .standard),
        ("/api/dashboard/user/avatar", .auth, .standard),
        ("/api/dashboard/user/change-password", .auth, .standard),
        ("/api/dashboard/user/notifications", .realtime, .standard),
        ("/api/dashboard/user/export-data", .auth, .standard),
        ("/api/dashboard/user/delete-account", .auth, .standard),
    ]
}

extension RouteTable.Entry {
    fileprivate var wildcards: Int { prefix.count { $0 == "*" } }
}
