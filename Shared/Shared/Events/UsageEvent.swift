/// What a workspace uses of its plan. `recorded` is additive: counted once per event id.
public enum UsageEvent: Event, Hashable {
    public enum Limit: String, CaseIterable, Sendable, JSONWritable {
        case calls, minutes, agents
    }

    /// - period: the month, `2026-11`; totalSeconds: of the period, this call included.
    case recorded(workspaceID: WorkspaceID, callID: CallID, seconds: Int64, period: String, totalSeconds: Int64)
    case limitReached(workspaceID: WorkspaceID, limit: Limit, value: Int64, max: Int64)
    case limitCleared(workspaceID: WorkspaceID, limit: Limit)

    public static let topic = Topic.billingUsage
    public static let types = [
        "billing.usage.recorded.v1", "billing.usage.limit_reached.v1", "billing.usage.limit_cleared.v1",
    ]

    public var workspaceID: WorkspaceID {
        switch self {
        case .recorded(let id, _, _, _, _), .limitReached(let id, _, _, _), .limitCleared(let id, _): id
        }
    }

    public var key: String { workspaceID.text }

    public var type: String {
        switch self {
        case .recorded: UsageEvent.types[0]
        case .limitReached: UsageEvent.types[1]
        case .limitCleared: UsageEvent.types[2]
        }
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("workspace_id", workspaceID)
            switch self {
            case .recorded(_, let callID, let seconds, let period, let totalSeconds):
                json.field("call_id", callID)
                json.field("seconds", seconds)
                json.field("period", period)
                json.field("total_seconds", totalSeconds)
            case .limitReached(_, let limit, let value, let max):
                json.field("limit", limit)
                json.field("value", value)
                json.field("max", max)
            case .limitCleared(_, let limit): json.field("limit", limit)
            }
        }
    }

    public init(type: String, json: JSON) throws {
        let fields = try Fields(json)
        let workspaceID: WorkspaceID = try fields.id("workspace_id")
        switch type {
        case UsageEvent.types[0]:
            self = .recorded(
                workspaceID: workspaceID, callID: try fields.id("call_id"), seconds: try fields.int64("seconds"),
                period: try fields.string("period"), totalSeconds: try fields.int64("total_seconds"))
        case UsageEvent.types[1]:
            self = .limitReached(
                workspaceID: workspaceID, limit: try fields.choice("limit"), value: try fields.int64("value"),
                max: try fields.int64("max"))
        case UsageEvent.types[2]:
            self = .limitCleared(workspaceID: workspaceID, limit: try fields.choice("limit"))
        default: throw EventError.unknownType(type)
        }
    }
}

extension UsageEvent {
    public static let schemas = [
        Schema.object(
            .required("workspace_id", .uuid), .required("call_id", .uuid),
            .required("seconds", .integer, "What this call added; negative for a correction."),
            .required("period", .string, "The period's beginning."),
            .required("total_seconds", .integer, "Of the period, this call included.")),
        .object(
            .required("workspace_id", .uuid), .required("limit", .choice(Limit.self)), .required("value", .integer),
            .required("max", .integer)),
        .object(.required("workspace_id", .uuid), .required("limit", .choice(Limit.self))),
    ]
}
