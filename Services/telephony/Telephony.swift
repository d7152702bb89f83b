import HTTP
import Messaging
import Postgres
import Runtime
import Shared

/// What every use case of this program works with. Each is an extension of this in a file of its own.
struct Telephony: Sendable {
    let database: Database
    let carrier: Carrier
    let links: Links
    let relayToken: RelayToken
    let assistant: Assistant
    let knowledge: KnowledgeSearch
    let live: LiveCalls
    let rules: DialRules
    let policy: Policy
    let log: Log
    /// Makes the carrier's orders be carried out now; they are looked at every second anyway.
    let ordersWaiting: Wakeup
    /// Makes the calls that wait for a human be looked through now; they are every second anyway.
    let callsWaiting = Wakeup()

    /// What an operator decides.
    struct Policy: Sendable {
        /// The number calls are placed from when the workspace has none of its own (`TWILIO_PHONE_NUMBER`).
        var ownNumber: PhoneNumber?
        /// Signs the carrier's webhooks (`TWILIO_AUTH_TOKEN`). Without one nothing of theirs is believed.
        var authToken: String?
        /// Refuse relay sockets whose handshake carries no signature. A wrong one is always refused.
        var requiresRelaySignature = false
        /// How fast speech is spoken: how long the last words need before the socket may close.
        var charactersPerSecond = 15.0
        /// The least time for the last words, and for a caller to go on talking after a goodbye.
        var lingerLeast = Duration.milliseconds(1500)
        /// Live calls of one workspace at once.
        var concurrentMax = 200
        /// AI agents of a workspace whose plan has not been heard of yet (nil: any number): everyone starts on the free one.
        var agentsFree: Int64?
        /// Ask the carrier about a live call nothing was heard of for so long.
        var reconcileAfter = Duration.seconds(60)
        /// Ask the carrier's answering machine detection about outbound calls.
        var detectsMachines = true
        /// How long a human is called, from the moment the carrier was asked, before the next one is: the carrier rings
        /// for 25 s, and its word about it may be lost.
        var humanWithin = Duration.seconds(45)
        /// How long a manager's order waits for the conversation to take it: a line that broke is back by then.
        var interventionWithin = Duration.seconds(3)
        /// How long the knowledge base may take in a turn.
        var knowledgeWithin = Duration.milliseconds(150)
    }
}

/// The addresses the carrier reaches us at, all under `PUBLIC_URL`.
struct Links: Sendable {
    /// Without a slash at the end.
    let root: String
    private let socketRoot: String

    init(publicURL: String) {
        var root = publicURL
        while root.hasSuffix("/") { root.removeLast() }
        self.root = root
        socketRoot =
            root.hasPrefix("https:")
            ? "wss:" + root.dropFirst(6) : root.hasPrefix("http:") ? "ws:" + root.dropFirst(5) : root
    }

    func voice(_ call: CallID) -> String { hook("voice", call) }
    func status(_ call: CallID) -> String { hook("status", call) }
    func answeredBy(_ call: CallID) -> String { hook("amd", call) }
    func agentVoice(_ escalation: Int64) -> String { "\(root)\(Self.webhook)?kind=agent&escalation=\(escalation)" }
    func agentStatus(_ escalation: Int64) -> String {
        "\(root)\(Self.webhook)?kind=agent_status&escalation=\(escalation)"
    }
    func connect(_ call: CallID) -> String { "\(root)/api/calls/twilio-connect/?call=\(call.text)" }
    func socket(_ token: String) -> String { "\(socketRoot)/ws/relay/\(token)" }

    private static let webhook = "/api/calls/twilio-webhook/"
    private func hook(_ kind: String, _ call: CallID) -> String {
        "\(root)\(Self.webhook)?kind=\(kind)&call=\(call.text)"
    }

    /// The address of a request as the carrier called and signed it.
    func signed(_ target: String) -> String { root + target }
    func signedSocket(_ target: String) -> String { socketRoot + target }
}

extension Telephony {
    /// The call a route names, if the asker may see it; a malformed id is the same 404.
    func visibleCall(_ request: Request) async throws -> Call {
        let principal = try request.requirePrincipal()
        guard let id = CallID(request.parameter("call_id")), let call = try await CallStore.find(id, in: database),
            principal.tenancy.contains(call.workspace)
        else { throw Problem.notFound(.callNotFound) }
        return call
    }

    /// The same, for those who may do `action` to it.
    func call(_ request: Request, for action: Action) async throws -> Call {
        let call = try await visibleCall(request)
        try request.requirePrincipal().require(action, in: call.workspace)
        return call
    }

    /// Changes a call under its lock and publishes what came of it.
    ///
    /// - Parameter change: says what changed; nothing is stored or published when it returns nil. A call that ended in
    ///   it is settled: its escalation closed, its human freed, its pending dials withdrawn.
    func change(
        _ id: CallID, _ change: (inout Call, borrowing Transaction) async throws -> [CallChange]?
    ) async throws -> Call? {
        try await database.transaction { (tx: borrowing Transaction) -> Call? in
            guard var call = try await CallStore.lock(id, tx) else { return nil }
            let before = call.status
            guard let changes = try await change(&call, tx) else { return call }
            try await finish(&call, changes, before: before, tx)
            return call
        }
    }

    func finish(
        _ call: inout Call, _ changes: [CallChange], before: Call.Status, _ tx: borrowing Transaction
    ) async throws {
        let ended = changes.contains(.ended)
        if ended { try await HandOver.settle(&call, before: before, at: call.updatedAt, tx) }
        CallStore.save(&call, after: changes, tx)
        if ended {
            tx.publish(CommandEvent(callID: call.id, action: .end, reason: "ended"))
            try await HandOver.serveWaiting(in: call.workspace, at: call.updatedAt, tx)
        }
        noticeFree(tx)
    }

    /// After the commit: orders to the carrier are carried out, and whoever could not be served within the transaction.
    func noticeFree(_ tx: borrowing Transaction) {
        let (orders, queue) = (ordersWaiting, callsWaiting)
        tx.onCommit {
            orders.fire()
            queue.fire()
        }
    }
}
