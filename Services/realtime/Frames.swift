import Shared

/// A frame before it has an id.
struct NewFrame: Sendable {
    var workspaceID: WorkspaceID
    var event: String
    var callID: CallID?
    var audience: FrameSnapshot.Audience
    var at: Instant
    /// JSON text, sent as it is.
    var data: String
}

/// Document 003 §2 in one place: which event becomes which frame. Pure.
enum Frames {
    static func of(_ event: CallEvent, at: Instant) -> NewFrame? {
        switch event {
        case .started(let call): frame(.callStarted, call, at) { writeCall(call, to: &$0) }
        case .updated(let call): frame(.callUpdated, call, at) { writeCall(call, to: &$0) }
        case .ended(let call):
            frame(.callEnded, call, at) { json in json.object { $0.field("call_id", call.id) } }
        case .interactionAdded(let call, let said):
            frame(.interactionAdded, call, at) { json in
                json.object {
                    $0.field("call_id", call.callID)
                    $0.key("interaction")
                    said.writeInteraction(to: &$0)
                }
            }
        case .interactionUpdated(let call, let said):
            frame(.interactionUpdated, call, at) { json in
                json.object {
                    $0.field("call_id", call.callID)
                    $0.key("interaction")
                    said.writeInteraction(to: &$0)
                }
            }
        case .escalationTriggered(let call, let escalation): frame(.escalationTriggered, call, escalation, at)
        case .escalationUpdated(let call, let escalation): frame(.escalationUpdated, call, escalation, at)
        case .escalationCompleted(let call, let escalation): frame(.escalationCompleted, call, escalation, at)
        case .noteAdded(let call, let note):
            frame(.noteAdded, call, at) { json in
                json.object {
                    $0.field("call_id", call.callID)
                    $0.field("note", note)
                }
            }
        }
    }

    static func of(_ event: ScoreEvent, at: Instant) -> NewFrame? {
        switch event {
        case .sentimentChanged(let call, let reading):
            frame(.sentimentChanged, call, at) { json in
                json.object {
                    $0.field("call_id", call.callID)
                    $0.fieldObject("sentiment") {
                        $0.field("score", reading.score)
                        $0.field("label", reading.label)
                    }
                }
            }
        case .scoreUpdated(let call, let score):
            frame(.scoreUpdated, call, at) { json in
                json.object {
                    $0.field("call_id", call.callID)
                    $0.key("qa_score")
                    score.writeScore(to: &$0)
                    // By it the frame is found when the person is to be forgotten.
                    $0.field("reviewer_id", ifPresent: score.reviewerID)
                }
            }
        // The outcome arrives in `call.updated`, from telephony, which owns the call.
        case .outcomeClassified: nil
        }
    }

    private static func writeCall(_ call: CallSnapshot, to json: inout JSONWriter) {
        json.object { json in
            json.key("call")
            call.writeCall(to: &json)
        }
    }

    private static func frame(
        _ name: FrameName, _ call: CallSnapshot, _ at: Instant, _ write: (inout JSONWriter) -> Void
    ) -> NewFrame {
        frame(name, workspace: call.workspaceID, call: call.id, at, write)
    }

    private static func frame(
        _ name: FrameName, _ call: CallRef, _ at: Instant, _ write: (inout JSONWriter) -> Void
    ) -> NewFrame {
        frame(name, workspace: call.workspaceID, call: call.callID, at, write)
    }

    private static func frame(_ name: FrameName, _ call: CallRef, _ escalation: EscalationSnapshot, _ at: Instant)
        -> NewFrame
    {
        frame(name, call, at) { json in
            json.object {
                $0.field("call_id", call.callID)
                $0.field("escalation", escalation)
            }
        }
    }

    private static func frame(
        _ name: FrameName, workspace: WorkspaceID, call: CallID, _ at: Instant, _ write: (inout JSONWriter) -> Void
    ) -> NewFrame {
        var json = JSONWriter(capacity: 512)
        write(&json)
        return NewFrame(
            workspaceID: workspace, event: name.rawValue, callID: call, audience: .workspace, at: at,
            data: String(decoding: json.bytes, as: UTF8.self))
    }
}

/// An audience as the table keeps it: `workspace`, `managers` or `user:<id>`.
extension FrameSnapshot.Audience {
    var text: String {
        switch self {
        case .workspace: "workspace"
        case .managers: "managers"
        case .user(let id): "user:\(id.text)"
        }
    }

    static func of(_ text: String) throws -> FrameSnapshot.Audience {
        switch text {
        case "workspace": return .workspace
        case "managers": return .managers
        default:
            guard text.hasPrefix("user:"), let id = UserID(text.dropFirst(5)) else {
                throw EventError.field("audience", expected: "workspace, managers or user:<id>")
            }
            return .user(id)
        }
    }
}
