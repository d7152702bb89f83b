/// What happens to calls. Every event of a call has its id as key, so a reader sees them in order.
public enum CallEvent: Event, Hashable {
    case started(CallSnapshot)
    case updated(CallSnapshot)
    case ended(CallSnapshot)
    case interactionAdded(CallRef, InteractionSnapshot)
    /// The same utterance with another text or metadata: an interrupt cut what the caller heard.
    case interactionUpdated(CallRef, InteractionSnapshot)
    case escalationTriggered(CallRef, EscalationSnapshot)
    case escalationUpdated(CallRef, EscalationSnapshot)
    case escalationCompleted(CallRef, EscalationSnapshot)
    case noteAdded(CallRef, NoteSnapshot)

    public static let topic = Topic.telephonyCalls

    private enum Name: String, CaseIterable {
        case started = "telephony.call.started.v1"
        case updated = "telephony.call.updated.v1"
        case ended = "telephony.call.ended.v1"
        case interactionAdded = "telephony.call.interaction_added.v1"
        case interactionUpdated = "telephony.call.interaction_updated.v1"
        case escalationTriggered = "telephony.call.escalation_triggered.v1"
        case escalationUpdated = "telephony.call.escalation_updated.v1"
        case escalationCompleted = "telephony.call.escalation_completed.v1"
        case noteAdded = "telephony.call.note_added.v1"
    }

    public static let types = Name.allCases.map(\.rawValue)

    /// The call it is about.
    public var call: CallRef {
        switch self {
        case .started(let call), .updated(let call), .ended(let call): call.ref
        case .interactionAdded(let call, _), .interactionUpdated(let call, _), .escalationTriggered(let call, _),
            .escalationUpdated(let call, _), .escalationCompleted(let call, _), .noteAdded(let call, _):
            call
        }
    }

    public var key: String { call.callID.text }

    public var type: String {
        let name: Name =
            switch self {
            case .started: .started
            case .updated: .updated
            case .ended: .ended
            case .interactionAdded: .interactionAdded
            case .interactionUpdated: .interactionUpdated
            case .escalationTriggered: .escalationTriggered
            case .escalationUpdated: .escalationUpdated
            case .escalationCompleted: .escalationCompleted
            case .noteAdded: .noteAdded
            }
        return name.rawValue
    }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .started(let call), .updated(let call), .ended(let call): call.write(to: &json)
        case .interactionAdded(let call, let interaction), .interactionUpdated(let call, let interaction):
            json.object { json in
                call.writeMembers(to: &json)
                json.field("interaction", interaction)
            }
        case .escalationTriggered(let call, let escalation), .escalationUpdated(let call, let escalation),
            .escalationCompleted(let call, let escalation):
            json.object { json in
                call.writeMembers(to: &json)
                json.field("escalation", escalation)
            }
        case .noteAdded(let call, let note):
            json.object { json in
                call.writeMembers(to: &json)
                json.field("note", note)
            }
        }
    }

    public init(type: String, json: JSON) throws {
        let fields = try Fields(json)
        switch Name(rawValue: type) {
        case .started: self = .started(try CallSnapshot(json: json))
        case .updated: self = .updated(try CallSnapshot(json: json))
        case .ended: self = .ended(try CallSnapshot(json: json))
        case .interactionAdded:
            self = .interactionAdded(try CallRef(fields), try InteractionSnapshot(fields.nested("interaction")))
        case .interactionUpdated:
            self = .interactionUpdated(try CallRef(fields), try InteractionSnapshot(fields.nested("interaction")))
        case .escalationTriggered:
            self = .escalationTriggered(try CallRef(fields), try EscalationSnapshot(fields.nested("escalation")))
        case .escalationUpdated:
            self = .escalationUpdated(try CallRef(fields), try EscalationSnapshot(fields.nested("escalation")))
        case .escalationCompleted:
            self = .escalationCompleted(try CallRef(fields), try EscalationSnapshot(fields.nested("escalation")))
        case .noteAdded: self = .noteAdded(try CallRef(fields), try NoteSnapshot(fields.nested("note")))
        case nil: throw EventError.unknownType(type)
        }
    }
}

extension CallEvent {
    public static let schemas: [Schema] = Name.allCases.map { name in
        switch name {
        case .started, .updated, .ended: CallSnapshot.schema
        case .interactionAdded, .interactionUpdated: about("interaction", InteractionSnapshot.schema)
        case .escalationTriggered, .escalationUpdated, .escalationCompleted:
            about("escalation", EscalationSnapshot.schema)
        case .noteAdded: about("note", NoteSnapshot.schema)
        }
    }

    private static func about(_ name: String, _ schema: Schema) -> Schema {
        .object(CallRef.members + [.required(name, schema)])
    }
}
