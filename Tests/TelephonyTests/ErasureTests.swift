import HTTP
import Messaging
import Postgres
import Program
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct ErasureTests {
    private static let steps = ErasureStore.steps(orders: Wakeup())

    /// A row in every table, with words that occur nowhere else.
    private static func fill(_ workspace: WorkspaceID, author: UserID, _ database: Database) async throws -> CallID {
        let (call, agent, human) = (CallID(), AgentID(), HumanAgentID())
        let statements: [Query] = [
            "INSERT INTO ai_agents (id, workspace_id, name, greeting) VALUES (\(agent), \(workspace), 'Zanzibar', 'Hi')",
            """
            INSERT INTO phone_numbers (workspace_id, phone_number, agent_id)
            VALUES (\(workspace), \("+1415" + String(UInt32.random(in: 1_000_000...9_999_999))), \(agent))
            """,
            """
            INSERT INTO human_agents (id, workspace_id, user_id, name, email, email_folded)
            VALUES (\(human), \(workspace), \(author), 'Hana Zanzibar', 'hana@zanzibar.example', 'hana@zanzibar.example')
            """,
            """
            INSERT INTO calls (id, workspace_id, direction, status, from_number, to_number, started_at, ended_at,
                created_at, updated_at, agent_id, assigned_agent_id, assigned_agent_name)
            VALUES (\(call), \(workspace), 'inbound', 'completed', '+14155550177', '+14155550178', now(), now(), now(),
                now(), \(agent), \(human), 'Hana Zanzibar')
            """,
            """
            INSERT INTO interactions (call_id, utterance, sequence, speaker, text, at)
            VALUES (\(call), gen_random_uuid(), 1, 'customer', 'My name is Zanzibar', now())
            """,
            "INSERT INTO notes (call_id, author_id, note) VALUES (\(call), \(author), 'A note of Zanzibar')",
            """
            INSERT INTO escalations (workspace_id, call_id, status, trigger_type, assigned_agent_id, agent_name)
            VALUES (\(workspace), \(call), 'completed', 'keyword', \(human), 'Hana Zanzibar')
            """,
            """
            INSERT INTO callbacks (workspace_id, call_id, kind, phone_number, name, due_at)
            VALUES (\(workspace), \(call), 'callback', '+14155550177', 'Zanzibar', now())
            """,
            "INSERT INTO do_not_call (workspace_id, phone_number) VALUES (\(workspace), '+14155550177')",
            "INSERT INTO carrier_orders (kind, call_id, sid, state) VALUES ('hang_up', \(call), 'CA1', 'done')",
            """
            INSERT INTO interventions (id, call_id, action, message)
            VALUES (gen_random_uuid(), \(call), 'say', 'Greet Mr Zanzibar')
            """,
            """
            INSERT INTO business_configs (id, workspace_id, version, name, is_active, config_data)
            VALUES (gen_random_uuid(), \(workspace), 1, 'Zanzibar', true, '{}')
            """,
            "INSERT INTO workspace_limits (workspace_id, \"limit\", value, max) VALUES (\(workspace), 'calls', 1, 1)",
        ]
        for statement in statements { _ = try await database.execute(statement) }
        return call
    }

    @Test func `a workspace leaves nothing in any table, and late events bring nothing back`() async throws {
        try await Rig.with { rig in
            let (mine, other, person) = (WorkspaceID(), WorkspaceID(), UserID())
            let call = try await Self.fill(mine, author: person, rig.database)
            _ = try await Self.fill(other, author: UserID(), rig.database)
            let before = try await Leftovers.tables(holding: mine.text, rig.database)
            #expect(before.count >= 9, "\(before)")
            try await Leftovers.erase(.workspace(mine), steps: Self.steps, program: "telephony", rig.database)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                try await rig.telephony.onWorkspace(
                    .memberAdded(
                        MemberSnapshot(
                            workspaceID: mine, userID: person, role: .agent, email: "hana@zanzibar.example",
                            name: "Hana Zanzibar")), tx)
                try await rig.telephony.onUsage(
                    .limitReached(workspaceID: mine, limit: .calls, value: 1, max: 1), tx)
                try await rig.telephony.onConfig(
                    .changed(
                        ConfigSnapshot(
                            id: BusinessID(), workspaceID: mine, name: "Zanzibar", type: "x", configData: [:],
                            isActive: true, createdAt: .now(), updatedAt: .now())), tx)
            }
            for needle in [mine.text, call.text] {
                let left = try await Leftovers.tables(holding: needle, rig.database).filter {
                    !$0.key.hasPrefix("outbox")
                }
                #expect(left.isEmpty, "\(needle): \(left)")
            }
            let kept = try await Leftovers.tables(holding: other.text, rig.database)
            #expect(kept.count >= 9)
            let reports = try await rig.database.query("SELECT payload FROM outbox WHERE topic = 'auth.erasures'")
            let report = try JSON.parse(try #require(try reports.first?.decode("payload", as: String.self)))
            #expect(report["counts"]?["calls"] == 1 && report["counts"]?["human_agents"] == 1)
        }
    }

    @Test func `live calls are hung up before they are forgotten`() async throws {
        try await Rig.with { rig in
            let (mine, call) = (WorkspaceID(), CallID())
            _ = try await rig.database.execute(
                """
                INSERT INTO calls (id, workspace_id, twilio_call_sid, direction, status, from_number, to_number,
                    started_at, created_at, updated_at)
                VALUES (\(call), \(mine), 'CA77', 'inbound', 'in_progress', '+14155550177', '+14155550178', now(), now(),
                    now())
                """)
            let orders = rig.telephony.ordersWaiting
            let erasing = Erasing(
                program: "telephony", database: rig.database, steps: ErasureStore.steps(orders: orders),
                log: Log(program: "telephony", least: .error))
            try await rig.database.transaction { (tx: borrowing Transaction) in try await tx.erase(.workspace(mine)) }
            _ = try await erasing.runOne()
            let asked = try await rig.database.query("SELECT sid FROM carrier_orders WHERE kind = 'hang_up'").map {
                try $0.decode("sid", as: String.self)
            }
            #expect(asked == ["CA77"])
            let waiting = try await rig.database.query("SELECT 1 AS x FROM calls")
            #expect(waiting.count == 1)
            // The carrier has hung up.
            _ = try await rig.database.execute("UPDATE carrier_orders SET state = 'done'")
            try await Leftovers.erase(.workspace(mine), steps: Self.steps, program: "telephony", rig.database)
            let left = try await Leftovers.tables(holding: call.text, rig.database)
            #expect(left.isEmpty, "\(left)")
        }
    }

    @Test func `a person who worked for others is no longer named there, their calls stay`() async throws {
        try await Rig.with { rig in
            let (workspace, person) = (WorkspaceID(), UserID())
            _ = try await Self.fill(workspace, author: person, rig.database)
            try await rig.database.transaction { (tx: borrowing Transaction) in
                let known = try await HumanAgentStore.lock(user: person, in: workspace, tx)
                if var agent = known { try await HumanAgentStore.save(&agent, tx) }
            }
            try await Leftovers.erase(.user(person), steps: Self.steps, program: "telephony", rig.database)
            for needle in ["hana@zanzibar", "Hana Zanzibar"] {
                let left = try await Leftovers.tables(holding: needle, rig.database)
                #expect(left.isEmpty, "\(needle): \(left)")
            }
            let left = try await Leftovers.tables(holding: person.text, rig.database)
            #expect(left.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(left)")
            let calls = try await rig.database.query("SELECT 1 AS x FROM calls")
            let notes = try await rig.database.query("SELECT note FROM notes")
            #expect(calls.count == 1 && notes.count == 1)
        }
    }

    @Test func `an export has every section, every call once, and nothing of others`() async throws {
        try await Rig.with { rig in
            let (mine, other, person) = (WorkspaceID(), WorkspaceID(), UserID())
            var calls: Set<String> = []
            for _ in 0..<3 {
                calls.insert(try await Self.fill(mine, author: person, rig.database, again: !calls.isEmpty).text)
            }
            _ = try await Self.fill(other, author: UserID(), rig.database)
            for section in ReadExport.sections(rig.database) {
                let page = try await section.readPage(.init(user: person, workspaces: [mine]), nil)
                #expect(!page.items.isEmpty, "\(section.name) is empty")
                let text = page.items.map { String(decoding: $0, as: UTF8.self) }.joined()
                #expect(!text.contains(other.text))
                for item in page.items { _ = try JSON.parse(item) }
                if section.name == "calls" {
                    #expect(Set(try page.items.compactMap { try JSON.parse($0)["id"]?.string }) == calls)
                }
            }
        }
    }

    private static func fill(_ workspace: WorkspaceID, author: UserID, _ database: Database, again: Bool) async throws
        -> CallID
    {
        guard again else { return try await fill(workspace, author: author, database) }
        let call = CallID()
        _ = try await database.execute(
            """
            INSERT INTO calls (id, workspace_id, direction, status, from_number, to_number, started_at, ended_at,
                created_at, updated_at)
            VALUES (\(call), \(workspace), 'inbound', 'completed', '+14155550177', '+14155550178', now(), now(), now(), now())
            """)
        return call
    }
}
