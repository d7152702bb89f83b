/// Every frame a browser may receive about calls (document 003 §2 and what is beyond it), with the shape of its data.
public enum FrameName: String, CaseIterable, Sendable {
    case callStarted = "call.started"
    case callUpdated = "call.updated"
    case callEnded = "call.ended"
    case interactionAdded = "interaction.added"
    /// Beyond document 003: what the caller heard turned out shorter than what was said.
    case interactionUpdated = "interaction.updated"
    case escalationTriggered = "escalation.triggered"
    case escalationUpdated = "escalation.updated"
    case escalationCompleted = "escalation.completed"
    case noteAdded = "note.added"
    case sentimentChanged = "sentiment.changed"
    case scoreUpdated = "qa.score.updated"

    /// Of the frame's `data`.
    public var schema: Schema {
        switch self {
        case .callStarted, .callUpdated: .object(.required("call", CallSnapshot.clientSchema))
        case .callEnded: .object(.required("call_id", .uuid))
        case .interactionAdded, .interactionUpdated: Self.about("interaction", InteractionSnapshot.clientSchema)
        case .escalationTriggered, .escalationUpdated, .escalationCompleted:
            Self.about("escalation", EscalationSnapshot.schema)
        case .noteAdded: Self.about("note", NoteSnapshot.schema)
        case .sentimentChanged:
            Self.about(
                "sentiment",
                .object(.required("score", .number, "−1 … 1"), .required("label", .choice(SentimentLabel.self))))
        case .scoreUpdated:
            .object(
                .required("call_id", .uuid), .required("qa_score", ScoreSnapshot.clientSchema),
                .optional("reviewer_id", .uuid, "The user behind `reviewed_by`, when a person has corrected the score.")
            )
        }
    }

    private static func about(_ name: String, _ schema: Schema) -> Schema {
        .object(.required("call_id", .uuid), .required(name, schema))
    }
}
