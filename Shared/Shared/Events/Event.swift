/// Something that happened, told on one topic. `type` is the CloudEvents type; `write(to:)` writes its data.
public protocol Event: Sendable, JSONWritable {
    static var topic: Topic { get }
    /// Every type this topic carries, such as `telephony.call.ended.v1`. A type's data may gain fields; anything else
    /// is a new version beside it.
    static var types: [String] { get }
    /// What `write(to:)` writes for each of `types`, in their order: the AsyncAPI document is made of it, and a test holds
    /// it against the recorded samples.
    static var schemas: [Schema] { get }
    /// Events with the same key arrive in the order they were published.
    var key: String { get }
    var type: String { get }
    /// - Throws: `EventError` when the type is none of `types` or the data lacks what it needs.
    init(type: String, json: JSON) throws
}

/// Every family of events there is.
public enum EventFamilies {
    public static let all: [any Event.Type] = [
        UserEvent.self, WorkspaceEvent.self, RevocationEvent.self, BlacklistEvent.self, ErasureEvent.self,
        SubscriptionEvent.self, UsageEvent.self, CallEvent.self, AgentEvent.self, CommandEvent.self, ScoreEvent.self,
        EntryEvent.self, ConfigEvent.self,
        FrameEvent.self,
    ]
}

/// Why a record is no event of its topic.
public enum EventError: Error, Hashable, Sendable, CustomStringConvertible {
    case unknownType(String)
    /// The path of the member, and what it should have been.
    case field(String, expected: String)

    public var description: String {
        switch self {
        case .unknownType(let type): "no event of this topic has the type \(type)"
        case .field(let path, let expected): "\(path) is not \(expected)"
        }
    }
}
