import Shared

/// Who answers what: the programs behind the gateway and the paths they own. The routes themselves, with their
/// parameters and permissions, are in each program's own table; here is only where a path goes.
enum Owner: String, CaseIterable, Sendable {
    case auth, billing, telephony
    case qaAnalytics = "qa-analytics"
    case knowledge, realtime

    /// Where it stands in `allCases`.
    var place: Int {
        switch self {
        case .auth: 0
        case .billing: 1
        case .telephony: 2
        case .qaAnalytics: 3
        case .knowledge: 4
        case .realtime: 5
        }
    }

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
        /// nil: the gateway itself, in the middle of somebody else's paths.
        let owner: Owner?
        let limit: LimitClass
    }

    /// A tree over the prefixes' segments. The root is the first.
    private var nodes = [Node()]

    private struct Node: Sendable {
        var words: [(word: [UInt8], node: Int)] = []
        /// Below a `*`.
        var any: Int?
        var entry: Entry?
    }

    init(_ rows: [(path: String, owner: Owner?, limit: LimitClass)] = RouteTable.rows) {
        for row in rows {
            var at = 0
            for segment in row.path.split(separator: "/") { at = child(of: at, segment) }
            nodes[at].entry = Entry(owner: row.owner, limit: row.limit)
        }
    }

    private mutating func child(of node: Int, _ segment: Substring) -> Int {
        let word = Array(segment.utf8)
        let known = segment == "*" ? nodes[node].any : nodes[node].words.first { $0.word == word }?.node
        if let known { return known }
        nodes.append(Node())
        if segment == "*" {
            nodes[node].any = nodes.count - 1
        } else {
            nodes[node].words.append((word, nodes.count - 1))
        }
        return nodes.count - 1
    }

    /// The entry for a path's decoded segments; nil when nobody owns it.
    func entry(for segments: [String]) -> Entry? {
        var path: [UInt8] = []
        for segment in segments {
            path.append(UInt8(ascii: "/"))
            // An escaped slash is part of its segment, and no word has one.
            path.append(contentsOf: segment.utf8.map { $0 == UInt8(ascii: "/") ? 0 : $0 })
        }
        return path.withUnsafeBufferPointer { deepest(0, $0, 0, 0).entry }
    }

    /// The entry for a target as it was sent, without looking at anything twice; nil when nobody owns it, and for
    /// everything that needs a closer look: escapes, segments of dots, what only programs of ours may ask.
    func plainEntry(_ target: String) -> Entry? {
        target.utf8.withContiguousStorageIfAvailable { target in
            guard let end = Self.plainEnd(target) else { return nil }
            return deepest(0, UnsafeBufferPointer(rebasing: target[..<end]), 0, 0).entry
        } ?? nil
    }

    /// Where the path ends; nil when it is not plain.
    private static func plainEnd(_ target: UnsafeBufferPointer<UInt8>) -> Int? {
        guard target.first == UInt8(ascii: "/") else { return nil }
        var before = UInt8(ascii: "/")
        var end = 0
        while end < target.count, target[end] != UInt8(ascii: "?") {
            let octet = target[end]
            if octet == UInt8(ascii: "%") { return nil }
            if before == UInt8(ascii: "/"), octet == UInt8(ascii: ".") {
                // One dot or two are a segment of dots; anything else behind it is a name, as in `/.well-known`.
                let next = end + 1 < target.count ? target[end + 1] : UInt8(ascii: "/")
                if next == UInt8(ascii: ".") || next == UInt8(ascii: "/") || next == UInt8(ascii: "?") { return nil }
            }
            before = octet
            end += 1
        }
        return end
    }

    private static func same(_ word: [UInt8], _ path: UnsafeBufferPointer<UInt8>, _ start: Int) -> Bool {
        for place in word.indices where word[place] != path[start + place] { return false }
        return true
    }

    /// The entry furthest down, and how many segments it has; a literal goes before a `*`. Empty segments do not count.
    private func deepest(
        _ node: Int, _ path: UnsafeBufferPointer<UInt8>, _ start: Int, _ depth: Int
    ) -> (entry: Entry?, depth: Int) {
        var at = start
        while at < path.count, path[at] == UInt8(ascii: "/") { at += 1 }
        var end = at
        while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
        var best = (entry: nodes[node].entry, depth: depth)
        if end == at { return best }
        for (word, next) in nodes[node].words
        where word.count == end - at && Self.same(word, path, at) {
            let found = deepest(next, path, end, depth + 1)
            if found.entry != nil { best = found }
        }
        if let any = nodes[node].any {
            let found = deepest(any, path, end, depth + 1)
            if found.entry != nil, found.depth > best.depth { best = found }
        }
        return best
    }

    /// Every prefix, for the test that holds this table against the programs' own.
    static let rows: [(path: String, owner: Owner?, limit: LimitClass)] = [
        ("/.well-known/jwks.json", .auth, .uncounted),
        ("/api/auth", .auth, .standard),
        ("/api/users", .auth, .standard),
        ("/api/workspaces", .auth, .standard),
        ("/api/workspaces/workspaces/*/stats", nil, .standard),
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
