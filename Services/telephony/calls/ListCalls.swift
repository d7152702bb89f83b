import HTTP
import Shared

extension Telephony {
    /// `GET /api/v1/calls`
    func listCalls(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        var form = request.queryForm
        let page = Page(manager: &form)
        let filter = CallFilter(&form, tenancy: principal.tenancy)
        try form.finishRefusingUnknown()
        let listed = try await ReadCalls.page(filter, page, in: database)
        return Response.json { json in
            json.object { json in
                json.fieldArray("calls") { json in
                    for call in listed.calls { call.snapshot.writeCall(to: &json) }
                }
                page.writePagination(
                    to: &json, total: listed.total, next: listed.next, hasNext: listed.next != nil)
            }
        }
    }

    /// `GET /api/v1/calls/{call_id}`
    func getCall(_ request: Request) async throws -> Response {
        let call = try await visibleCall(request)
        let interactions = try await ReadCalls.countInteractions(of: call.id, in: database)
        let escalation = try await EscalationStore.latest(of: call.id, in: database)
        var human: HumanAgent?
        if let assigned = call.assigned?.id ?? escalation?.agent {
            human = try await HumanAgentStore.find(assigned, tenancy: .only([call.workspace]), in: database)
        }
        return Response.json { json in
            json.object { json in
                json.field("call") { call.snapshot.writeCall(to: &$0) }
                json.field("interactions_count", interactions)
                json.field("qa_scores", ifPresent: call.qaScores)
                json.field("escalation", ifPresent: escalation?.snapshot)
                if let human { json.field("agent") { human.snapshot.writeAgent(to: &$0) } }
            }
        }
    }

    /// `GET /api/v1/calls/{call_id}/interactions`
    func listInteractions(_ request: Request) async throws -> Response {
        let call = try await visibleCall(request)
        var form = request.queryForm
        let limit = form.optionalInt("limit", in: 1...5000, default: 1000)
        let offset = form.optionalInt("offset", in: 0...1_000_000, default: 0)
        let speaker = form.optionalChoice("speaker", as: Speaker.self)
        try form.finishRefusingUnknown()
        let (lines, total) = try await ReadCalls.transcript(
            of: call.id, speaker: speaker, limit: limit, offset: offset, in: database)
        return Response.json { json in
            json.object { json in
                json.fieldArray("interactions") { json in
                    for line in lines { line.interaction.writeInteraction(to: &json, sentiment: line.sentiment) }
                }
                json.field("total", total)
            }
        }
    }

    /// `GET /api/v1/calls/{call_id}/notes`
    func listNotes(_ request: Request) async throws -> Response {
        let call = try await visibleCall(request)
        var form = request.queryForm
        let page = Page(manager: &form)
        try form.finishRefusingUnknown()
        let (notes, total, next) = try await ReadCalls.notes(of: call.id, page, in: database)
        return Response.json { json in
            json.object { json in
                json.field("notes", notes)
                page.writePagination(to: &json, total: total, next: next, hasNext: next != nil)
            }
        }
    }
}

extension JSONWriter {
    /// A member whose value a closure writes.
    mutating func field(_ name: StaticString, _ write: (inout JSONWriter) -> Void) {
        var value = JSONWriter(capacity: 512)
        write(&value)
        field(name, raw: value.bytes)
    }
}
