import HTTP
import Messaging
import Postgres
import Program
import Shared
import TestSupport
import Testing

@testable import Knowledge

@Suite struct ErasureTests {
    @Test func `a workspace leaves nothing, and the compacted topic forgets its configurations`() async throws {
        try await Fixture.run { fixture in
            let config = try await fixture.addConfig("Zanzibar shop")
            try await fixture.add("Zanzibar hours", "Open from nine to five.", business: config)
            try await fixture.add("More", "Words of Zanzibar.")
            let gone = try await fixture.addConfig("Gone already")
            _ = await fixture.client.delete("/api/v1/config/business/\(gone)")
            try await fixture.add("Other hours", "Open at night.", token: "otto")
            try await Leftovers.erase(
                .workspace(fixture.workspace), steps: ErasureStore.steps, program: "knowledge", fixture.database)
            for needle in ["Zanzibar", "Gone already"] {
                #expect(try await Leftovers.tables(holding: needle, fixture.database).isEmpty)
            }
            let left = try await Leftovers.tables(holding: fixture.workspace.text, fixture.database)
            #expect(left.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(left)")
            let last = try await fixture.database.query(
                """
                SELECT DISTINCT ON (key) key, payload FROM outbox WHERE topic = 'knowledge.configs' ORDER BY key, seq DESC
                """
            ).map { (try $0.decode("key", as: String.self), try $0.decode("payload", as: String?.self)) }
            #expect(Set(last.map(\.0)) == [config, gone])
            #expect(last.allSatisfy { $0.1 == nil })
            let kept = try await fixture.database.query("SELECT title FROM entries").map {
                try $0.decode("title", as: String.self)
            }
            #expect(kept == ["Other hours"])
        }
    }

    @Test func `who changed a configuration is no longer named`() async throws {
        try await Fixture.run { fixture in
            _ = try await fixture.addConfig("Shop")
            let row = try await fixture.database.queryOne("SELECT changed_by FROM business_config_versions")
            let person = try #require(try row?.decode("changed_by", as: UserID.self))
            try await Leftovers.erase(.user(person), steps: ErasureStore.steps, program: "knowledge", fixture.database)
            let left = try await Leftovers.tables(holding: person.text, fixture.database)
            #expect(left.filter { !$0.key.hasPrefix("outbox") }.isEmpty, "\(left)")
            let versions = try await fixture.database.query("SELECT 1 AS x FROM business_config_versions")
            #expect(versions.count == 1)
        }
    }

    @Test func `an export has every entry once, page by page`() async throws {
        try await Fixture.run { fixture in
            for number in 0..<45 { try await fixture.add("Entry \(number)", "Text \(number).") }
            let section = try #require(ReadExport.sections(fixture.database).first { $0.name == "knowledge" })
            var titles: [String] = []
            var after: Cursor?
            repeat {
                let page = try await section.readPage(.init(user: UserID(), workspaces: [fixture.workspace]), after)
                titles += try page.items.compactMap { try JSON.parse($0)["title"]?.string }
                after = page.next
            } while after != nil
            #expect(titles == (0..<45).map { "Entry \($0)" })
            let others = try await section.readPage(.init(user: UserID(), workspaces: [fixture.other]), nil)
            #expect(others.items.isEmpty)
        }
    }
}
