import HTTP
import Shared

/// What the routes take and return, for the OpenAPI document.
enum Schemas {
    /// For knowledge, before it deletes a business configuration.
    static let businessUse = Schema.object(
        .required("ai_agents", .integer(min: 0)), .required("phone_numbers", .integer(min: 0)),
        .required("live_calls", .integer(min: 0)))

    // MARK: Document 003

    static let call = Schema.ref(
        "Call",
        .object(
            .required("id", .uuid), .required("twilio_call_sid", .string, "Empty until the carrier has the call."),
            .required("direction", .choice(CallDirection.self)), .required("status", .choice(CallStatus.self)),
            .required("from_number", .string), .required("to_number", .string), .optional("business_id", .uuid),
            .optional("template_id", .uuid, "The AI agent."), .required("started_at", .instant),
            .optional("ended_at", .instant), .optional("duration_seconds", .integer(min: 0)),
            .required("created_at", .instant), .required("updated_at", .instant), .required("metadata", .anyObject),
            .optional("qa_score", .number(min: 0, max: 1)), .optional("sentiment", .choice(SentimentLabel.self)),
            .optional("escalation_status", .string(enum: ["pending", "in_progress", "completed"])),
            .optional("assigned_agent", .object(.required("id", .uuid), .required("name", .string))),
            .optional("outcome", .choice(CallOutcome.self)),
            .optional("failure_reason", .string, "busy, no-answer, canceled, failed, or our reason for not dialling.")))

    static let interaction = Schema.ref(
        "CallInteraction",
        .object(
            .required("id", .integer), .required("call_id", .uuid), .required("speaker", .choice(Speaker.self)),
            .required("text", .string, "For the AI: what the caller actually heard."), .optional("audio_url", .string),
            .required("timestamp", .instant),
            .required("metadata", .anyObject, "lang, citations, latency_ms, provider, interrupted, by …"),
            .optional(
                "sentiment",
                .object(
                    .required("score", .number(min: -1, max: 1)), .required("label", .choice(SentimentLabel.self))))))

    static let score = Schema.ref(
        "QAScore",
        .object(
            .required("id", .integer), .required("call_id", .uuid),
            .required("overall_score", .number(min: 0, max: 1)),
            .required("sentiment_score", .number(min: 0, max: 1)),
            .required("compliance_score", .number(min: 0, max: 1)),
            .required("accuracy_score", .number(min: 0, max: 1)),
            .required("professionalism_score", .number(min: 0, max: 1)),
            .required("sentiment_label", .choice(SentimentLabel.self)),
            .required("compliance_issues", .array(.string)), .required("flagged_issues", .array(.string)),
            .required("reviewed_by", .string), .optional("review_notes", .string), .required("created_at", .instant),
            .required("updated_at", .instant)))

    static let escalation = Schema.ref(
        "Escalation",
        .object(
            .required("id", .integer), .required("call_id", .uuid),
            .required("status", .choice(EscalationStatus.self)),
            .required(
                "trigger_type", .string,
                "manual, takeover, keyword, sentiment, explicit_request, repeated_failure, low_confidence"),
            .required("trigger_details", .anyObject), .optional("assigned_agent_id", .uuid),
            .optional("agent_name", .string), .optional("conversation_summary", .string),
            .required("context_data", .anyObject), .required("requested_at", .instant),
            .optional("accepted_at", .instant), .optional("completed_at", .instant)))

    static let humanAgent = Schema.ref(
        "HumanAgent",
        .object(
            .required("id", .uuid), .required("name", .string), .required("email", .email),
            .optional("phone_number", .phone), .optional("extension", .string), .required("is_available", .boolean),
            .required("is_active", .boolean), .required("skills", .array(.string)),
            .required("departments", .array(.string)), .required("total_calls_handled", .integer(min: 0)),
            .optional("average_rating", .number), .required("created_at", .instant),
            .required("updated_at", .instant), .optional("last_active_at", .instant),
            .required("metadata", .anyObject)))

    static let humanAgentBody = Schema.object(
        .required("name", .string(min: 1, max: 200)), .required("email", .email), .optional("phone_number", .phone),
        .optional("extension", .string(max: 20)), .optional("skills", .array(.string(max: 100), max: 100)),
        .optional("departments", .array(.string(max: 100), max: 100)), .optional("is_available", .boolean),
        .optional("is_active", .boolean), .optional("metadata", .anyObject),
        .optional("workspace_id", .uuid, "On creation: yours unless given."))

    static let humanAgentAnswer = answer("agent", humanAgent)
    static let escalationAnswer = answer("escalation", escalation)

    static let callDetail = Schema.object(
        .required("call", call), .required("interactions_count", .integer(min: 0)), .optional("qa_scores", score),
        .optional("escalation", escalation), .optional("agent", humanAgent))

    static let interactions = Schema.object(
        .required("interactions", .array(interaction)), .required("total", .integer(min: 0)))

    static let initiate = Schema.object(
        .required("to_number", .phone), .optional("from_number", .phone), .optional("business_id", .uuid),
        .optional("template_id", .uuid, "The AI agent that speaks; the workspace's first one unless given."),
        .optional("metadata", .anyObject), .optional("priority", .choice(CallPriority.self)),
        .optional("workspace_id", .uuid))

    static let escalate = Schema.object(
        .optional("agent_id", .uuid, "The human; whoever has been idle longest unless given."),
        .optional("reason", .string(max: 500)), .optional("context_note", .string(max: 5000)),
        .optional("skill", .string(min: 1, max: 100), "What the human must be able to do."),
        .optional("department", .string(min: 1, max: 100), "Where the human must be."))

    static let intervene = Schema.object(
        .required("action", .choice(Telephony.Intervention.self)),
        .optional("message", .string(min: 1, max: 2000), "Required for send_message."),
        .optional("instructions", .string(min: 1, max: 10_000), "Required for override_instructions."))

    static let endBody = Schema.object(
        .optional("reason", .string(max: 500)), .optional("notes", .string(max: 10_000)))

    static let note = Schema.ref(
        "Note",
        .object(
            .required("id", .integer), .required("call_id", .uuid), .optional("author_id", .uuid),
            .required("note", .string), .required("tags", .array(.string)), .optional("category", .string),
            .required("created_at", .instant)))

    static let noteBody = Schema.object(
        .required("note", .string(min: 1, max: 10_000)), .optional("tags", .array(.string(max: 100), max: 50)),
        .optional("category", .string(max: 100)))

    static let done = Schema.object(.required("success", .boolean), .required("message", .string))
    static let doneWithCall = Schema.object(
        .required("success", .boolean), .required("message", .string), .required("call", call))
    static let doneWithNote = Schema.object(
        .required("success", .boolean), .required("note_id", .integer), .required("message", .string))
    static let agentChoice = Schema.object(.optional("agent_id", .uuid))
    static let availability = Schema.object(.required("is_available", .boolean))

    static func answer(_ name: String, _ schema: Schema) -> Schema {
        .object(.required(name, schema), .required("message", .string))
    }

    static let callQuery: [Parameter] =
        .managerPage + [
            .query("status", .choice(CallStatus.self), "One, or several separated by commas."),
            .query("direction", .choice(CallDirection.self)), .query("business_id", .uuid),
            .query("from_date", .string, "ISO 8601: a date (its whole day) or an instant."),
            .query("to_date", .string, "A date is inclusive, an instant exclusive."),
            .query(
                "search", .string(max: 100), "A call id or carrier sid exactly, or a number's first or last 4+ digits."),
            .query("sort_by", .choice(CallFilter.Order.self)), .query("sort_order", .choice(CallFilter.Direction.self)),
            .query("min_qa_score", .number(min: 0, max: 1)), .query("max_qa_score", .number(min: 0, max: 1)),
            .query("sentiment", .choice(SentimentLabel.self)),
        ]

    static let transcriptQuery: [Parameter] = [
        .query("limit", .integer(min: 1, max: 5000), "1000 unless given."),
        .query("offset", .integer(min: 0, max: 1_000_000)),
        .query("speaker", .choice(Speaker.self)),
    ]

    static let escalationQuery: [Parameter] =
        .managerPage + [
            .query("status", .choice(EscalationStatus.self)), .query("agent_id", .uuid), .query("call_id", .uuid),
        ]

    // MARK: Document 001

    private static let time = Schema.string(pattern: "^[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?$").example("09:00:00")

    static let agent = Schema.ref(
        "AIAgent",
        .object(
            .required("id", .uuid), .required("workspace", .uuid), .required("name", .string),
            .required("greeting", .string), .required("voice", .string), .required("language", .string),
            .required("retry_interval", .integer(min: 0), "Minutes."),
            .required("workdays", .array(.choice(Agent.Workday.self))), .required("call_from", .nullable(time)),
            .required("call_to", .nullable(time)),
            .required("timezone", .nullable(.string), "IANA name; null: the zones the called number may be in."),
            .required("character", .string), .required("personality_type", .choice(Agent.Personality.self)),
            .required("status", .choice(Agent.Status.self)),
            .required(
                "training_level", .integer(min: 0, max: 100),
                "Percent of `training_checklist` that is done: greeting, voice and language, character, calling hours, "
                    + "business configuration linked and active, phone number assigned, first call held."),
            .required("training_checklist", .map(.boolean)), .required("business_id", .nullable(.uuid)),
            .required("phone_numbers_count", .integer(min: 0)), .required("created_at", .instant),
            .required("updated_at", .instant)))

    static func agentBody(greetingRequired: Bool) -> Schema {
        .object([
            .optional("workspace", .uuid), .optional("name", .string(min: 1, max: 200)),
            Field("greeting", .string(min: 1, max: 2000), optional: !greetingRequired),
            .optional("voice", .string(max: 100)), .optional("language", .string(min: 2, max: 40)),
            .optional("retry_interval", .integer(min: 0, max: 10_080)),
            .optional("workdays", .array(.choice(Agent.Workday.self), max: 7)), .optional("call_from", .nullable(time)),
            .optional("call_to", .nullable(time)), .optional("timezone", .nullable(.string(max: 64))),
            .optional("character", .string(max: 10_000)),
            .optional("personality_type", .choice(Agent.Personality.self)),
            .optional("status", .choice(Agent.Status.self)), .optional("business_id", .nullable(.uuid)),
        ])
    }

    static let agentQuery: [Parameter] =
        .classicList(ordering: AgentFilter.orders) + [
            .query("workspace", .uuid), .query("status", .choice(Agent.Status.self)),
            .query("language", .string(max: 40)),
            .query("voice", .string(max: 100)), .query("personality_type", .choice(Agent.Personality.self)),
            .query("business_id", .uuid), .query("created_at__gte", .string), .query("created_at__lte", .string),
        ]

    static let line = Schema.ref(
        "PhoneNumber",
        .object(
            .required("id", .uuid), .required("workspace", .uuid), .required("phone_number", .phone),
            .required("agent", .nullable(.uuid)), .required("label", .string), .required("is_active", .boolean),
            .required("created_at", .instant), .required("updated_at", .instant)))

    static func lineBody(numberRequired: Bool) -> Schema {
        .object([
            Field("phone_number", .phone, optional: !numberRequired), .optional("agent", .nullable(.uuid)),
            .optional("label", .string(max: 200)), .optional("is_active", .boolean), .optional("workspace", .uuid),
        ])
    }

    static let lineQuery: [Parameter] =
        .classicList(ordering: LineFilter.orders) + [
            .query("workspace", .uuid), .query("agent", .uuid), .query("phone_number", .string),
            .query("is_active", .boolean), .query("is_assigned", .boolean), .query("created_at__gte", .string),
            .query("created_at__lte", .string),
        ]

    static let lineIDs = Schema.object(.required("phone_number_ids", .array(.uuid, max: 1000)))
    static let linesMoved = Schema.object(
        .required("message", .string), .required("agent", .uuid), .required("phone_numbers", .array(line)))

    static let agentConfig = Schema.object(
        .required("agent_id", .uuid), .required("workspace", .uuid), .required("name", .string),
        .required("voice", .string), .required("language", .string), .required("greeting", .string),
        .required("character", .string), .required("personality_type", .choice(Agent.Personality.self)),
        .required("retry_interval", .integer), .required("workdays", .array(.string)),
        .required("call_from", .nullable(time)), .required("call_to", .nullable(time)),
        .required("timezone", .nullable(.string)), .required("status", .choice(Agent.Status.self)),
        .required("training_level", .integer(min: 0, max: 100)), .required("phone_numbers", .array(.phone)),
        .required("business_id", .nullable(.uuid)),
        .required("business_config", .nullable(.anyObject), "`config_data` of the linked business configuration."))

    // MARK: The carrier

    /// Twilio's webhook fields; more come and are ignored.
    static let webhook = Schema.object(
        .required("CallSid", .string), .optional("CallStatus", .string), .optional("From", .string),
        .optional("To", .string), .optional("SequenceNumber", .string), .optional("CallDuration", .string),
        .optional("AnsweredBy", .string))

    static let webhookQuery: [Parameter] = [
        .query(
            "kind", .string(enum: ["voice", "status", "amd", "agent", "agent_status"]),
            "Told by the fields unless given."),
        .query("call", .uuid), .query("escalation", .integer),
    ]

    static let connect = Schema.object(
        .required("CallSid", .string), .optional("SessionStatus", .string), .optional("HandoffData", .string),
        .optional("ErrorCode", .string))
}
