import Messaging
import Postgres
import Shared

/// Handing a call from the AI to a human and back. Every function works on a call whose row the transaction has locked,
/// changes the value it is given, and leaves storing the call to its caller, so that a call is published once.
enum HandOver {
    struct Reason: Sendable {
        var trigger: String
        var details: JSONObject = [:]
        var wish = Wish()
        var note: String?
    }

    enum Opened: Sendable, Equatable {
        /// A human is reserved and being called.
        case reserved(Escalation)
        /// Nobody is free; it waits.
        case waiting(Escalation)
        /// Nobody is free and nothing was created.
        case nobodyFree
        /// Somebody has it already.
        case taken(Escalation)

        var escalation: Escalation? {
            switch self {
            case .reserved(let escalation), .waiting(let escalation), .taken(let escalation): escalation
            case .nobodyFree: nil
            }
        }
    }

    enum Choice: Sendable, Equatable {
        case anyone
        /// This very human; `onDuty` false takes one who is marked as away too.
        case one(HumanAgentID, onDuty: Bool)
    }

    /// Opens an escalation, or finds somebody for the one that waits.
    /// - Parameter waits: with nobody free, leave it pending (triggers) instead of creating nothing (managers).
    static func open(
        _ call: inout Call, for reason: Reason, choosing choice: Choice, waits: Bool, at now: Instant,
        _ tx: borrowing Transaction
    ) async throws -> Opened {
        let existing = try await EscalationStore.open(of: call.id, tx)
        if let existing, existing.agent != nil { return .taken(existing) }
        let wish = Wish(
            skill: reason.wish.skill ?? existing?.wish.skill,
            department: reason.wish.department ?? existing?.wish.department)
        let human = try await reserve(choice, call, wish, existing, tx)
        if human == nil, !waits { return .nobodyFree }
        var escalation: Escalation
        if let existing {
            if human == nil { return .waiting(existing) }
            escalation = existing
            escalation.wish = wish
        } else {
            let lines = try await TranscriptStore.tail(of: call.id, max: 12, tx)
            var context: JSONObject = [
                "from_number": .string(call.from), "to_number": .string(call.to),
                "direction": .string(call.direction.rawValue),
            ]
            if let note = reason.note { context["note"] = .string(note) }
            var details = reason.details
            wish.write(to: &details)
            escalation = try await EscalationStore.insert(
                call: call, trigger: reason.trigger, details: details, wish: wish,
                summary: Summary.text(of: lines, reason: reason), context: context, at: now, tx)
        }
        if existing == nil, human == nil { tx.publish(CallEvent.escalationTriggered(call.ref, escalation.snapshot)) }
        call.escalationStatus = EscalationStatus.pending
        call.updatedAt = now
        guard let human else { return .waiting(escalation) }
        try await assign(human, to: &escalation, of: &call, isNew: existing == nil, at: now, tx)
        return .reserved(escalation)
    }

    private static func reserve(
        _ choice: Choice, _ call: Call, _ wish: Wish, _ known: Escalation?, _ tx: borrowing Transaction
    ) async throws -> EscalationStore.Reserved? {
        switch choice {
        case .anyone:
            try await EscalationStore.reserve(in: call.workspace, for: call.id, wish: wish, known: known, tx)
        case .one(let agent, let onDuty):
            try await EscalationStore.reserve(agent, in: call.workspace, for: call.id, onDuty: onDuty, tx)
        }
    }

    /// Gives the escalation to a reserved human: they are called, and the AI is told to let the caller go.
    private static func assign(
        _ human: EscalationStore.Reserved, to escalation: inout Escalation, of call: inout Call, isNew: Bool,
        at now: Instant, _ tx: borrowing Transaction
    ) async throws {
        escalation.agent = human.id
        escalation.agentName = human.name
        escalation.assignedAt = now
        call.assigned = Call.Person(id: human.id, name: human.name)
        call.escalationStatus = EscalationStatus.pending
        call.handedOff = true
        try await EscalationStore.save(escalation, tx)
        // Without a warm transfer the carrier rings them when the caller is put through.
        if let phone = human.phone, try await isWarm(call, tx) {
            OrderStore.dial(human.id, at: phone, from: call.ownNumber, for: escalation, tx)
        }
        tx.publish(
            isNew
                ? CallEvent.escalationTriggered(call.ref, escalation.snapshot)
                : .escalationUpdated(call.ref, escalation.snapshot))
        tx.publish(CommandEvent(callID: call.id, action: .transfer, agentID: human.id))
    }

    /// Whether the human is called and told what it is about before the caller comes.
    static func isWarm(_ call: Call, _ tx: borrowing Transaction) async throws -> Bool {
        try await PlaceCallStore.escalationConfig(of: call, tx)?["warm_transfer"]?.bool ?? true
    }

    /// The human has the caller.
    static func accept(
        _ escalation: inout Escalation, of call: inout Call, at now: Instant, _ tx: borrowing Transaction
    ) async throws -> [CallChange] {
        escalation.status = .inProgress
        escalation.acceptedAt = now
        call.escalationStatus = escalation.status
        call.updatedAt = now
        try await EscalationStore.save(escalation, tx)
        tx.publish(CallEvent.escalationUpdated(call.ref, escalation.snapshot))
        return call.escalate(at: now)
    }

    /// The human is done, or never was: frees them and closes the escalation.
    static func close(
        _ escalation: inout Escalation, of call: inout Call, as status: Escalation.Status, at now: Instant,
        _ tx: borrowing Transaction
    ) async throws {
        escalation.status = status
        escalation.completedAt = now
        call.escalationStatus = status == .completed ? status : nil
        if status == .cancelled { call.assigned = nil }
        call.updatedAt = now
        try await EscalationStore.save(escalation, tx)
        try await EscalationStore.release(call.id, handled: status == .completed, at: now, tx)
        OrderStore.dismissAgents(of: escalation, tx)
        tx.publish(
            status == .completed
                ? CallEvent.escalationCompleted(call.ref, escalation.snapshot)
                : .escalationUpdated(call.ref, escalation.snapshot))
    }

    /// Closes whatever a call that has just ended leaves behind, and serves who has been waiting for its human.
    /// - Parameter before: the status it had when it ended.
    static func settle(_ call: inout Call, before: Call.Status, at now: Instant, _ tx: borrowing Transaction)
        async throws
    {
        OrderStore.withdraw(call.id, tx)
        if let agent = call.agent, call.status == .completed { CallStore.countHeld(by: agent, tx) }
        guard var escalation = try await EscalationStore.open(of: call.id, tx) else { return }
        let reached = escalation.status == .inProgress || before == .escalated
        try await close(&escalation, of: &call, as: reached ? .completed : .cancelled, at: now, tx)
        if reached, call.outcome == nil { call.outcome = .escalated }
    }

    /// Sends whoever has become free in a workspace to the calls that wait there, in their order.
    ///
    /// Our transaction holds a call's or a human's row already, so it waits for no other call's: one that somebody else
    /// has locked is left to `WaitingCalls`, and nobody further back gets its human meanwhile.
    static func serveWaiting(in workspace: WorkspaceID, at now: Instant, _ tx: borrowing Transaction) async throws {
        for id in try await EscalationStore.waiting(in: workspace, tx) {
            guard let call = try await CallStore.lockOrSkip(id, tx) else { continue }
            try await serve(call, at: now, tx)
        }
    }

    /// Sends somebody to a call that waits, if it still does and somebody can be had. True when it was served.
    @discardableResult
    static func serve(_ known: Call, at now: Instant, _ tx: borrowing Transaction) async throws -> Bool {
        var call = known
        guard !call.status.isTerminal, var escalation = try await EscalationStore.open(of: call.id, tx),
            escalation.agent == nil
        else { return false }
        guard
            let human = try await EscalationStore.reserve(
                in: call.workspace, for: call.id, wish: escalation.wish, known: escalation, tx)
        else { return false }
        try await assign(human, to: &escalation, of: &call, isNew: false, at: now, tx)
        call.updatedAt = now
        CallStore.save(&call, after: [], tx)
        return true
    }

    /// The human did not come: the next one is tried; with nobody left the AI takes the caller back.
    /// - Parameter asks: the carrier is just asking what to do with the caller, and need not be told besides.
    static func next(
        _ escalation: inout Escalation, of call: inout Call, asks: Bool = false, at now: Instant,
        _ tx: borrowing Transaction
    ) async throws -> [CallChange] {
        if let missed = escalation.agent, !escalation.tried.contains(missed) { escalation.tried.append(missed) }
        escalation.status = .pending
        escalation.acceptedAt = nil
        escalation.missedAt = now
        call.escalationStatus = .pending
        try await EscalationStore.release(call.id, handled: false, at: now, tx)
        let human = try await EscalationStore.reserve(
            in: call.workspace, for: call.id, wish: escalation.wish, known: escalation, tx)
        call.updatedAt = now
        if let human {
            try await assign(human, to: &escalation, of: &call, isNew: false, at: now, tx)
            return [.moved(from: call.status)]
        }
        escalation.agent = nil
        escalation.agentName = nil
        call.assigned = nil
        try await EscalationStore.save(escalation, tx)
        tx.publish(CallEvent.escalationUpdated(call.ref, escalation.snapshot))
        return asks ? call.handBack(at: now) : giveBack(&call, at: now, tx)
    }

    /// Brings the caller back to the AI, wherever they are waiting.
    static func giveBack(_ call: inout Call, at now: Instant, _ tx: borrowing Transaction) -> [CallChange] {
        let changes = call.handBack(at: now)
        if !changes.isEmpty, let sid = call.sid { OrderStore.redirect(sid, call: call.id, tx) }
        return changes
    }
}

extension Call {
    /// The number of ours in this call: what the customer dialled, or what they were called from.
    var ownNumber: String { direction == .inbound ? to : from }
    /// The customer's number.
    var customerNumber: String { direction == .inbound ? from : to }
}

/// What a human is told before they join: short, because it is spoken while the caller waits.
enum Summary {
    static func text(of lines: [Question.Line], reason: HandOver.Reason) -> String {
        var parts = ["Escalation: \(reason.trigger.split(separator: "_").joined(separator: " "))."]
        if let note = reason.note { parts.append("Note: \(clipped(note, 200)).") }
        let asked = lines.filter { $0.speaker == .customer }.map(\.text)
        if let first = asked.first { parts.append("The customer said: \(clipped(first, 160))") }
        if asked.count > 1, let last = asked.last { parts.append("Last: \(clipped(last, 200))") }
        if let answer = lines.last(where: { $0.speaker == .ai })?.text {
            parts.append("The assistant answered: \(clipped(answer, 160))")
        }
        return parts.joined(separator: " ")
    }

    private static func clipped(_ text: String, _ max: Int) -> String {
        text.count <= max ? text : text.prefix(max) + "…"
    }
}
