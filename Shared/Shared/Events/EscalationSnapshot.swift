/// Document 003's `Escalation`.
public struct EscalationSnapshot: Sendable, Hashable, JSONWritable {
    public var id: Int64
    public var callID: CallID
    public var status: EscalationStatus
    /// keyword, sentiment, request, failure, confidence, manual
    public var triggerType: String
    public var triggerDetails: JSONObject
    public var assignedAgentID: HumanAgentID?
    public var agentName: String?
    public var conversationSummary: String?
    public var contextData: JSONObject
    public var requestedAt: Instant
    public var acceptedAt: Instant?
    public var completedAt: Instant?

    public init(
        id: Int64, callID: CallID, status: EscalationStatus, triggerType: String, triggerDetails: JSONObject = [:],
        assignedAgentID: HumanAgentID? = nil, agentName: String? = nil, conversationSummary: String? = nil,
        contextData: JSONObject = [:], requestedAt: Instant, acceptedAt: Instant? = nil, completedAt: Instant? = nil
    ) {
        self.id = id
        self.callID = callID
        self.status = status
        self.triggerType = triggerType
        self.triggerDetails = triggerDetails
        self.assignedAgentID = assignedAgentID
        self.agentName = agentName
        self.conversationSummary = conversationSummary
        self.contextData = contextData
        self.requestedAt = requestedAt
        self.acceptedAt = acceptedAt
        self.completedAt = completedAt
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("call_id", callID)
            json.field("status", status)
            json.field("trigger_type", triggerType)
            json.field("trigger_details", triggerDetails)
            json.field("assigned_agent_id", ifPresent: assignedAgentID)
            json.field("agent_name", ifPresent: agentName)
            json.field("conversation_summary", ifPresent: conversationSummary)
            json.field("context_data", contextData)
            json.field("requested_at", requestedAt)
            json.field("accepted_at", ifPresent: acceptedAt)
            json.field("completed_at", ifPresent: completedAt)
        }
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.int64("id")
        callID = try fields.id("call_id")
        status = try fields.choice("status")
        triggerType = try fields.string("trigger_type")
        triggerDetails = try fields.object("trigger_details")
        assignedAgentID = try fields.optionalID("assigned_agent_id")
        agentName = try fields.optionalString("agent_name")
        conversationSummary = try fields.optionalString("conversation_summary")
        contextData = try fields.object("context_data")
        requestedAt = try fields.instant("requested_at")
        acceptedAt = try fields.optionalInstant("accepted_at")
        completedAt = try fields.optionalInstant("completed_at")
    }
}

extension EscalationSnapshot {
    public static let schema = Schema.ref(
        "EscalationSnapshot",
        .object(
            .required("id", .integer), .required("call_id", .uuid),
            .required("status", .choice(EscalationStatus.self)),
            .required("trigger_type", .string, "keyword, sentiment, request, failure, confidence, manual"),
            .required("trigger_details", .anyObject), .optional("assigned_agent_id", .uuid),
            .optional("agent_name", .string), .optional("conversation_summary", .string),
            .required("context_data", .anyObject), .required("requested_at", .instant),
            .optional("accepted_at", .instant), .optional("completed_at", .instant)))
}
