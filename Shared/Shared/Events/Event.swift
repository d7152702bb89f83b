/// Something that happened, told on one topic. `type` is the CloudEvents type; `write(to:)` writes its data.
public protocol Event: Sendable, JSONWritable {
    static var topic: Topic { get }
    /// Every type this topic carries, such as `telephony.call.ended.v1`. A type's data may gain fields; anything else
    /// is a new version beside it.
    static var types: [String] { get }
    /// Events with the same key arrive in the order they were published.
    var key: String { get }
    var type: String { get }
    /// - Throws: `EventError` when the type is none of `types` or the data lacks what it needs.
    init(type: String, json: JSON) throws
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
