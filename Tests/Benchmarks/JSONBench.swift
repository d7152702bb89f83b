import Foundation
import Shared

/// One page of 50 calls: our writer against Foundation's `JSONEncoder`, by turns. Both write the same members; Foundation
/// is given its own kinds of date and identifier, as a program built on it would have them.
func jsonOfAPage() -> [Measurement] {
    let calls = (0..<50).map(call)
    let theirs = Page(calls: calls.map(FoundationCall.init))
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .iso8601

    guard let expected = try? encoder.encode(theirs), let written = try? JSON.parse(Array(expected)),
        let own = try? JSON.parse(page(calls)), shape(own) == shape(written)
    else { return [Measurement(what: "JSON of 50 calls", ours: "the two sides do not write the same")] }

    var us: [Double] = []
    var them: [Double] = []
    for _ in 0..<7 {
        us.append(microseconds(times: 400) { page(calls).count })
        them.append(microseconds(times: 100) { (try? encoder.encode(theirs))?.count ?? 0 })
    }
    return [
        Measurement(
            what: "JSON of 50 calls, against Foundation", ours: "\(tenths(median(us))) µs",
            other: "\(tenths(median(them))) µs", ratio: median(them) / median(us), goal: "≤ 60 µs")
    ]
}

private func page(_ calls: [CallSnapshot]) -> [UInt8] {
    var json = JSONWriter(capacity: 32_768)
    json.object { json in
        json.fieldArray("calls") { json in
            for call in calls { call.writeCall(to: &json) }
        }
    }
    return json.bytes
}

/// What a page has in it, without how each side writes dates and identifiers.
private func shape(_ page: JSON) -> [[String]] {
    (page["calls"]?.array ?? []).map { call in (call.object?.pairs ?? []).map { $0.0 }.sorted() }
}

private func microseconds(times: Int, _ body: () -> Int) -> Double {
    var bytes = 0
    let took = ContinuousClock().measure {
        for _ in 0..<times { bytes &+= body() }
    }
    precondition(bytes > 0)
    return took.inSeconds * 1e6 / Double(times)
}

// MARK: The same call on both sides

private func call(_ number: Int) -> CallSnapshot {
    let began = Instant(seconds: 1_790_000_000 + Int64(number) * 37)
    return CallSnapshot(
        id: CallID(), workspaceID: WorkspaceID(), version: 9,
        twilioCallSID: "CA1ed8d929db0c6969588357fc34b74\(100 + number)", direction: .inbound, status: .completed,
        fromNumber: "+1415555\(1000 + number)", toNumber: "+14155550100", businessID: BusinessID(),
        templateID: AgentID(),
        startedAt: began, endedAt: began + .seconds(95), durationSeconds: 95, createdAt: began,
        updatedAt: began + .seconds(96), metadata: ["source": "campaign", "note": "asked about \"refunds\" twice"],
        qaScore: 0.8994656380999788, sentiment: .positive, outcome: .interested)
}

private struct Page: Encodable {
    let calls: [FoundationCall]
}

private struct FoundationCall: Encodable {
    let id: UUID
    let twilioCallSID, direction, status, fromNumber, toNumber: String
    let businessID, templateID: UUID
    let startedAt, endedAt: Date
    let durationSeconds: Int
    let createdAt, updatedAt: Date
    let metadata: [String: String]
    let qaScore: Double
    let sentiment, outcome: String

    enum CodingKeys: String, CodingKey {
        case id, direction, status, metadata, sentiment, outcome
        case twilioCallSID = "twilio_call_sid"
        case fromNumber = "from_number"
        case toNumber = "to_number"
        case businessID = "business_id"
        case templateID = "template_id"
        case startedAt = "started_at"
        case endedAt = "ended_at"
        case durationSeconds = "duration_seconds"
        case createdAt = "created_at"
        case updatedAt = "updated_at"
        case qaScore = "qa_score"
    }

    init(_ call: CallSnapshot) {
        func date(_ instant: Instant) -> Date { Date(timeIntervalSince1970: Double(instant.seconds)) }
        id = UUID()
        twilioCallSID = call.twilioCallSID
        direction = call.direction.rawValue
        status = call.status.rawValue
        fromNumber = call.fromNumber
        toNumber = call.toNumber
        businessID = UUID()
        templateID = UUID()
        startedAt = date(call.startedAt)
        endedAt = date(call.endedAt ?? call.startedAt)
        durationSeconds = call.durationSeconds ?? 0
        createdAt = date(call.createdAt)
        updatedAt = date(call.updatedAt)
        metadata = Dictionary(uniqueKeysWithValues: call.metadata.pairs.map { ($0.0, $0.1.string ?? "") })
        qaScore = call.qaScore ?? 0
        sentiment = call.sentiment?.rawValue ?? ""
        outcome = call.outcome?.rawValue ?? ""
    }
}
