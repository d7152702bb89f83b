import HTTP
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct BlacklistTests {
    private static func inbound(from: String) -> [(String, String)] {
        [
            ("CallSid", "CA" + ID<Kind.Call>().text), ("From", from), ("To", "+14155550199"), ("CallStatus", "ringing"),
            ("Direction", "inbound"),
        ]
    }

    private static func block(
        _ rig: Rig, _ value: String, in workspace: WorkspaceID? = nil, until: Instant? = nil,
        id: BlacklistID = BlacklistID(), version: Int64 = 1
    ) async throws {
        let entry = BlacklistSnapshot(
            id: id, kind: value.contains("*") || value.contains("-") ? .range : .phone, value: value,
            workspaceID: workspace, expiresAt: until, version: version)
        try await tell(rig, .blocked(entry))
    }

    private static func tell(_ rig: Rig, _ event: BlacklistEvent) async throws {
        try await rig.database.transaction { (tx: borrowing Transaction) in
            try await rig.telephony.onBlacklist(event, tx)
        }
    }

    private static func isBlocked(_ rig: Rig, _ number: String, in person: Rig.Person? = nil) async throws -> Bool {
        let number = try #require(PhoneNumber(number))
        let workspace = (person ?? rig.ann).workspace
        return try await rig.database.transaction { (tx: borrowing Transaction) -> Bool in
            try await BlockedNumberStore.isBlocked(number, in: workspace, tx)
        }
    }

    @Test func `a blocked caller is rejected before anybody speaks, and leaves no call`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.line("+14155550199", agent: try await rig.agent())
            let id = BlacklistID()
            try await Self.block(rig, "+4479*", id: id)
            let answer = await rig.webhook(Self.inbound(from: "+447911123456"))
            #expect(answer.status == 200 && answer.text.contains("<Reject reason=\"rejected\"></Reject>"))
            #expect(!answer.text.contains("Say") && !answer.text.contains("Relay"))
            #expect(try await rig.eventTypes().allSatisfy { !$0.hasPrefix("telephony.call.") })
            #expect(await rig.webhook(Self.inbound(from: "+447811123456")).text.contains("<ConversationRelay"))
            #expect(await rig.webhook(Self.inbound(from: "anonymous")).text.contains("<ConversationRelay"))
            try await Self.tell(rig, .lifted(id: id))
            #expect(await rig.webhook(Self.inbound(from: "+447911123456")).text.contains("<ConversationRelay"))
        }
    }

    @Test func `a workspace's entry counts there alone`() async throws {
        try await Rig.with { rig async throws in
            try await Self.block(rig, "+14155550100", in: rig.ann.workspace)
            #expect(try await Self.isBlocked(rig, "+14155550100"))
            #expect(try await !Self.isBlocked(rig, "+14155550100", in: rig.bob))
            let refused = await rig.ann.client.post("/api/v1/calls/initiate", json: ["to_number": "+14155550100"])
            #expect(refused.status == 400)
            #expect(refused.text.contains("to_number") && refused.text.contains("blacklist"))
            #expect(
                await rig.bob.client.post("/api/v1/calls/initiate", json: ["to_number": "+14155550100"]).status == 201)
        }
    }

    @Test(arguments: [
        ("+4479*", "+447911123456", true), ("+44790000*", "+4479000", false),
        ("+14155550100-+14155550199", "+14155550150", true), ("+14155550100-+14155550199", "+14155550200", false),
        ("+14155550100-+14155550199", "+141555501500", false), ("+1415555010", "+14155550100", false),
    ])
    func `the database covers what the range says`(_ value: String, _ number: String, _ covered: Bool) async throws {
        try await Rig.with { rig async throws in
            try await Self.block(rig, value)
            #expect(try await Self.isBlocked(rig, number) == covered)
            let range = try #require(NumberRange(value))
            #expect(range.contains(try #require(PhoneNumber(number))) == covered)
        }
    }

    @Test func `an entry runs out by itself, and older news change nothing`() async throws {
        try await Rig.with { rig async throws in
            let id = BlacklistID()
            try await Self.block(rig, "+14155550100", until: .now() - .seconds(1), id: id, version: 2)
            #expect(try await !Self.isBlocked(rig, "+14155550100"))
            try await Self.block(rig, "+14155550100", id: id, version: 1)
            #expect(try await !Self.isBlocked(rig, "+14155550100"), "an older version")
            try await Self.block(rig, "+14155550100", id: id, version: 3)
            #expect(try await Self.isBlocked(rig, "+14155550100"))
            try await Self.tell(rig, .lifted(id: id))
            try await Self.block(rig, "+14155550100", id: id, version: 3)
            #expect(try await !Self.isBlocked(rig, "+14155550100"), "told again after it was lifted")
        }
    }

    @Test func `people and addresses are no business of calls, and what is gone takes its entries along`() async throws
    {
        try await Rig.with { rig async throws in
            try await Self.tell(
                rig, .blocked(BlacklistSnapshot(id: BlacklistID(), kind: .email, value: "a@example.com")))
            try await Self.block(rig, "+14155550100", in: rig.ann.workspace)
            try await Self.block(rig, "+14155550101")
            let steps = ErasureStore.steps(orders: rig.telephony.ordersWaiting)
            try await Leftovers.erase(.workspace(rig.ann.workspace), steps: steps, program: "telephony", rig.database)
            let left = try await rig.database.query("SELECT numbers::text AS numbers FROM blocked_numbers")
            #expect(left.count == 1)
        }
    }

    @Test(arguments: ["blacklisted", "do_not_call"])
    func `what was blocked after the order is not dialled any more`(_ reason: String) async throws {
        try await Rig.with { rig async throws in
            let placed = try await rig.ann.client.post(
                "/api/v1/calls/initiate", json: ["to_number": "+14155550100"]
            ).json()
            let id = try #require(placed["call"]?["id"]?.string.flatMap { CallID($0) })
            if reason == "blacklisted" {
                try await Self.block(rig, "+1415555*")
            } else {
                _ = try await rig.database.execute(
                    "INSERT INTO do_not_call (workspace_id, phone_number) VALUES (\(rig.ann.workspace), '+14155550100')"
                )
            }
            let worker = CarrierOrders(rig.telephony)
            try await worker.start(on: testLoops)
            try await eventually("the call has failed") { try await rig.stored(id).status == .failed }
            await worker.stop(deadline: .seconds(5))
            #expect(try await rig.stored(id).failureReason == reason)
            #expect(rig.carrier.dials.isEmpty)
        }
    }

    @Test func `a hundred thousand entries are looked through by the index`() async throws {
        try await Rig.with { rig async throws in
            _ = try await rig.database.execute(
                """
                INSERT INTO blocked_numbers (id, numbers, digits, version)
                SELECT uuidv7(), int8range(n, n, '[]'), int4range(11, 11, '[]'), 1
                FROM generate_series(100000000000000, 199999000000000, 1000000000) AS n
                """)
            _ = try await rig.database.execute("ANALYZE blocked_numbers")
            let number = try #require(PhoneNumber("+14155550100"))
            let plan = try await rig.database.query(
                "EXPLAIN SELECT \(fragment: BlockedNumberStore.covers(number, in: rig.ann.workspace))")
            let text = try plan.map { try $0.decode(0, as: String.self) }.joined(separator: "\n")
            #expect(text.contains("blocked_numbers_covering"), "\(text)")
        }
    }
}

@Suite struct MemberTests {
    private static func tell(_ rig: Rig, _ event: WorkspaceEvent) async throws {
        try await rig.database.transaction { (tx: borrowing Transaction) in
            try await rig.telephony.onWorkspace(event, tx)
        }
    }

    private static func member(
        _ rig: Rig, _ user: UserID, _ role: WorkspaceRole, _ email: String = "ari@example.com"
    ) -> MemberSnapshot {
        MemberSnapshot(workspaceID: rig.ann.workspace, userID: user, role: role, email: email, name: "Ari Agent")
    }

    private static func humans(_ rig: Rig) async throws -> [JSON] {
        try await rig.ann.client.get("/api/v1/agents").json()["agents"]?.array ?? []
    }

    @Test func `a member as agent is a human agent, once, and gone with the membership`() async throws {
        try await Rig.with { rig async throws in
            let user = UserID()
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .viewer)))
            #expect(try await Self.humans(rig).isEmpty)
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .agent)))
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .agent)))
            let made = try await Self.humans(rig)
            #expect(made.count == 1)
            #expect(made.first?["email"] == "ari@example.com" && made.first?["is_available"] == false)
            #expect(made.first?["is_active"] == true)
            try await Self.tell(rig, .memberRemoved(Self.member(rig, user, .agent)))
            #expect(try await Self.humans(rig).first?["is_active"] == false)
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .agent)))
            #expect(try await Self.humans(rig).map { $0["is_active"] } == [true])
        }
    }

    @Test func `who looks on from now on is given no more calls`() async throws {
        try await Rig.with { rig async throws in
            let user = UserID()
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .agent)))
            _ = try await rig.database.execute("UPDATE human_agents SET is_available = true")
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .manager)))
            #expect(try await Self.humans(rig).first?["is_active"] == true, "a manager may take calls too")
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .viewer)))
            let demoted = try await Self.humans(rig).first
            #expect(demoted?["is_active"] == false && demoted?["is_available"] == false)
        }
    }

    @Test func `one a manager made is linked by address, whatever its case`() async throws {
        try await Rig.with { rig async throws in
            let id = try await rig.human("Ari")
            let user = UserID()
            try await Self.tell(rig, .memberAdded(Self.member(rig, user, .agent, "ARI@example.com")))
            let humans = try await Self.humans(rig)
            #expect(humans.count == 1 && humans.first?["id"]?.string == id.text)
            let linked = try await rig.database.queryOne("SELECT user_id FROM human_agents WHERE id = \(id)")
            #expect(try linked?.decode("user_id", as: UserID?.self) == user)
        }
    }

    @Test func `figures count what the workspace has`() async throws {
        try await Rig.with { rig async throws in
            let agent = try await rig.agent()
            _ = try await rig.agent(of: rig.bob)
            _ = try await rig.line("+14155550199", agent: agent)
            _ = try await rig.human("Hugo")
            _ = try await rig.human("Ida", available: false)
            let path = "/internal/workspaces/\(rig.ann.workspace.text)/stats"
            let json = try await TestClient(rig.router).get(path).json()
            #expect(json["ai_agents"]?["total"] == 1 && json["phone_numbers"] == 1)
            #expect(json["human_agents"] == ["total": 2, "active": 2, "available": 1])
        }
    }
}
