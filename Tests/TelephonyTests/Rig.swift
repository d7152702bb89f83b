import Glibc
import HTTP
import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

/// Telephony with a database of its own, a carrier that only writes down what it is asked, and three people: Ann owns
/// one workspace, Bob another, Eve manages everything.
struct Rig: Sendable {
    let telephony: Telephony
    let database: Database
    let router: Router
    let carrier: FakeCarrier
    let ann: Person
    let bob: Person
    let eve: Person
    let viewer: Person
    private let people: [String: Principal]

    struct Person: Sendable {
        let principal: Principal
        let client: TestClient
        var workspace: WorkspaceID { principal.defaultWorkspace ?? WorkspaceID() }
    }

    static let authToken = "12345"
    static let publicURL = "https://calls.example.com"

    /// - Parameter policy: changes to what an operator decides.
    static func with(
        assistant: Assistant = OfflineResponder.assistant, knowledge: KnowledgeSearch = .none,
        policy change: @escaping @Sendable (inout Telephony.Policy) -> Void = { _ in },
        _ body: @escaping @Sendable (Rig) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh(migrations: ["telephony"], extra: MessagingSchema.migrations) { database in
            try await body(Rig(database, assistant, knowledge, change))
        }
    }

    private init(
        _ database: Database, _ assistant: Assistant, _ knowledge: KnowledgeSearch,
        _ change: (inout Telephony.Policy) -> Void
    ) {
        let carrier = FakeCarrier()
        var policy = Telephony.Policy()
        policy.ownNumber = PhoneNumber("+14155550000")
        policy.authToken = Self.authToken
        policy.lingerLeast = .milliseconds(30)
        policy.charactersPerSecond = 0
        policy.interventionWithin = .seconds(5)
        change(&policy)
        let log = Log(program: "telephony-tests", least: .error)
        telephony = Telephony(
            database: database, carrier: carrier.carrier, links: Links(publicURL: Self.publicURL),
            relayToken: RelayToken(secret: "a secret of at least thirty-two bytes"), assistant: assistant,
            knowledge: knowledge, live: LiveCalls(), rules: DialRules(), policy: policy, log: log,
            ordersWaiting: Wakeup())
        self.database = database
        self.carrier = carrier
        let (annSpace, bobSpace) = (WorkspaceID(), WorkspaceID())
        func principal(_ role: Role, _ workspaces: [WorkspaceID: WorkspaceRole]) -> Principal {
            Principal(user: UserID(), role: role, workspaces: workspaces, expires: .now() + .seconds(3600))
        }
        let people: [String: Principal] = [
            "ann": principal(.user, [annSpace: .owner]), "bob": principal(.user, [bobSpace: .owner]),
            "eve": principal(.admin, [:]), "viewer": principal(.user, [annSpace: .viewer]),
        ]
        self.people = people
        let made = Self.router(of: telephony, people)
        router = made
        func person(_ name: String) -> Person {
            Person(principal: people[name]!, client: TestClient(made, token: name))
        }
        ann = person("ann")
        bob = person("bob")
        eve = person("eve")
        viewer = person("viewer")
    }

    /// What another replica answers with.
    func router(of replica: Telephony) -> Router { Self.router(of: replica, people) }

    private static func router(of telephony: Telephony, _ people: [String: Principal]) -> Router {
        Router(
            telephony.routes, program: "telephony",
            authenticate: { request in
                guard let name = request.bearerToken, let person = people[name] else { throw Problem.unauthorized() }
                return person
            }, idempotency: .postgres(telephony.database), log: telephony.log)
    }

    // MARK: Making things

    /// A call of Ann's that is in the state asked for.
    func call(
        _ status: CallStatus = .inProgress, direction: CallDirection = .inbound, of person: Person? = nil,
        from: String = "+14155550100", to: String = "+14155550199", business: BusinessID? = nil,
        sid: String? = "CA" + ID<Kind.Call>().text, startedAt: Instant = .now(), agent: AgentID? = nil
    ) async throws -> Call {
        var call = Call(
            id: CallID(), workspace: (person ?? ann).workspace, sid: sid, direction: direction, status: .initiated,
            from: from, to: to, business: business, agent: agent, startedAt: startedAt, createdAt: startedAt,
            updatedAt: startedAt, metadata: [:])
        let made = call
        try await database.transaction { (tx: borrowing Transaction) in try await CallStore.insert(made, tx) }
        guard status != .initiated else { return made }
        let state: CarrierState =
            switch status {
            case .initiated, .ringing: .ringing
            case .inProgress, .escalated: .inProgress
            case .completed: .completed
            case .failed: .busy
            }
        let changed = try await telephony.change(call.id) { row, _ in
            var changes = row.apply(
                CarrierReport(sid: row.sid ?? "CA", state: state, at: startedAt + .seconds(1), durationSeconds: 42))
            if status == .escalated { changes += row.escalate(at: startedAt) }
            return changes
        }
        call = try #require(changed)
        return call
    }

    func human(
        _ name: String = "Hugo", phone: String? = "+14155550177", skills: [String] = [],
        departments: [String] = [], available: Bool = true, of person: Person? = nil
    ) async throws -> HumanAgentID {
        let owner = person ?? ann
        var body: JSONObject = [
            "name": .string(name), "email": .string("\(name.lowercased())@example.com"),
            "skills": .array(skills.map { .string($0) }), "is_available": .bool(available),
            "departments": .array(departments.map { .string($0) }),
        ]
        if let phone { body["phone_number"] = .string(phone) }
        let made = await owner.client.post("/api/v1/agents", json: .object(body))
        try #require(made.status == 201, "\(made.text)")
        return try #require(made.json()["agent"]?["id"]?.string.flatMap { HumanAgentID($0) })
    }

    /// Opens an escalation as a trigger does, and lets something happen before it is committed.
    func open(
        _ call: Call, wish: Wish = Wish(), meanwhile: @escaping () async throws -> Void = {}
    ) async throws -> HandOver.Opened {
        var opened = HandOver.Opened.nobodyFree
        _ = try await telephony.change(call.id) { row, tx in
            opened = try await HandOver.open(
                &row, for: .init(trigger: "keyword", wish: wish), choosing: .anyone, waits: true, at: .now(), tx)
            try await meanwhile()
            return []
        }
        return opened
    }

    func agent(_ more: JSONObject = [:], of person: Person? = nil) async throws -> AgentID {
        var body: JSONObject = ["greeting": "Hello, this is Ada."]
        for (name, value) in more.pairs { body[name] = value }
        let made = await (person ?? ann).client.post("/api/agents/agents/", json: .object(body))
        try #require(made.status == 201, "\(made.text)")
        return try #require(made.json()["id"]?.string.flatMap { AgentID($0) })
    }

    func line(_ number: String, agent: AgentID?, of person: Person? = nil) async throws -> PhoneNumberID {
        var body: JSONObject = ["phone_number": .string(number)]
        if let agent { body["agent"] = .string(agent.text) }
        let made = await (person ?? ann).client.post("/api/agents/phone-numbers/", json: .object(body))
        try #require(made.status == 201, "\(made.text)")
        return try #require(made.json()["id"]?.string.flatMap { PhoneNumberID($0) })
    }

    /// A business configuration as knowledge would tell of it.
    func business(_ data: JSONObject, of person: Person? = nil) async throws -> BusinessID {
        let id = BusinessID()
        let config = ConfigSnapshot(
            id: id, workspaceID: (person ?? ann).workspace, name: "Acme", type: "support", configData: data,
            isActive: true, createdAt: .now(), updatedAt: .now())
        try await database.transaction { (tx: borrowing Transaction) in
            try await telephony.onConfig(.changed(config), tx)
        }
        return id
    }

    // MARK: The carrier's side

    /// A webhook with the carrier's signature.
    func webhook(
        _ form: [(String, String)], path: String = "/api/calls/twilio-webhook/", headers: Headers = Headers(),
        token: String = Rig.authToken
    ) async -> ClientResponse {
        var headers = headers
        headers.set("X-Twilio-Signature", WebhookSignature.twilio(url: Rig.publicURL + path, form: form, token: token))
        return await TestClient(router).post(path, form: form, headers: headers)
    }

    // MARK: Looking

    func stored(_ id: CallID) async throws -> Call { try #require(try await CallStore.find(id, in: database)) }

    /// The events published so far, in order.
    func events() async throws -> [(type: String, json: JSON)] {
        let rows = try await database.query("SELECT type, payload::text AS payload FROM outbox ORDER BY seq")
        return try rows.map { row in
            let (type, payload): (String, String) = (try row["type"], try row["payload"])
            return (type, try JSON.parse(payload))
        }
    }

    /// The orders to live conversations published so far, in order.
    func commands() async throws -> [CommandEvent] {
        try await events().filter { CommandEvent.types.contains($0.type) }.map {
            try CommandEvent(type: $0.type, json: $0.json)
        }
    }

    /// Does the broker's part: the first so many commands reach every replica.
    func broadcast(_ count: Int, to replicas: [LiveCalls]) async throws {
        var passed = 0
        try await eventually("\(count) commands") {
            for command in try await commands().dropFirst(passed) {
                for replica in replicas { replica.take(command) }
                passed += 1
            }
            return passed >= count
        }
    }

    func eventTypes() async throws -> [String] {
        try await events().map { $0.type.split(separator: ".").dropFirst(2).dropLast().joined(separator: ".") }
    }

    func orders() async throws -> [String] {
        try await database.query("SELECT kind || ' ' || state AS text FROM carrier_orders ORDER BY id").map {
            try $0["text"]
        }
    }
}

/// A carrier that does as it is told and writes it down.
///
/// `@unchecked Sendable`: guarded by the lock.
final class FakeCarrier: @unchecked Sendable {
    private let lock = Lock()
    private var dialled: [Carrier.Dial] = []
    private var ended: [String] = []
    private var redirected: [(String, String)] = []
    private var nextFailures: [Carrier.Failure] = []
    private var known: [Carrier.Placed] = []

    var dials: [Carrier.Dial] { lock.withLock { dialled } }
    var hangUps: [String] { lock.withLock { ended } }
    var redirects: [(sid: String, url: String)] { lock.withLock { redirected.map { ($0.0, $0.1) } } }

    /// The next dial fails so; with `.unknown` the call is placed all the same when `placing` names it.
    func failNext(_ failure: Carrier.Failure, placing sid: String? = nil) {
        lock.withLock {
            nextFailures.append(failure)
            if let sid {
                known.append(
                    Carrier.Placed(report: CarrierReport(sid: sid, state: .ringing, at: .now()), createdAt: .now()))
            }
        }
    }

    func report(_ report: CarrierReport) {
        lock.withLock { known.append(Carrier.Placed(report: report, createdAt: .now())) }
    }

    var carrier: Carrier {
        Carrier(
            dial: { order async throws(Carrier.Failure) in
                let failure: Carrier.Failure? = self.lock.withLock {
                    self.dialled.append(order)
                    return self.nextFailures.isEmpty ? nil : self.nextFailures.removeFirst()
                }
                if let failure { throw failure }
                return "CA" + ID<Kind.Call>().text
            },
            hangUp: { sid async throws(Carrier.Failure) in self.lock.withLock { self.ended.append(sid) } },
            redirect: { sid, url async throws(Carrier.Failure) in
                self.lock.withLock { self.redirected.append((sid, url)) }
            },
            look: { sid async throws(Carrier.Failure) in
                self.lock.withLock { self.known.last { $0.report.sid == sid }?.report }
            },
            find: { _, _, since async throws(Carrier.Failure) in
                self.lock.withLock { self.known.filter { $0.createdAt >= since } }
            })
    }
}

extension Telephony {
    /// The same with conversations of its own: another replica.
    func holding(_ live: LiveCalls) -> Telephony {
        Telephony(
            database: database, carrier: carrier, links: links, relayToken: relayToken, assistant: assistant,
            knowledge: knowledge, live: live, rules: rules, policy: policy, log: log, ordersWaiting: Wakeup())
    }
}

extension ClientResponse {
    var code: String? { (try? json())?["error"]?["code"]?.string ?? (try? json())?["code"]?.string }
}
