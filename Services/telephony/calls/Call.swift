import Shared

/// One phone call: what the row holds, and the rules by which it moves.
///
/// The rules are pure: a report or a decision goes in, the changed value and what others must hear come out. Whoever
/// holds the row's lock stores the value and publishes. Callbacks may come late, twice and out of order, so every rule
/// is written as "only forwards", and a terminal call is never touched again (contract: "Call.status").
struct Call: Sendable, Equatable {
    typealias Direction = CallDirection
    typealias Status = CallStatus
    typealias Outcome = CallOutcome
    typealias Priority = CallPriority

    struct Person: Sendable, Equatable {
        let id: HumanAgentID
        let name: String
    }

    let id: CallID
    let workspace: WorkspaceID
    var version: Int64 = 1
    /// The carrier's own id; nil until the carrier has taken an outbound call.
    var sid: String?
    let direction: Direction
    var status: Status
    let from: String
    let to: String
    var business: BusinessID?
    /// The AI agent that speaks (document 003 calls it `template_id`).
    var agent: AgentID?
    let startedAt: Instant
    var answeredAt: Instant?
    var endedAt: Instant?
    var durationSeconds: Int64?
    let createdAt: Instant
    var updatedAt: Instant
    var metadata: JSONObject
    var priority: Priority = .medium
    var failureReason: String?
    var outcome: Outcome?
    var qaScore: Double?
    var qaScores: JSON?
    var sentiment: SentimentLabel?
    var escalationStatus: EscalationStatus?
    var assigned: Person?
    /// A manager has silenced the AI.
    var paused = false
    /// What a manager told the AI to do instead of its own instructions.
    var instructions: String?
    /// Set while the caller is to be, or is, in a conference with a human.
    var handedOff = false
}

/// What the world must hear after a rule was applied.
enum CallChange: Sendable, Equatable {
    case moved(from: Call.Status)
    case ended
}

// MARK: - Rules

extension Call {
    /// Applies one report of the carrier. An empty answer means the report was late, doubled or told nothing new.
    mutating func apply(_ report: CarrierReport) -> [CallChange] {
        guard !status.isTerminal else { return [] }
        if sid == nil { sid = report.sid }
        switch report.state {
        case .queued, .initiated:
            return advance(to: .initiated, at: report.at)
        case .ringing:
            return advance(to: .ringing, at: report.at)
        case .inProgress:
            if answeredAt == nil { answeredAt = report.at }
            return advance(to: .inProgress, at: report.at)
        case .completed:
            return end(at: report.at, seconds: report.durationSeconds)
        case .busy, .noAnswer, .canceled, .failed:
            // A call that somebody answered and spoke on did not fail, whatever its last report says.
            if answeredAt != nil { return end(at: report.at, seconds: report.durationSeconds) }
            return fail(report.state.rawValue, at: report.at)
        }
    }

    /// What the carrier's answering machine detection found. Only ever sets the outcome of an outbound call.
    mutating func apply(_ answeredBy: AnsweredBy, at now: Instant) -> [CallChange] {
        guard !status.isTerminal, direction == .outbound, answeredBy.isMachine, outcome == nil else { return [] }
        outcome = .voicemail
        updatedAt = now
        return [.moved(from: status)]
    }

    /// Ends the call well. `seconds` is the carrier's count; without one the time since the answer counts.
    mutating func end(at now: Instant, seconds: Int64? = nil) -> [CallChange] {
        guard !status.isTerminal else { return [] }
        let before = status
        status = .completed
        close(at: now, seconds: seconds)
        return [.moved(from: before), .ended]
    }

    /// Ends the call without a conversation. `reason` is the carrier's word, or ours for what never reached it.
    mutating func fail(_ reason: String, at now: Instant) -> [CallChange] {
        guard !status.isTerminal else { return [] }
        let before = status
        status = .failed
        failureReason = reason
        if outcome == nil, direction == .outbound, reason == CarrierState.noAnswer.rawValue { outcome = .noAnswer }
        close(at: now, seconds: 0)
        return [.moved(from: before), .ended]
    }

    /// A human takes over from the AI.
    mutating func escalate(at now: Instant) -> [CallChange] {
        guard !status.isTerminal, status != .escalated else { return [] }
        let before = status
        status = .escalated
        if answeredAt == nil { answeredAt = now }
        updatedAt = now
        return [.moved(from: before)]
    }

    /// The AI takes over from a human. The only way a live call's status goes back.
    mutating func handBack(at now: Instant) -> [CallChange] {
        guard status == .escalated || handedOff, !status.isTerminal else { return [] }
        let before = status
        status = .inProgress
        handedOff = false
        updatedAt = now
        return [.moved(from: before)]
    }

    private mutating func advance(to next: Status, at now: Instant) -> [CallChange] {
        guard next.rank > status.rank else { return [] }
        let before = status
        status = next
        updatedAt = now
        return [.moved(from: before)]
    }

    private mutating func close(at now: Instant, seconds: Int64?) {
        let end = max(now, startedAt)
        endedAt = end
        updatedAt = max(now, updatedAt)
        handedOff = false
        durationSeconds = seconds ?? answeredAt.map { max(0, end.seconds - $0.seconds) } ?? 0
    }
}

extension CallStatus {
    /// How far along a live call is; the carrier can only move it up.
    fileprivate var rank: Int {
        switch self {
        case .initiated: 0
        case .ringing: 1
        case .inProgress: 2
        case .escalated: 3
        case .completed, .failed: 4
        }
    }
}

extension Call {
    /// What every event about it names.
    var ref: CallRef {
        CallRef(callID: id, workspaceID: workspace, businessID: business, direction: direction)
    }

    var snapshot: CallSnapshot {
        CallSnapshot(
            id: id, workspaceID: workspace, version: version, twilioCallSID: sid ?? "", direction: direction,
            status: status, fromNumber: from, toNumber: to, businessID: business, templateID: agent,
            startedAt: startedAt, endedAt: endedAt, durationSeconds: durationSeconds.map(Int.init),
            createdAt: createdAt, updatedAt: updatedAt, metadata: metadata, qaScore: qaScore, sentiment: sentiment,
            escalationStatus: escalationStatus, assignedAgent: assigned.map { .init(id: $0.id, name: $0.name) },
            outcome: outcome, priority: priority, failureReason: failureReason, agentID: agent)
    }
}

// MARK: - Reports

/// The carrier's own words for where a call is (Twilio: `CallStatus`).
enum CarrierState: String, Sendable, CaseIterable {
    case queued, initiated, ringing
    case inProgress = "in-progress"
    case completed, busy
    case noAnswer = "no-answer"
    case canceled, failed

    /// Twilio's number-level events say `answered` where calls say `in-progress`.
    init?(carrier text: String) {
        if text == "answered" { self = .inProgress } else { self.init(rawValue: text) }
    }
}

/// One status callback, or one answer to our asking, read into values.
struct CarrierReport: Sendable, Equatable {
    let sid: String
    let state: CarrierState
    let at: Instant
    var durationSeconds: Int64?
    var sequence: Int64?
}

/// Who picked up (Twilio: `AnsweredBy`).
enum AnsweredBy: String, Sendable, CaseIterable {
    case human, fax, unknown
    case machineStart = "machine_start"
    case machineEndBeep = "machine_end_beep"
    case machineEndSilence = "machine_end_silence"
    case machineEndOther = "machine_end_other"

    var isMachine: Bool {
        switch self {
        case .human, .unknown: false
        case .fax, .machineStart, .machineEndBeep, .machineEndSilence, .machineEndOther: true
        }
    }
}
