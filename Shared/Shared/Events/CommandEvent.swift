/// An order to whichever replica of telephony holds the call's conversation.
public struct CommandEvent: Event, Hashable {
    public enum Action: String, CaseIterable, Sendable, JSONWritable {
        /// The AI falls silent, or speaks again.
        case pause, resume
        /// Tells the AI what to bring in; `message`.
        case say
        /// Replaces the AI's instructions; `instructions`.
        case override
        case end
        /// To the human agent in `agent_id`.
        case transfer
        /// Back from the human to the AI.
        case handback
        /// The business configuration has changed: read it again.
        case configure
        /// A conversation's answer: it has taken the intervention in `answers`.
        case taken
    }

    public var id: EventID
    public var callID: CallID
    public var action: Action
    public var message: String?
    public var instructions: String?
    public var agentID: HumanAgentID?
    /// Who ordered it; nil when the system did.
    public var by: UserID?
    public var reason: String?
    /// The command that was taken.
    public var answers: EventID?

    public init(
        id: EventID = EventID(), callID: CallID, action: Action, message: String? = nil,
        instructions: String? = nil, agentID: HumanAgentID? = nil, by: UserID? = nil, reason: String? = nil,
        answers: EventID? = nil
    ) {
        self.id = id
        self.callID = callID
        self.action = action
        self.message = message
        self.instructions = instructions
        self.agentID = agentID
        self.by = by
        self.reason = reason
        self.answers = answers
    }

    public static let topic = Topic.telephonyCommands
    public static let types = ["telephony.command.issued.v1"]
    public var key: String { callID.text }
    public var type: String { CommandEvent.types[0] }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("call_id", callID)
            json.field("action", action)
            json.field("message", ifPresent: message)
            json.field("instructions", ifPresent: instructions)
            json.field("agent_id", ifPresent: agentID)
            json.field("by", ifPresent: by)
            json.field("reason", ifPresent: reason)
            json.field("answers", ifPresent: answers)
        }
    }

    public init(type: String, json: JSON) throws {
        guard CommandEvent.types.contains(type) else { throw EventError.unknownType(type) }
        let fields = try Fields(json)
        id = try fields.id("id")
        callID = try fields.id("call_id")
        action = try fields.choice("action")
        message = try fields.optionalString("message")
        instructions = try fields.optionalString("instructions")
        agentID = try fields.optionalID("agent_id")
        by = try fields.optionalID("by")
        reason = try fields.optionalString("reason")
        answers = try fields.optionalID("answers")
    }
}

extension CommandEvent {
    public static let schemas = [
        Schema.object(
            .required("id", .uuid), .required("call_id", .uuid), .required("action", .choice(Action.self)),
            .optional("message", .string), .optional("instructions", .string), .optional("agent_id", .uuid),
            .optional("by", .uuid, "Who ordered it; absent when the system did."), .optional("reason", .string),
            .optional("answers", .uuid, "With `taken`: the command a conversation has taken."))
    ]
}
