/// A frame on its way to browsers.
public struct FrameEvent: Event, Hashable {
    public var frame: FrameSnapshot

    public init(_ frame: FrameSnapshot) { self.frame = frame }

    public static let topic = Topic.realtimeFrames
    public static let types = ["realtime.frame.emitted.v1"]
    public var key: String { frame.workspaceID.text }
    public var type: String { FrameEvent.types[0] }

    public func write(to json: inout JSONWriter) { frame.write(to: &json) }

    public init(type: String, json: JSON) throws {
        guard FrameEvent.types.contains(type) else { throw EventError.unknownType(type) }
        frame = try FrameSnapshot(json: json)
    }
}

/// Exactly what a browser may receive, and who may receive it.
public struct FrameSnapshot: Sendable, Hashable, JSONWritable {
    public enum Audience: Sendable, Hashable {
        /// Every member.
        case workspace
        /// Its owner and managers.
        case managers
        case user(UserID)
    }

    /// Increases within the workspace: a browser resumes after it.
    public var id: Int64
    public var workspaceID: WorkspaceID
    /// Document 003 §2's name, such as `call.started`.
    public var event: String
    public var callID: CallID?
    public var at: Instant
    /// JSON text, never taken apart again on its way.
    public var data: String
    public var audience: Audience

    public init(
        id: Int64, workspaceID: WorkspaceID, event: String, callID: CallID? = nil, at: Instant, data: String,
        audience: Audience = .workspace
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.event = event
        self.callID = callID
        self.at = at
        self.data = data
        self.audience = audience
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("workspace_id", workspaceID)
            json.field("event", event)
            json.field("call_id", ifPresent: callID)
            json.field("at", at)
            json.fieldObject("audience") { json in
                switch audience {
                case .workspace: json.field("kind", "workspace")
                case .managers: json.field("kind", "managers")
                case .user(let id):
                    json.field("kind", "user")
                    json.field("user_id", id)
                }
            }
            json.field("data", raw: data)
        }
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        id = try fields.int64("id")
        workspaceID = try fields.id("workspace_id")
        event = try fields.string("event")
        callID = try fields.optionalID("call_id")
        at = try fields.instant("at")
        data = (fields.value("data") ?? .null).jsonText
        let audience = try fields.nested("audience")
        switch try audience.string("kind") {
        case "workspace": self.audience = .workspace
        case "managers": self.audience = .managers
        case "user": self.audience = .user(try audience.id("user_id"))
        default: throw .field("audience.kind", expected: "workspace, managers or user")
        }
    }
}

extension FrameEvent {
    public static let schemas = [
        Schema.object(
            .required("id", .integer, "Grows within the workspace."), .required("workspace_id", .uuid),
            .required("event", .string, "A frame's name."), .optional("call_id", .uuid), .required("at", .instant),
            .required(
                "audience",
                .object(
                    .required("kind", .string(enum: ["workspace", "managers", "user"])), .optional("user_id", .uuid))),
            .required("data", .any, "What the browser receives."))
    ]
}
