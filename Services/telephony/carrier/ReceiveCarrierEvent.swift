import HTTP
import Messaging
import Postgres
import Runtime
import Shared

extension Telephony {
    /// The carrier hangs up on us after 15 s, and a caller hears silence until then: whatever happens inside, an answer
    /// is out by now.
    static let webhookWithin = Duration.milliseconds(1600)

    /// `POST /api/calls/twilio-webhook/` — voice, status and detection webhooks; `kind` in the query says which.
    func receiveCarrierEvent(_ request: Request) async throws -> Response {
        let form = try await request.urlEncoded()
        try verify(request, form)
        let webhook = CarrierWebhook(query: request.query, form: form, now: .now())
        let token = request.headers["I-Twilio-Idempotency-Token"]
        do {
            return try await withDeadline(Self.webhookWithin) { try await self.take(webhook, token: token) }
        } catch {
            log.error("webhook.failed", ("kind", "\(webhook.name)"), ("error", "\(error)"))
            switch webhook {
            case .voice, .agentVoice:
                return .twiml(pleaseWait(request.target))
            case .status, .answeredBy, .agentStatus, .unknown:
                // Not stored, so not acknowledged. If it does not come again, asking the carrier finds out.
                var response = Response.twiml(.nothing, status: 503)
                response.headers.set("Retry-After", "5")
                return response
            }
        }
    }

    /// How often a caller is asked to wait before we give up: some ten seconds, as long as a restart takes.
    static let waitsMax = 3

    /// What a caller hears when we had no answer in time: a slow moment must not cost the call, so the carrier asks again.
    /// - Parameter target: what was asked, with the number of the attempt in its query.
    func pleaseWait(_ target: String) -> TwiML {
        let parts = target.split(separator: "?", maxSplits: 1).map(String.init)
        let query = parts.count > 1 ? parts[1].split(separator: "&").map(String.init) : []
        let waits = query.last { $0.hasPrefix("again=") }.flatMap { Int($0.dropFirst(6)) } ?? 0
        guard let path = parts.first, waits < Self.waitsMax else { return .apology }
        let next = query.filter { !$0.hasPrefix("again=") } + ["again=\(waits + 1)"]
        return .wait(then: links.signed(path + "?" + next.joined(separator: "&")))
    }

    /// Refuses what the carrier did not sign with our token, for an address of ours.
    func verify(_ request: Request, _ form: [(String, String)]) throws(Problem) {
        guard let token = policy.authToken else {
            throw .forbidden("Webhooks are refused until TWILIO_AUTH_TOKEN is set.")
        }
        guard let signature = request.headers["X-Twilio-Signature"],
            WebhookSignature.twilioMatches(signature, urls: [links.signed(request.target)], form: form, token: token)
        else { throw .forbidden("The request is not signed by the carrier.") }
    }

    private func take(_ webhook: CarrierWebhook, token: String?) async throws -> Response {
        switch webhook {
        case .voice(let voice):
            return .twiml(try await answer(voice))
        case .status(let report, let call):
            try await takeDown(report, of: call, keys: webhook.keys(token: token))
        case .answeredBy(let who, let sid, let call):
            try await takeDown(who, sid, of: call, keys: webhook.keys(token: token))
        case .agentVoice(let escalation, let sid):
            return .twiml(try await answerAgent(escalation, sid: sid))
        case .agentStatus(let escalation, let report):
            try await takeDownAgent(report, escalation, keys: webhook.keys(token: token))
        case .unknown(let why):
            log.warn("webhook.unknown", ("reason", "\(why)"))
        }
        return .twiml(.nothing)
    }
}

// MARK: - The customer's leg

extension Telephony {
    /// What the caller hears first: the relay, the conference they are wanted in, or that nobody is there.
    private func answer(_ voice: CarrierWebhook.Voice) async throws -> TwiML {
        let now = Instant.now()
        let found = try await database.transaction { (tx: borrowing Transaction) -> Answer in
            let known: Call? =
                if let id = voice.call { try await CallStore.lock(id, tx) } else {
                    try await CallStore.lock(sid: voice.sid, tx)
                }
            guard var call = known else {
                return voice.call == nil ? try await admit(voice, at: now, tx) : .say(.hangup)
            }
            // Another leg for a call that has one: a dial that was placed twice after all. One is enough.
            if let sid = call.sid, sid != voice.sid { return .say(.hangup) }
            if call.status.isTerminal { return .say(.hangup) }
            let before = call.status
            let isNew = call.sid == nil
            call.sid = voice.sid
            let changes = call.apply(CarrierReport(sid: voice.sid, state: .inProgress, at: now))
            if !changes.isEmpty || isNew { try await finish(&call, changes, before: before, tx) }
            return .call(call)
        }
        switch found {
        case .say(let words): return words
        case .call(let call): return try await instructions(for: call)
        }
    }

    private enum Answer: Sendable {
        case say(TwiML)
        case call(Call)
    }

    /// An inbound call: the dialled number says whose it is.
    private func admit(
        _ voice: CarrierWebhook.Voice, at now: Instant, _ tx: borrowing Transaction
    ) async throws -> Answer {
        guard let to = PhoneNumber(voice.to), let line = try await LineStore.find(to, tx) else {
            return .say(.sentence("The number you have called is not in service."))
        }
        if let rejection = try await rejection(of: PhoneNumber(voice.from), in: line.workspace, tx) {
            return .say(rejection)
        }
        if line.isPaused {
            return .say(.sentence("We are closed at the moment. Please call again later.", language: line.language))
        }
        let call = Call(
            id: CallID(), workspace: line.workspace, sid: voice.sid, direction: .inbound, status: .ringing,
            // A withheld number is no number; the carrier says so in words.
            from: PhoneNumber(voice.from)?.text ?? "anonymous", to: to.text, business: line.business,
            agent: line.agent, startedAt: now, createdAt: now, updatedAt: now, metadata: [:])
        try await CallStore.insert(call, tx)
        tx.publish(CallEvent.started(call.snapshot))
        return .call(call)
    }

    /// TwiML for a live call.
    func instructions(for call: Call) async throws -> TwiML {
        if call.handedOff { return try await bridge(call) }
        let voice = try await ReactionStore.voice(of: call, in: database)
        return .relay(
            socket: links.socket(relayToken.token(for: call.id)), action: links.connect(call.id), voice: voice,
            call: call.id)
    }

    /// The caller goes to the human: into the conference, or straight through where the configuration wants that.
    func bridge(_ call: Call) async throws -> TwiML {
        let (profile, _) = try await ConversationStore.profile(of: call, in: database)
        if !profile.warmTransfer, let agent = call.assigned?.id,
            let human = try await HumanAgentStore.find(agent, tenancy: .only([call.workspace]), in: database),
            let phone = human.phone
        {
            return .forward(to: phone.text, callerID: call.ownNumber, action: links.connect(call.id))
        }
        return .holdInConference(call.id.text, language: profile.language)
    }

    private func takeDown(_ report: CarrierReport, of id: CallID?, keys: [String]) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            guard try await OrderStore.claimCallback(keys, tx) else { return }
            let known: Call? =
                if let id { try await CallStore.lock(id, tx) } else { try await CallStore.lock(sid: report.sid, tx) }
            guard var call = known, call.sid == nil || call.sid == report.sid else { return }
            let before = call.status
            let wasNamed = call.sid != nil
            let changes = call.apply(report)
            if !changes.isEmpty || (!wasNamed && call.sid != nil) {
                try await finish(&call, changes, before: before, tx)
            }
        }
    }

    /// A machine picked up: nobody is there to talk to.
    private func takeDown(_ who: AnsweredBy, _ sid: String, of id: CallID?, keys: [String]) async throws {
        let now = Instant.now()
        try await database.transaction { (tx: borrowing Transaction) in
            guard try await OrderStore.claimCallback(keys, tx) else { return }
            let known: Call? =
                if let id { try await CallStore.lock(id, tx) } else { try await CallStore.lock(sid: sid, tx) }
            guard var call = known else { return }
            let before = call.status
            let changes = call.apply(who, at: now)
            guard !changes.isEmpty else { return }
            OrderStore.hangUp(sid, call: call.id, tx)
            try await finish(&call, changes, before: before, tx)
        }
    }
}

// MARK: - The human's leg

extension Telephony {
    /// The human picked up: they have the call from now on.
    private func answerAgent(_ id: Int64, sid: String) async throws -> TwiML {
        let now = Instant.now()
        guard let known = try await EscalationStore.find(id, in: database) else { return .hangup }
        var spoken: TwiML = .sentence("The caller has hung up. Thank you.")
        _ = try await change(known.call) { call, tx in
            guard !call.status.isTerminal, var escalation = try await EscalationStore.find(id, tx),
                escalation.status.isOpen
            else { return nil }
            guard try await OrderStore.isCurrentLeg(sid, of: escalation, tx) else {
                spoken = .sentence("A colleague has taken this call. Thank you.")
                return nil
            }
            OrderStore.adopt(agentLeg: sid, escalation: id, tx)
            let summary = escalation.summary ?? "A caller is waiting."
            spoken = .briefAndJoin(call.id.text, summary: summary, language: nil)
            guard escalation.status == .pending else { return nil }
            return try await HandOver.accept(&escalation, of: &call, at: now, tx)
        }
        return spoken
    }

    /// The human's leg ended: before they had the call, the next one is tried; after, the escalation is done.
    private func takeDownAgent(_ report: CarrierReport, _ id: Int64, keys: [String]) async throws {
        let isOver: Bool =
            switch report.state {
            case .completed, .busy, .noAnswer, .canceled, .failed: true
            case .queued, .initiated, .ringing, .inProgress: false
            }
        guard isOver, let known = try await EscalationStore.find(id, in: database) else { return }
        let now = Instant.now()
        _ = try await change(known.call) { call, tx in
            guard try await OrderStore.claimCallback(keys, tx) else { return nil }
            guard !call.status.isTerminal, var escalation = try await EscalationStore.find(id, tx),
                try await OrderStore.isCurrentLeg(report.sid, of: escalation, tx)
            else { return nil }
            switch escalation.status {
            case .pending:
                return try await HandOver.next(&escalation, of: &call, at: now, tx)
            case .inProgress where report.state != .completed:
                // They said the call is theirs and did not pick up: the caller is alone in the conference.
                return try await HandOver.next(&escalation, of: &call, at: now, tx)
            case .inProgress:
                try await HandOver.close(&escalation, of: &call, as: .completed, at: now, tx)
                try await HandOver.serveWaiting(in: call.workspace, at: now, tx)
                return [.moved(from: call.status)]
            case .completed, .cancelled:
                return nil
            }
        }
    }
}

extension CarrierWebhook {
    /// For logs.
    fileprivate var name: String {
        switch self {
        case .voice: "voice"
        case .status: "status"
        case .answeredBy: "amd"
        case .agentVoice: "agent"
        case .agentStatus: "agent_status"
        case .unknown: "unknown"
        }
    }
}

extension Response {
    static func twiml(_ document: TwiML, status: Int = 200) -> Response {
        .bytes(status, type: "text/xml; charset=utf-8", Array(document.document.utf8))
    }
}
