import Postgres
import Shared
import TestSupport

@testable import Telephony

/// Calls at random in two workspaces and a third, and which of them a filter means, found by looking at each.
struct CallHistory {
    var random: SplitMix64
    let workspaces = [WorkspaceID(), WorkspaceID()]
    private let third = WorkspaceID()
    private let businesses: [BusinessID?] = [nil, BusinessID(), BusinessID(), BusinessID()]
    private(set) var calls: [Call] = []
    private let base = Instant(seconds: 1_790_000_000)

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// Few different values, so that many calls tie.
    mutating func place(_ database: Database) async throws {
        let live: [CallStatus] = [.initiated, .ringing, .inProgress, .escalated]
        let status = pick(live + [.failed, .failed] + Array(repeating: .completed, count: 10))
        let isOver = status == .completed || status == .failed
        let at = base + .seconds(Int64(Int.random(in: 0..<400, using: &random)) * 1800)
        var call = Call(
            id: CallID(), workspace: pick([workspaces[0], workspaces[0], workspaces[1], third]),
            sid: "CA\(calls.count)",
            direction: pick([.inbound, .inbound, .outbound]), status: status, from: number(), to: number(),
            business: pick(businesses), agent: nil, startedAt: at, createdAt: at, updatedAt: at, metadata: [:])
        call.endedAt = isOver ? at + .seconds(60) : nil
        let lengths: [Int64?] = [5, 30, 30, 61, nil]
        call.durationSeconds = status == .completed ? pick(lengths) : status == .failed ? 0 : nil
        call.sentiment = pick([nil, .positive, .positive, .neutral, .negative])
        let scores: [Double?] = [nil, 0, 0.25, 0.5, 0.5, 0.75, 1]
        call.qaScore = status == .completed ? pick(scores) : nil
        calls.append(call)
        _ = try await database.execute(
            """
            INSERT INTO calls (id, workspace_id, twilio_call_sid, direction, status, from_number, to_number, business_id,
                started_at, ended_at, duration_seconds, created_at, updated_at, sentiment, qa_score)
            VALUES (\(call.id), \(call.workspace), \(call.sid), \(call.direction), \(call.status), \(call.from), \(call.to),
                \(call.business), \(at), \(call.endedAt), \(call.durationSeconds), \(at), \(at), \(call.sentiment),
                \(call.qaScore))
            """)
    }

    /// A call ends, is judged, moves or goes.
    static func change(_ id: CallID, _ random: inout SplitMix64, _ database: Database) async throws {
        let changes: [Query] = [
            "UPDATE calls SET status = 'completed', ended_at = now(), duration_seconds = 7 WHERE id = \(id)",
            "UPDATE calls SET status = 'in_progress', ended_at = NULL WHERE id = \(id)",
            "UPDATE calls SET sentiment = 'negative' WHERE id = \(id)",
            "UPDATE calls SET sentiment = NULL WHERE id = \(id)",
            "UPDATE calls SET business_id = uuidv7() WHERE id = \(id)",
            "UPDATE calls SET version = version + 1 WHERE id = \(id)",
            "UPDATE calls SET started_at = started_at + interval '1 day' WHERE id = \(id)",
            "DELETE FROM calls WHERE id = \(id)",
        ]
        // Two calls in one transaction, as the worst case for waiting on each other.
        _ = try await database.pipeline([
            changes[Int.random(in: 0..<changes.count, using: &random)],
            """
            UPDATE calls SET sentiment = 'positive'
            WHERE id = (SELECT id FROM calls ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED)
            """,
        ])
    }

    mutating func filter() -> CallFilter {
        let one: [Tenancy] = workspaces.map { .only([$0]) }
        var filter = CallFilter(tenancy: pick(one + [.all, .only(workspaces), .only([WorkspaceID()])]))
        filter.order = pick(CallFilter.Order.allCases)
        filter.descending = Bool.random(using: &random)
        let statuses: [[CallStatus]?] = [
            nil, nil, nil, [.completed], [.failed], [.ringing, .completed], [.inProgress],
        ]
        filter.kinds = CallKind.among(
            pick(statuses), pick([nil, nil, .inbound, .outbound]), pick([nil, nil, .positive, .neutral, .negative]))
        filter.business = pick([nil, nil, nil, BusinessID()] + businesses)
        if chance(3) { filter.from = instant() }
        if chance(3) { filter.until = (filter.from ?? base) + .seconds(Int64.random(in: 0..<600_000, using: &random)) }
        if chance(4) { filter.qaLeast = pick([0, 0.3, 0.5, 1]) }
        if chance(4) { filter.qaMost = pick([0, 0.5, 0.8, 1]) }
        if chance(6) { filter.search = CallFilter.Search(words()) }
        return filter
    }

    mutating func limits() -> ReadCalls.Limits {
        var limits = ReadCalls.Limits()
        limits.gathered = pick([0, 3, 20, 8000])
        limits.gatheredUncounted = pick([0, 3, 20, 2000])
        limits.byNumber = pick([0, 5, 20_000])
        limits.passed = pick([0, 30, 20_000])
        limits.counted = pick([10, 100_000])
        return limits
    }

    mutating func size() -> Int { pick([1, 7, 50, 100]) }

    /// By looking at each.
    func list(_ filter: CallFilter) -> [Call] {
        let kinds = Set(filter.kinds)
        let found = calls.filter { call in
            (filter.tenancy.contains(call.workspace)) && kinds.contains(kind(call))
                && (filter.business == nil || call.business == filter.business)
                && (filter.from.map { call.startedAt >= $0 } ?? true)
                && (filter.until.map { call.startedAt < $0 } ?? true)
                && (filter.qaLeast.map { (call.qaScore ?? -1) >= $0 } ?? true)
                && (filter.qaMost.map { most in call.qaScore.map { $0 <= most } ?? false } ?? true)
                && (filter.search.map { matches(call, $0) } ?? true)
        }
        let sorted = found.sorted { (value($0, filter.order), $0.id.text) < (value($1, filter.order), $1.id.text) }
        return filter.descending ? sorted.reversed() : sorted
    }

    private func value(_ call: Call, _ order: CallFilter.Order) -> Double {
        switch order {
        case .startedAt: Double(call.startedAt.seconds)
        case .duration: Double(call.durationSeconds ?? -1)
        case .qaScore: call.qaScore ?? -1
        }
    }

    /// Whatever the kind's number: the one that stands for these three.
    private func kind(_ call: Call) -> Int {
        let one = CallKind.among([call.status], call.direction, call.sentiment)
        return one[0]
    }

    private func matches(_ call: Call, _ search: CallFilter.Search) -> Bool {
        switch search {
        case .id(let id): return call.id == id
        case .sid(let sid): return call.sid == sid
        case .digits(let digits):
            return [call.from, call.to].contains {
                $0.hasPrefix("+") && ($0.dropFirst().hasPrefix(digits) || $0.hasSuffix(digits))
            }
        }
    }

    // MARK: Dice

    private mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: 0..<values.count, using: &random)]
    }
    private mutating func chance(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &random) == 0 }
    private mutating func number() -> String {
        // Some are the beginning of others, up to a zero; some are none.
        if chance(20) { return pick(["anonymous", "client:1001"]) }
        return pick(["+1415555", "+1212555", "+4930555"]) + String(pick([1001, 1002, 2001, 9001, 100, 1000]))
    }

    /// Midnights, as people ask for days, and any time.
    private mutating func instant() -> Instant {
        let day = Instant(seconds: base.seconds / 86_400 * 86_400 + Int64.random(in: -1..<9, using: &random) * 86_400)
        return chance(2) ? day : day + .seconds(Int64.random(in: 0..<86_400, using: &random))
    }

    private mutating func words() -> String {
        let call = pick(calls)
        return pick([
            call.id.text, call.sid ?? "", "1415", "+1 (212) 555", "1001", "5552001", "nobody", "493055590",
            "14155551000", "1000", "4930555100", "0001", "1415555100100000", "141555510010000",
        ])
    }
}
