/// What qa-analytics finds out about calls.
public enum ScoreEvent: Event, Hashable {
    case sentimentChanged(CallRef, SentimentReading)
    case scoreUpdated(CallRef, ScoreSnapshot)
    case outcomeClassified(CallRef, CallOutcome, summary: String?)

    public static let topic = Topic.qaScores
    public static let types = [
        "qa.sentiment.changed.v1", "qa.score.updated.v1", "qa.outcome.classified.v1",
    ]

    public var call: CallRef {
        switch self {
        case .sentimentChanged(let call, _), .scoreUpdated(let call, _), .outcomeClassified(let call, _, _): call
        }
    }

    public var key: String { call.callID.text }

    public var type: String {
        switch self {
        case .sentimentChanged: ScoreEvent.types[0]
        case .scoreUpdated: ScoreEvent.types[1]
        case .outcomeClassified: ScoreEvent.types[2]
        }
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            call.writeMembers(to: &json)
            switch self {
            case .sentimentChanged(_, let reading): json.field("sentiment", reading)
            case .scoreUpdated(_, let score): json.field("qa_score", score)
            case .outcomeClassified(_, let outcome, let summary):
                json.field("outcome", outcome)
                json.field("summary", ifPresent: summary)
            }
        }
    }

    public init(type: String, json: JSON) throws {
        let fields = try Fields(json)
        switch type {
        case ScoreEvent.types[0]:
            self = .sentimentChanged(try CallRef(fields), try SentimentReading(fields.nested("sentiment")))
        case ScoreEvent.types[1]:
            self = .scoreUpdated(try CallRef(fields), try ScoreSnapshot(fields.nested("qa_score")))
        case ScoreEvent.types[2]:
            self = .outcomeClassified(
                try CallRef(fields), try fields.choice("outcome"), summary: try fields.optionalString("summary"))
        default: throw EventError.unknownType(type)
        }
    }
}

/// How a call feels now, and the utterance that changed it.
public struct SentimentReading: Sendable, Hashable, JSONWritable {
    public var interactionID: Int64?
    /// The utterance's own score, −1…1.
    public var interactionScore: Double?
    /// The call's, −1…1.
    public var score: Double
    public var label: SentimentLabel

    public init(interactionID: Int64? = nil, interactionScore: Double? = nil, score: Double) {
        self.interactionID = interactionID
        self.interactionScore = interactionScore
        self.score = score
        label = SentimentLabel(score: score)
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("score", score)
            json.field("label", label)
            json.field("interaction_id", ifPresent: interactionID)
            json.field("interaction_score", ifPresent: interactionScore)
        }
    }

    init(_ fields: Fields) throws(EventError) {
        interactionID = try fields.optionalInt64("interaction_id")
        interactionScore = try fields.optionalDouble("interaction_score")
        score = try fields.double("score")
        label = try fields.choice("label")
    }
}

/// Document 003's `QAScore`. Every score is 0…1.
public struct ScoreSnapshot: Sendable, Hashable, JSONWritable {
    public var id: Int64
    public var callID: CallID
    public var version: Int64
    public var overallScore: Double
    public var sentimentScore: Double
    public var complianceScore: Double
    public var accuracyScore: Double
    public var professionalismScore: Double
    public var sentimentLabel: SentimentLabel
    public var complianceIssues: [String]
    public var flaggedIssues: [String]
    /// A person, by name, or what judged without one.
    public var reviewedBy: String
    /// The person, if it was one: for whoever has to forget them.
    public var reviewerID: UserID?
    public var reviewNotes: String?
    public var createdAt: Instant
    public var updatedAt: Instant

    public init(
        id: Int64, callID: CallID, version: Int64 = 1, overallScore: Double, sentimentScore: Double,
        complianceScore: Double, accuracyScore: Double, professionalismScore: Double,
        sentimentLabel: SentimentLabel, complianceIssues: [String] = [], flaggedIssues: [String] = [],
        reviewedBy: String, reviewerID: UserID? = nil, reviewNotes: String? = nil, createdAt: Instant,
        updatedAt: Instant
    ) {
        self.id = id
        self.callID = callID
        self.version = version
        self.overallScore = overallScore
        self.sentimentScore = sentimentScore
        self.complianceScore = complianceScore
        self.accuracyScore = accuracyScore
        self.professionalismScore = professionalismScore
        self.sentimentLabel = sentimentLabel
        self.complianceIssues = complianceIssues
        self.flaggedIssues = flaggedIssues
        self.reviewedBy = reviewedBy
        self.reviewerID = reviewerID
        self.reviewNotes = reviewNotes
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            writeMembers(to: &json)
            json.field("version", version)
            json.field("reviewer_id", ifPresent: reviewerID)
        }
    }

    /// As clients see it: document 003's `QAScore`.
    public func writeScore(to json: inout JSONWriter) {
        json.object { json in writeMembers(to: &json) }
    }

    private func writeMembers(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("call_id", callID)
        json.field("overall_score", overallScore)
        json.field("sentiment_score", sentimentScore)
        json.field("compliance_score", complianceScore)
        json.field("accuracy_score", accuracyScore)
        json.field("professionalism_score", professionalismScore)
        json.field("sentiment_label", sentimentLabel)
        json.field("compliance_issues", complianceIssues)
        json.field("flagged_issues", flaggedIssues)
        json.field("reviewed_by", reviewedBy)
        json.field("review_notes", ifPresent: reviewNotes)
        json.field("created_at", createdAt)
        json.field("updated_at", updatedAt)
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.int64("id")
        callID = try fields.id("call_id")
        version = try fields.optionalInt64("version") ?? 1
        overallScore = try fields.double("overall_score")
        sentimentScore = try fields.double("sentiment_score")
        complianceScore = try fields.double("compliance_score")
        accuracyScore = try fields.double("accuracy_score")
        professionalismScore = try fields.double("professionalism_score")
        sentimentLabel = try fields.choice("sentiment_label")
        complianceIssues = try fields.strings("compliance_issues")
        flaggedIssues = try fields.strings("flagged_issues")
        reviewedBy = try fields.string("reviewed_by")
        reviewerID = try fields.optionalID("reviewer_id")
        reviewNotes = try fields.optionalString("review_notes")
        createdAt = try fields.instant("created_at")
        updatedAt = try fields.instant("updated_at")
    }
}

extension ScoreEvent {
    public static let schemas = [
        Schema.object(CallRef.members + [.required("sentiment", SentimentReading.schema)]),
        .object(CallRef.members + [.required("qa_score", ScoreSnapshot.schema)]),
        .object(
            CallRef.members + [.required("outcome", .choice(CallOutcome.self)), .optional("summary", .string)]),
    ]
}

extension SentimentReading {
    static let schema = Schema.ref(
        "SentimentReading",
        .object(
            .required("score", .number, "The call's, −1 … 1."), .required("label", .choice(SentimentLabel.self)),
            .optional("interaction_id", .integer),
            .optional("interaction_score", .number, "The utterance's own, −1 … 1.")))
}

extension ScoreSnapshot {
    private static let members: [Field] = [
        .required("id", .integer), .required("call_id", .uuid), .required("overall_score", .number, "0 … 1"),
        .required("sentiment_score", .number), .required("compliance_score", .number),
        .required("accuracy_score", .number), .required("professionalism_score", .number),
        .required("sentiment_label", .choice(SentimentLabel.self)), .required("compliance_issues", .array(.string)),
        .required("flagged_issues", .array(.string)), .required("reviewed_by", .string),
        .optional("review_notes", .string), .required("created_at", .instant), .required("updated_at", .instant),
    ]

    static let schema = Schema.ref(
        "ScoreSnapshot",
        .object(
            members + [
                .required("version", .integer, "Grows with every change."),
                .optional("reviewer_id", .uuid, "The user behind `reviewed_by`, when a person has corrected it."),
            ]))

    /// As clients see it.
    public static let clientSchema = Schema.ref("QAScore", .object(members))
}
