import Archives
import HTTP
import Messaging
import Postgres
import Program
import Runtime
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct ExportTests {
    private static let path = "/api/dashboard/user/export-data/"

    /// The programs as one server that answers what this says of `/internal/export`.
    private static func with(
        sections: @escaping @Sendable () -> [ExportSection],
        _ body: @escaping @Sendable (PersonalRig, Exporting) async throws -> Void
    ) async throws {
        try await TestDatabase.fresh { _ in
            let router = Router(
                Export.routes(sections()), program: "others", log: Log(program: "others", least: .error))
            let server = Server(port: 0, host: "127.0.0.1", router: router)
            try await server.start(on: testLoops)
            let url = "http://127.0.0.1:\(server.boundPort)"
            try await PersonalRig.with(policy: { $0.programs = [("others", [url])] }) { rig in
                try await body(rig, Exporting(rig.personal))
            }
            await server.stop(deadline: .seconds(5))
        }
    }

    private static let two: @Sendable () -> [ExportSection] = {
        [
            ExportSection("calls") { person, after in
                let from = after?.values.first?.int ?? 0
                let items = (from..<min(from + 200, 450)).map { number in
                    Array("{\"call\":\(number),\"user\":\"\(person.user.text)\"}".utf8)
                }
                return .init(items: items, next: from + 200 < 450 ? Cursor([.int(from + 200)]) : nil)
            }
        ]
    }

    @Test func `an archive is made of every page of every program, fetched once it is ready, and once a day`()
        async throws
    {
        try await Self.with(sections: Self.two) { rig, exporting in
            let ann = try await rig.register("ann")
            let first = await ann.client.get(Self.path)
            #expect(first.status == 202)
            let job = try first.json()["job"]
            #expect(job?["state"] == "waiting" && job?["progress"] == 0)
            #expect(try await ann.client.get(Self.path).json()["job"]?["id"] == job?["id"])
            #expect(try await exporting.makeOne())
            let archive = await ann.client.get(Self.path)
            #expect(archive.status == 200 && archive.headers["Content-Type"] == "application/zip")
            #expect(archive.body.starts(with: Array("PK\u{3}\u{4}".utf8)))
            let kept = try await rig.database.queryOne("SELECT size, progress FROM exports")
            #expect(try kept?.decode("size", as: Int.self) == archive.body.count)
            let names = [
                "profile.json", "settings.json", "sessions.json", "workspaces.json", "calls.json", "about.json",
            ]
            for name in names { #expect(archive.text.contains(name), "\(name) is missing") }
            #expect(try await exporting.makeOne() == false)
            #expect(await ann.client.get(Self.path + "?fresh=true").status == 429)
            _ = try await rig.database.execute("UPDATE exports SET created_at = created_at - interval '25 hours'")
            #expect(await ann.client.get(Self.path + "?fresh=true").status == 202)
        }
    }

    @Test func `what a dead replica began is begun anew and holds everything once`() async throws {
        try await Self.with(sections: Self.two) { rig, exporting in
            let ann = try await rig.register("ann")
            _ = await ann.client.get(Self.path)
            let work = try #require(try await ExportStore.take(rig.database))
            try await ExportStore.add([1, 2, 3], at: 0, to: work.id, rig.database)
            // Nobody else takes it while it is somebody's.
            #expect(try await exporting.makeOne() == false)
            _ = try await rig.database.execute("UPDATE exports SET leased_until = now() - interval '1 second'")
            #expect(try await exporting.makeOne())
            let archive = await ann.client.get(Self.path)
            #expect(archive.status == 200 && archive.body.starts(with: Array("PK\u{3}\u{4}".utf8)))
            // The one that was thought dead ends: nothing of it counts.
            try await ExportStore.finish(work, size: 3, kept: .seconds(1), rig.database)
            #expect(try await ExportStore.keep(work, progress: 50, rig.database) == false)
            #expect(await ann.client.get(Self.path).body == archive.body)
        }
    }

    @Test func `a program that stays silent fails the archive, and the next request begins another`() async throws {
        try await PersonalRig.with(policy: { $0.programs = [("nobody", ["http://127.0.0.1:9"])] }) { rig in
            let ann = try await rig.register("ann")
            _ = await ann.client.get(Self.path)
            _ = try await rig.database.execute("UPDATE exports SET attempts = \(ExportStore.attemptsMax - 1)")
            #expect(try await Exporting(rig.personal).makeOne())
            let state = try await rig.database.queryOne("SELECT state FROM exports")
            #expect(try state?.decode("state", as: String.self) == "failed")
            #expect(try await ann.client.get(Self.path).json()["job"]?["state"] == "waiting")
        }
    }

    @Test func `an expired archive is gone`() async throws {
        try await Self.with(sections: { [] }) { rig, exporting in
            let ann = try await rig.register("ann")
            _ = await ann.client.get(Self.path)
            #expect(try await exporting.makeOne())
            _ = try await rig.database.execute("UPDATE exports SET expires_at = now() - interval '1 second'")
            #expect(await ann.client.get(Self.path).status == 202)
            try await rig.personal.keepHouse()
            let left = try await rig.database.query("SELECT state FROM exports")
            #expect(left.count == 1)
            let chunks = try await rig.database.query("SELECT 1 AS x FROM export_chunks")
            #expect(chunks.isEmpty)
        }
    }

    @Test func `an archive is written front to back`() throws {
        let archive = try ZipArchive()
        try archive.begin("one.json", at: 0)
        try archive.write(Array(String(repeating: "all the same words ", count: 50_000).utf8))
        try archive.end()
        let early = archive.take()
        try archive.close()
        let whole = early + archive.take()
        #expect(whole.starts(with: Array("PK\u{3}\u{4}".utf8)) && whole.count < 100_000)
        // The directory's end is the last thing.
        #expect(whole.suffix(22).starts(with: Array("PK\u{5}\u{6}".utf8)))
    }
}
