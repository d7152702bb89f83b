/// Document 003's `CallStatus`.
public enum CallStatus: String, CaseIterable, Sendable, JSONWritable {
    case initiated, ringing
    case inProgress = "in_progress"
    case completed, failed
    /// A human has it; it ends as completed.
    case escalated

    /// Over for good: terminal states never change again.
    public var isTerminal: Bool { self == .completed || self == .failed }
}

public enum CallDirection: String, CaseIterable, Sendable, JSONWritable {
    case inbound, outbound
}

public enum CallPriority: String, CaseIterable, Sendable, JSONWritable {
    case low, medium, high, urgent
}

/// Document 004's `outcome`.
public enum CallOutcome: String, CaseIterable, Sendable, JSONWritable {
    case converted, interested
    case notInterested = "not_interested"
    case callback, voicemail
    case noAnswer = "no_answer"
    case escalated
}

public enum Speaker: String, CaseIterable, Sendable, JSONWritable {
    case ai, customer
}

public enum EscalationStatus: String, CaseIterable, Sendable, JSONWritable {
    case pending
    case inProgress = "in_progress"
    case completed, cancelled

    public var isOpen: Bool { self == .pending || self == .inProgress }
}

public enum SentimentLabel: String, CaseIterable, Sendable, JSONWritable {
    case positive, neutral, negative

    /// - Parameter score: −1…1; neutral is what lies between −0.05 and 0.05.
    public init(score: Double) {
        self = score >= 0.05 ? .positive : score <= -0.05 ? .negative : .neutral
    }
}
