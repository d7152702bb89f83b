import HTTP
import Shared

extension Telephony {
    /// Everything this program serves, one line each.
    var routes: [Route] {
        calls + escalations + humanAgents + agents + phoneNumbers + carrierRoutes + [workspaceFigures]
    }

    /// Document 003 §1.
    private var calls: [Route] {
        [
            .get(
                "/api/v1/calls", "List calls", access: .may(.readCalls), query: Schemas.callQuery,
                returns: .ok(.page("calls", of: Schemas.call)), handler: listCalls),
            .post(
                "/api/v1/calls/initiate", "Place an outbound call", access: .may(.placeCalls), body: Schemas.initiate,
                returns: [201: Schemas.answer("call", Schemas.call), 402: nil], idempotent: true, handler: initiateCall),
            .get(
                "/api/v1/calls/{call_id}", "One call with its score, escalation and human", access: .may(.readCalls),
                returns: .ok(Schemas.callDetail), handler: getCall),
            .get(
                "/api/v1/calls/{call_id}/interactions", "The transcript", access: .may(.readCalls),
                query: Schemas.transcriptQuery, returns: .ok(Schemas.interactions), handler: listInteractions),
            .post(
                "/api/v1/calls/{call_id}/escalate", "Hand the call to a human", access: .may(.steerCalls),
                body: Schemas.escalate,
                returns: .ok(Schemas.escalationAnswer), idempotent: true, handler: escalateCall),
            .post(
                "/api/v1/calls/{call_id}/intervene", "Whisper to, pause, resume or redirect the AI",
                access: .may(.steerCalls),
                body: Schemas.intervene, returns: .ok(Schemas.done), handler: interveneCall),
            .post(
                "/api/v1/calls/{call_id}/end", "End the call", access: .may(.steerCalls), body: Schemas.endBody,
                returns: .ok(Schemas.doneWithCall), handler: endCall),
            .post(
                "/api/v1/calls/{call_id}/notes", "Add a note", access: .may(.noteCalls), body: Schemas.noteBody,
                returns: .created(Schemas.doneWithNote), idempotent: true, handler: addNote),
            .get(
                "/api/v1/calls/{call_id}/notes", "The notes", access: .may(.readCalls), query: .managerPage,
                returns: .ok(.page("notes", of: Schemas.note)), handler: listNotes),
            .post(
                "/api/v1/calls/{call_id}/takeover", "Take the call oneself", access: .may(.steerCalls),
                body: Schemas.agentChoice,
                returns: [200: Schemas.escalationAnswer, 409: nil], handler: takeOverCall),
            .post(
                "/api/v1/calls/{call_id}/handback", "Give the caller back to the AI", access: .may(.steerCalls),
                returns: .ok(Schemas.doneWithCall), handler: handBackCall),
        ]
    }

    private var escalations: [Route] {
        [
            .get(
                "/api/v1/escalations", "List escalations", access: .may(.readCalls), query: Schemas.escalationQuery,
                returns: .ok(.page("escalations", of: Schemas.escalation)), handler: listEscalations),
            .post(
                "/api/v1/escalations/{escalation_id}/accept", "Take the escalated call", access: .may(.steerCalls),
                path: [.path("escalation_id", .integer)], body: Schemas.agentChoice,
                returns: [200: Schemas.escalationAnswer, 409: nil], handler: acceptEscalation),
            .post(
                "/api/v1/escalations/{escalation_id}/complete", "Done with the escalated call",
                access: .may(.steerCalls),
                path: [.path("escalation_id", .integer)], returns: [200: Schemas.escalationAnswer, 409: nil],
                handler: completeEscalation),
            .post(
                "/api/v1/escalations/{escalation_id}/cancel", "Leave the caller to the AI", access: .may(.steerCalls),
                path: [.path("escalation_id", .integer)], returns: [200: Schemas.escalationAnswer, 409: nil],
                handler: cancelEscalation),
        ]
    }

    /// Document 003 §6.
    private var humanAgents: [Route] {
        [
            .get(
                "/api/v1/agents", "List human agents", access: .may(.readAgents),
                query: [.query("is_active", .boolean), .query("is_available", .boolean)],
                returns: .ok(.object(.required("agents", .array(Schemas.humanAgent)))), handler: listHumanAgents),
            .post(
                "/api/v1/agents", "Create a human agent", access: .may(.writeAgents), body: Schemas.humanAgentBody,
                returns: .created(Schemas.humanAgentAnswer), idempotent: true, handler: createHumanAgent),
            .get(
                "/api/v1/agents/{agent_id}", "One human agent", access: .may(.readAgents),
                returns: .ok(.object(.required("agent", Schemas.humanAgent))), handler: getHumanAgent),
            .put(
                "/api/v1/agents/{agent_id}", "Update a human agent", access: .may(.writeAgents),
                body: Schemas.humanAgentBody,
                returns: .ok(Schemas.humanAgentAnswer), handler: updateHumanAgent),
            .delete(
                "/api/v1/agents/{agent_id}", "Delete a human agent", access: .may(.writeAgents),
                returns: .ok(Schemas.done),
                handler: deleteHumanAgent),
            .patch(
                "/api/v1/agents/{agent_id}/availability", "Set availability", access: .may(.setAvailability),
                body: Schemas.availability, returns: .ok(Schemas.humanAgentAnswer), handler: updateAvailability),
        ]
    }

    /// Document 001, agents.
    private var agents: [Route] {
        [
            .get(
                "/api/agents/agents/", "List AI agents", access: .may(.readAgents), query: Schemas.agentQuery,
                returns: .ok(.results(of: Schemas.agent)), handler: listAgents),
            .post(
                "/api/agents/agents/", "Create an AI agent", access: .may(.writeAgents),
                body: Schemas.agentBody(greetingRequired: true), returns: [201: Schemas.agent, 402: nil],
                idempotent: true, handler: createAgent),
            .get(
                "/api/agents/agents/{id}/", "One AI agent", access: .may(.readAgents), returns: .ok(Schemas.agent),
                handler: getAgent),
            .put(
                "/api/agents/agents/{id}/", "Replace an AI agent", access: .may(.writeAgents),
                body: Schemas.agentBody(greetingRequired: true), returns: .ok(Schemas.agent), handler: replaceAgent),
            .patch(
                "/api/agents/agents/{id}/", "Change an AI agent", access: .may(.writeAgents),
                body: Schemas.agentBody(greetingRequired: false), returns: .ok(Schemas.agent), handler: updateAgent),
            .delete("/api/agents/agents/{id}/", "Delete an AI agent", access: .may(.writeAgents), handler: deleteAgent),
            .get(
                "/api/agents/agents/{id}/phone_numbers/", "An AI agent's phone numbers", access: .may(.readAgents),
                query: .classicPage, returns: .ok(.results(of: Schemas.line)), handler: listAgentNumbers),
            .post(
                "/api/agents/agents/{id}/assign_phone_numbers/", "Assign phone numbers", access: .may(.writeAgents),
                body: Schemas.lineIDs, returns: .ok(Schemas.linesMoved), handler: assignPhoneNumbers),
            .post(
                "/api/agents/agents/{id}/remove_phone_numbers/", "Remove phone numbers", access: .may(.writeAgents),
                body: Schemas.lineIDs, returns: .ok(Schemas.linesMoved), handler: removePhoneNumbers),
            .get(
                "/api/agents/agents/{id}/config/", "Everything an AI agent runs on", access: .may(.readAgents),
                returns: .ok(Schemas.agentConfig), handler: getAgentConfig),
        ]
    }

    /// Document 001, phone numbers.
    private var phoneNumbers: [Route] {
        [
            .get(
                "/api/agents/phone-numbers/", "List phone numbers", access: .may(.readAgents), query: Schemas.lineQuery,
                returns: .ok(.results(of: Schemas.line)), handler: listPhoneNumbers),
            .post(
                "/api/agents/phone-numbers/", "Add a phone number", access: .may(.writeAgents),
                body: Schemas.lineBody(numberRequired: true), returns: .created(Schemas.line), idempotent: true,
                handler: createPhoneNumber),
            .get(
                "/api/agents/phone-numbers/{id}/", "One phone number", access: .may(.readAgents),
                returns: .ok(Schemas.line),
                handler: getPhoneNumber),
            .put(
                "/api/agents/phone-numbers/{id}/", "Replace a phone number", access: .may(.writeAgents),
                body: Schemas.lineBody(numberRequired: true), returns: .ok(Schemas.line), handler: replacePhoneNumber),
            .patch(
                "/api/agents/phone-numbers/{id}/", "Change a phone number", access: .may(.writeAgents),
                body: Schemas.lineBody(numberRequired: false), returns: .ok(Schemas.line), handler: updatePhoneNumber),
            .delete(
                "/api/agents/phone-numbers/{id}/", "Delete a phone number", access: .may(.writeAgents),
                handler: deletePhoneNumber),
        ]
    }

    /// What the carrier calls.
    private var carrierRoutes: [Route] {
        [
            .get(
                "/internal/businesses/{business_id}/use", "What needs a business configuration", tag: "telephony",
                access: .internal, query: [.query("workspace_id", .uuid, required: true)],
                returns: .ok(Schemas.businessUse), handler: readBusinessUse),
            .post(
                "/api/calls/twilio-webhook/", "Voice, status and detection webhooks", access: .signed,
                query: Schemas.webhookQuery, body: Schemas.webhook, consumes: .form, returns: [200: .string, 503: nil],
                produces: "text/xml", bodyMax: 65_536, deadline: .seconds(5), handler: receiveCarrierEvent),
            .post(
                "/api/calls/twilio-connect/", "After a relay session: conference, relay again or goodbye",
                access: .signed, query: [.query("call", .uuid)], body: Schemas.connect, consumes: .form,
                returns: .ok(.string), produces: "text/xml", bodyMax: 65_536, deadline: .seconds(5),
                handler: answerConnect),
            .get(
                "/ws/relay/{token}", "The carrier's end of a conversation (ConversationRelay)", access: .signed,
                returns: [101: nil, 403: nil, 426: nil], handler: serveRelay),
        ]
    }
}
