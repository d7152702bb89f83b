import Archives
import HTTP
import Postgres
import Program
import Runtime
import Shared

/// Makes the archives that people asked for: one at a time on each replica, page by page, so that neither memory nor the
/// programs asked notice how much somebody has. What a dead replica began is begun anew.
final class Exporting: Component {
    let name = "exporting"
    private let personal: Personal
    private let client: Client
    /// Compressing takes a core; it never takes a loop's.
    private let pool = Blocking(threads: 1, queueMax: 16)

    private static let lookEvery: Duration = .seconds(1)
    /// Bytes of the archive in one row.
    private static let chunkSize = 256 * 1024

    init(_ personal: Personal, client: Client = Client()) {
        self.personal = personal
        self.client = client
    }

    func start(on group: EventLoopGroup) async throws {
        group.loops[0].spawn("exporting") { [self] in
            while !Task.isCancelled {
                do {
                    while try await makeOne() {}
                } catch is CancellationError {
                    return
                } catch {
                    personal.log.warn("exporting.waiting", ("error", "\(error)"))
                }
                do { try await EventLoop.sleep(for: Self.lookEvery) } catch { return }
            }
        }
    }

    /// Makes the archive that has waited longest; false when none waits.
    func makeOne() async throws -> Bool {
        guard let work = try await ExportStore.take(personal.database) else { return false }
        do {
            try await make(work)
        } catch {
            try Task.checkCancellation()
            personal.log.warn(
                "export.failed", ("export", "\(work.id.text)"), ("attempt", .int(Int64(work.attempts))),
                ("error", "\(error)"))
            try await ExportStore.failed(work, personal.database)
        }
        return true
    }

    private func make(_ work: ExportStore.Work) async throws {
        let database = personal.database
        try await ExportStore.clear(work.id, database)
        let person = ExportSection.Person(
            user: work.user, workspaces: try await ReadOwnExport.ownWorkspaces(of: work.user, database))
        let sections = try await sections()
        let archive = Archive(try ZipArchive(), pool, work, database)
        var counts = JSONObject()
        for (done, section) in sections.enumerated() {
            let count = try await write(section, of: person, to: archive)
            counts[section.name] = .int(count)
            // 100 is for what can be fetched.
            guard try await ExportStore.keep(work, progress: (done + 1) * 99 / max(1, sections.count), database) else {
                throw Gone()
            }
        }
        if let picture = try await AvatarStore.largest(of: work.user, database) {
            try await archive.file("avatar.webp", picture)
        }
        let about: JSON = [
            "user": .string(work.user.text), "made_at": .string(Instant.now().iso), "items": .object(counts),
        ]
        try await archive.file("about.json", about.jsonBytes)
        let size = try await archive.close()
        try await ExportStore.finish(work, size: size, kept: personal.policy.exportKept, database)
        personal.log.info("export.ready", ("export", "\(work.id.text)"), ("bytes", .int(Int64(size))))
    }

    /// The person was deleted meanwhile, or another replica has taken over.
    private struct Gone: Error {}

    // MARK: Sections

    /// Ours, and what each of the other programs says it has.
    private func sections() async throws -> [Section] {
        var found = ReadOwnExport.sections(personal).map { section in
            Section(name: section.name) { person, after in
                let page = try await section.readPage(person, after.flatMap { Cursor($0) })
                return (page.items, page.next?.text)
            }
        }
        for (program, urls) in personal.policy.programs {
            let answer = try await ask(program, urls, Export.path)
            for name in answer["sections"]?.array?.compactMap(\.string) ?? [] {
                found.append(
                    Section(name: name) { [self] person, after in
                        try await page(name, of: program, urls, person, after)
                    })
            }
        }
        return found
    }

    /// A list of the archive, wherever it comes from.
    private struct Section {
        let name: String
        let read: (ExportSection.Person, String?) async throws -> (items: [[UInt8]], next: String?)
    }

    private func page(
        _ name: String, of program: String, _ urls: [String], _ person: ExportSection.Person, _ after: String?
    ) async throws -> (items: [[UInt8]], next: String?) {
        var query = [
            ("user", person.user.text), ("workspaces", person.workspaces.map(\.text).joined(separator: ",")),
        ]
        if let after { query.append(("after", after)) }
        let answer = try await ask(program, urls, "\(Export.path)/\(name)?\(URLText.form(query))")
        guard let items = answer["items"]?.array else { throw NoAnswer(program: program, status: 200) }
        return (items.map(\.jsonBytes), answer["next"]?.string)
    }

    /// Any replica of a program; one that is being replaced is asked again.
    private func ask(_ program: String, _ urls: [String], _ target: String) async throws -> JSON {
        let retry = Retry(attempts: 6, first: .milliseconds(200), longest: .seconds(2))
        return try await retry {
            var refusal: any Error = NoAnswer(program: program, status: 0)
            for url in urls {
                do {
                    var request = ClientRequest.get(url + target)
                    request.timeout = .seconds(30)
                    request.bodyMax = 64 << 20
                    let response = try await client.send(request)
                    if response.isSuccess { return try JSON.parse(response.body) }
                    refusal = NoAnswer(program: program, status: response.status)
                } catch {
                    refusal = error
                }
            }
            throw refusal
        }
    }

    struct NoAnswer: Error, CustomStringConvertible {
        let program: String
        let status: Int
        var description: String { "\(program) answered \(status) when it was asked for an export" }
    }

    // MARK: Writing

    /// A JSON array, page after page. Returns how many items it has.
    private func write(_ section: Section, of person: ExportSection.Person, to archive: Archive) async throws -> Int {
        try await archive.begin("\(section.name).json")
        var count = 0
        var after: String?
        repeat {
            let page = try await section.read(person, after)
            var text: [UInt8] = []
            for item in page.items {
                text += Array((count == 0 ? "[\n" : ",\n").utf8) + item
                count += 1
            }
            try await archive.write(text)
            after = page.next
        } while after != nil
        try await archive.write(Array((count == 0 ? "[]\n" : "\n]\n").utf8))
        try await archive.end()
        return count
    }

    /// The archive on its way into rows. Used by one task.
    private final class Archive {
        private let zip: ZipArchive
        private let pool: Blocking
        private let work: ExportStore.Work
        private let database: Database
        private var position = 0
        private var size = 0
        private let madeAt = Instant.now().seconds

        init(_ zip: ZipArchive, _ pool: Blocking, _ work: ExportStore.Work, _ database: Database) {
            self.zip = zip
            self.pool = pool
            self.work = work
            self.database = database
        }

        func begin(_ name: String) async throws { try zip.begin(name, at: madeAt) }

        func write(_ bytes: [UInt8]) async throws {
            let zip = zip
            try await pool.run { try zip.write(bytes) }
            if zip.waiting >= Exporting.chunkSize { try await flush() }
        }

        func end() async throws { try zip.end() }

        func file(_ name: String, _ bytes: [UInt8]) async throws {
            try await begin(name)
            try await write(bytes)
            try await end()
        }

        /// Returns the archive's size.
        func close() async throws -> Int {
            try zip.close()
            try await flush()
            return size
        }

        private func flush() async throws {
            let bytes = zip.take()
            guard !bytes.isEmpty else { return }
            try await ExportStore.add(bytes, at: position, to: work.id, database)
            guard try await ExportStore.keep(work, progress: 0, database) else { throw Gone() }
            position += 1
            size += bytes.count
        }
    }
}
