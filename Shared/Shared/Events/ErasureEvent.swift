/// Whose data goes for good: a person's, everything of a workspace, or what other programs keep of a human agent.
public enum ErasureSubject: Sendable, Hashable, CustomStringConvertible {
    case user(UserID)
    case workspace(WorkspaceID)
    case agent(HumanAgentID)

    public init?(kind: String, id: String) {
        switch kind {
        case "user": if let id = UserID(id) { self = .user(id) } else { return nil }
        case "workspace": if let id = WorkspaceID(id) { self = .workspace(id) } else { return nil }
        case "agent": if let id = HumanAgentID(id) { self = .agent(id) } else { return nil }
        default: return nil
        }
    }

    public var kind: String {
        switch self {
        case .user: "user"
        case .workspace: "workspace"
        case .agent: "agent"
        }
    }

    /// The id's text, as payloads and keys hold it.
    public var id: String {
        switch self {
        case .user(let id): id.text
        case .workspace(let id): id.text
        case .agent(let id): id.text
        }
    }

    public var description: String { "\(kind) \(id)" }
}

/// What a program has erased. Each that holds anything of people answers `auth.users` and `auth.workspaces` deleted with
/// one of these; auth collects them. Nothing in it is about the person but the id.
public enum ErasureEvent: Event, Hashable {
    case reported(ErasureReport)

    public static let topic = Topic.authErasures
    public static let types = ["auth.erasure.reported.v1"]

    public var key: String {
        switch self {
        case .reported(let report): report.subject.id
        }
    }

    public var type: String { ErasureEvent.types[0] }

    public func write(to json: inout JSONWriter) {
        switch self {
        case .reported(let report): report.write(to: &json)
        }
    }

    public init(type: String, json: JSON) throws {
        guard ErasureEvent.types.contains(type) else { throw EventError.unknownType(type) }
        self = .reported(try ErasureReport(try Fields(json)))
    }
}

public struct ErasureReport: Sendable, Hashable, JSONWritable {
    public var subject: ErasureSubject
    public var program: String
    /// Rows removed or made anonymous, by what they were.
    public var counts: [String: Int64]
    public var at: Instant

    public init(subject: ErasureSubject, program: String, counts: [String: Int64], at: Instant) {
        self.subject = subject
        self.program = program
        self.counts = counts
        self.at = at
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", subject.id)
            json.field("kind", subject.kind)
            json.field("program", program)
            json.field("counts", counts)
            json.field("at", at)
        }
    }

    init(_ fields: Fields) throws(EventError) {
        let (kind, id) = (try fields.string("kind"), try fields.string("id"))
        guard let subject = ErasureSubject(kind: kind, id: id) else {
            throw .field("id", expected: "a UUID of a user, workspace or agent")
        }
        self.subject = subject
        program = try fields.string("program")
        var counts: [String: Int64] = [:]
        for (name, value) in try fields.object("counts").pairs {
            guard let count = value.int64 else { throw .field("counts.\(name)", expected: "a whole number") }
            counts[name] = count
        }
        self.counts = counts
        at = try fields.instant("at")
    }
}

extension ErasureEvent {
    public static let schemas = [
        Schema.ref(
            "ErasureReport",
            .object(
                .required("id", .uuid, "Of the user or workspace that was erased."), .required("kind", .string),
                .required("program", .string, "Who has erased it."),
                .required("counts", .anyObject, "Rows removed or made anonymous, by what they were."),
                .required("at", .instant)))
    ]
}
