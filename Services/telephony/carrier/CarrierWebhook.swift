import HTTP
import Shared

/// One webhook of the carrier, read into what it means. Pure.
enum CarrierWebhook: Sendable, Equatable {
    /// The caller is on the line and waits for instructions.
    case voice(Voice)
    /// A status callback; `call` when our own URL named it.
    case status(CarrierReport, call: CallID?)
    case answeredBy(AnsweredBy, sid: String, call: CallID?)
    /// The human picked up and waits for instructions.
    case agentVoice(escalation: Int64, sid: String)
    case agentStatus(escalation: Int64, CarrierReport)
    /// Nothing we know how to use.
    case unknown(String)

    struct Voice: Sendable, Equatable {
        let sid: String
        let from: String
        let to: String
        var call: CallID?
    }

    init(query: [(String, String)], form: [(String, String)], now: Instant) {
        func parameter(_ name: String) -> String? { query.last { $0.0 == name }?.1 }
        func field(_ name: String) -> String? { form.last { $0.0 == name }?.1 }
        guard let sid = field("CallSid"), !sid.isEmpty, sid.utf8.count <= 64 else {
            self = .unknown("no CallSid")
            return
        }
        let call = parameter("call").flatMap { CallID($0) }
        let escalation = parameter("escalation").flatMap { Int64($0) }
        let report = field("CallStatus").flatMap(CarrierState.init(carrier:)).map { state in
            CarrierReport(
                sid: sid, state: state, at: Self.instant(field("Timestamp"), now: now),
                durationSeconds: (field("CallDuration") ?? field("Duration")).flatMap { Int64($0) },
                sequence: field("SequenceNumber").flatMap { Int64($0) })
        }
        switch parameter("kind") ?? Self.kind(field) {
        case "voice":
            self = .voice(Voice(sid: sid, from: field("From") ?? "", to: field("To") ?? "", call: call))
        case "status":
            self = report.map { .status($0, call: call) } ?? .unknown("CallStatus")
        case "amd":
            let answered = field("AnsweredBy").flatMap(AnsweredBy.init(rawValue:)) ?? .unknown
            self = .answeredBy(answered, sid: sid, call: call)
        case "agent":
            self = escalation.map { .agentVoice(escalation: $0, sid: sid) } ?? .unknown("escalation")
        case "agent_status":
            guard let escalation, let report else {
                self = .unknown("escalation or CallStatus")
                return
            }
            self = .agentStatus(escalation: escalation, report)
        default:
            self = .unknown("kind")
        }
    }

    /// A number may be configured with the bare address for everything; what a request is, it then shows itself:
    /// status callbacks come from call progress and are numbered, detection results name who answered.
    private static func kind(_ field: (String) -> String?) -> String {
        if field("AnsweredBy") != nil, field("MachineDetectionDuration") != nil { return "amd" }
        if field("CallbackSource") != nil || field("SequenceNumber") != nil || field("CallDuration") != nil {
            return "status"
        }
        let state = field("CallStatus").flatMap(CarrierState.init(carrier:))
        switch state {
        case .completed, .busy, .noAnswer, .canceled, .failed: return "status"
        default: return "voice"
        }
    }

    /// The carrier's clock, unless it is absurd: nothing that happened just now is a day off.
    private static func instant(_ text: String?, now: Instant) -> Instant {
        guard let told = text.flatMap({ Instant(rfc2822: $0) }) else { return now }
        return abs(told.seconds - now.seconds) < 86_400 ? told : now
    }

    /// What makes this delivery the same as another one. Voice requests are answered afresh each time.
    func keys(token: String?) -> [String] {
        var keys: [String] = []
        if let token, !token.isEmpty { keys.append("token|\(token.prefix(200))") }
        switch self {
        case .status(let report, _), .agentStatus(_, let report):
            keys.append("\(report.sid)|\(report.state.rawValue)|\(report.sequence.map(String.init) ?? "-")")
        case .answeredBy(let who, let sid, _): keys.append("\(sid)|amd|\(who.rawValue)")
        case .voice, .agentVoice, .unknown: return []
        }
        return keys
    }
}
