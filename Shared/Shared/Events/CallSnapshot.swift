/// A call as it is at one version: document 003's `Call` and what the programs need beside it.
public struct CallSnapshot: Sendable, Hashable, JSONWritable {
    public struct AssignedAgent: Sendable, Hashable, JSONWritable {
        public var id: HumanAgentID
        public var name: String

        public init(id: HumanAgentID, name: String) {
            self.id = id
            self.name = name
        }

        public func write(to json: inout JSONWriter) {
            json.object { json in
                json.field("id", id)
                json.field("name", name)
            }
        }
    }

    public var id: CallID
    public var workspaceID: WorkspaceID
    /// Grows with every change; a reader drops what is older than what it has.
    public var version: Int64
    /// Empty until the carrier has taken the call.
    public var twilioCallSID: String
    public var direction: CallDirection
    public var status: CallStatus
    public var fromNumber: String
    public var toNumber: String
    public var businessID: BusinessID?
    /// The AI agent the call was asked for with.
    public var templateID: AgentID?
    public var startedAt: Instant
    public var endedAt: Instant?
    public var durationSeconds: Int?
    public var createdAt: Instant
    public var updatedAt: Instant
    public var metadata: JSONObject
    /// 0…1
    public var qaScore: Double?
    public var sentiment: SentimentLabel?
    /// Left out when the escalation was cancelled.
    public var escalationStatus: EscalationStatus?
    public var assignedAgent: AssignedAgent?
    public var outcome: CallOutcome?
    public var priority: CallPriority
    /// busy, no-answer, canceled, failed, or our own reason for not dialling.
    public var failureReason: String?
    /// The AI agent that holds the conversation.
    public var agentID: AgentID?

    public init(
        id: CallID, workspaceID: WorkspaceID, version: Int64 = 1, twilioCallSID: String = "",
        direction: CallDirection, status: CallStatus = .initiated, fromNumber: String, toNumber: String,
        businessID: BusinessID? = nil, templateID: AgentID? = nil, startedAt: Instant, endedAt: Instant? = nil,
        durationSeconds: Int? = nil, createdAt: Instant, updatedAt: Instant, metadata: JSONObject = [:],
        qaScore: Double? = nil, sentiment: SentimentLabel? = nil, escalationStatus: EscalationStatus? = nil,
        assignedAgent: AssignedAgent? = nil, outcome: CallOutcome? = nil, priority: CallPriority = .medium,
        failureReason: String? = nil, agentID: AgentID? = nil
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.version = version
        self.twilioCallSID = twilioCallSID
        self.direction = direction
        self.status = status
        self.fromNumber = fromNumber
        self.toNumber = toNumber
        self.businessID = businessID
        self.templateID = templateID
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.durationSeconds = durationSeconds
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.metadata = metadata
        self.qaScore = qaScore
        self.sentiment = sentiment
        self.escalationStatus = escalationStatus
        self.assignedAgent = assignedAgent
        self.outcome = outcome
        self.priority = priority
        self.failureReason = failureReason
        self.agentID = agentID
    }

    public var ref: CallRef {
        CallRef(callID: id, workspaceID: workspaceID, businessID: businessID, direction: direction)
    }

    /// As events carry it: everything.
    public func write(to json: inout JSONWriter) {
        json.object { json in
            writeMembers(to: &json)
            json.field("workspace_id", workspaceID)
            json.field("version", version)
            json.field("priority", priority)
            json.field("agent_id", ifPresent: agentID)
        }
    }

    /// As clients see it: document 003's `Call`, and `outcome` and `failure_reason` when known.
    public func writeCall(to json: inout JSONWriter) {
        json.object { json in writeMembers(to: &json) }
    }

    private func writeMembers(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("twilio_call_sid", twilioCallSID)
        json.field("direction", direction)
        json.field("status", status)
        json.field("from_number", fromNumber)
        json.field("to_number", toNumber)
        json.field("business_id", ifPresent: businessID)
        json.field("template_id", ifPresent: templateID)
        json.field("started_at", startedAt)
        json.field("ended_at", ifPresent: endedAt)
        json.field("duration_seconds", ifPresent: durationSeconds)
        json.field("created_at", createdAt)
        json.field("updated_at", updatedAt)
        json.field("metadata", metadata)
        json.field("qa_score", ifPresent: qaScore)
        json.field("sentiment", ifPresent: sentiment)
        json.field("escalation_status", ifPresent: escalationStatus == .cancelled ? nil : escalationStatus)
        json.field("assigned_agent", ifPresent: assignedAgent)
        json.field("outcome", ifPresent: outcome)
        json.field("failure_reason", ifPresent: failureReason)
    }

    public init(json: JSON) throws(EventError) {
        let fields = try Fields(json)
        id = try fields.id("id")
        workspaceID = try fields.id("workspace_id")
        version = try fields.int64("version")
        twilioCallSID = try fields.string("twilio_call_sid")
        direction = try fields.choice("direction")
        status = try fields.choice("status")
        fromNumber = try fields.string("from_number")
        toNumber = try fields.string("to_number")
        businessID = try fields.optionalID("business_id")
        templateID = try fields.optionalID("template_id")
        startedAt = try fields.instant("started_at")
        endedAt = try fields.optionalInstant("ended_at")
        durationSeconds = try fields.optionalInt("duration_seconds")
        createdAt = try fields.instant("created_at")
        updatedAt = try fields.instant("updated_at")
        metadata = try fields.object("metadata")
        qaScore = try fields.optionalDouble("qa_score")
        sentiment = try fields.optionalChoice("sentiment")
        escalationStatus = try fields.optionalChoice("escalation_status")
        if let agent = try fields.optionalNested("assigned_agent") {
            assignedAgent = AssignedAgent(id: try agent.id("id"), name: try agent.string("name"))
        } else {
            assignedAgent = nil
        }
        outcome = try fields.optionalChoice("outcome")
        priority = try fields.optionalChoice("priority") ?? .medium
        failureReason = try fields.optionalString("failure_reason")
        agentID = try fields.optionalID("agent_id")
    }
}

/// Which call an event is about, and what readers need to know of it without asking.
public struct CallRef: Sendable, Hashable {
    public var callID: CallID
    public var workspaceID: WorkspaceID
    public var businessID: BusinessID?
    public var direction: CallDirection

    public init(
        callID: CallID, workspaceID: WorkspaceID, businessID: BusinessID? = nil, direction: CallDirection
    ) {
        self.callID = callID
        self.workspaceID = workspaceID
        self.businessID = businessID
        self.direction = direction
    }

    /// Its members stand beside the event's own.
    func writeMembers(to json: inout JSONWriter) {
        json.field("call_id", callID)
        json.field("workspace_id", workspaceID)
        json.field("business_id", ifPresent: businessID)
        json.field("direction", direction)
    }

    init(_ fields: Fields) throws(EventError) {
        callID = try fields.id("call_id")
        workspaceID = try fields.id("workspace_id")
        businessID = try fields.optionalID("business_id")
        direction = try fields.choice("direction")
    }
}

extension CallSnapshot {
    private static let members: [Field] = [
        .required("id", .uuid), .required("twilio_call_sid", .string, "Empty until the carrier has taken the call."),
        .required("direction", .choice(CallDirection.self)), .required("status", .choice(CallStatus.self)),
        .required("from_number", .string), .required("to_number", .string), .optional("business_id", .uuid),
        .optional("template_id", .uuid, "The AI agent the call was asked for with."),
        .required("started_at", .instant), .optional("ended_at", .instant), .optional("duration_seconds", .integer),
        .required("created_at", .instant), .required("updated_at", .instant), .required("metadata", .anyObject),
        .optional("qa_score", .number, "0 … 1"), .optional("sentiment", .choice(SentimentLabel.self)),
        .optional("escalation_status", .choice(EscalationStatus.self)),
        .optional("assigned_agent", .object(.required("id", .uuid), .required("name", .string))),
        .optional("outcome", .choice(CallOutcome.self)), .optional("failure_reason", .string),
    ]

    /// As events carry it.
    static let schema = Schema.ref(
        "CallSnapshot",
        .object(
            members + [
                .required("workspace_id", .uuid), .required("version", .integer, "Grows with every change."),
                .required("priority", .choice(CallPriority.self)),
                .optional("agent_id", .uuid, "The AI agent that holds the conversation."),
            ]))

    /// As clients see it.
    public static let clientSchema = Schema.ref("Call", .object(members))
}

extension CallRef {
    static let members: [Field] = [
        .required("call_id", .uuid), .required("workspace_id", .uuid), .optional("business_id", .uuid),
        .required("direction", .choice(CallDirection.self)),
    ]
}
