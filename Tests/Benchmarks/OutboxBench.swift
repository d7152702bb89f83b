import Glibc
import Messaging
import Postgres
import Runtime
import Shared

/// What an event costs the write it belongs to: the same transaction with and without `publish`, by turns, by as many
/// tasks as there are connections. Beside it a lone INSERT of ours and pgbench's, over as many connections.
///
/// Needs `TEST_DATABASE_URL`, the URL of a role that may create databases.
func writesWithOutbox(rounds: Int = 3, each: Duration = .milliseconds(1500)) async throws -> [Measurement] {
    try await onBenchDatabase(poolMax: connections, unavailable: "write with its event") { database, url in
        try await database.execute(table)
        return try await turns(database, url, rounds, each)
    }
}

/// Runs the body on a database of its own with messaging's tables, which is dropped afterwards.
func onBenchDatabase(
    poolMax: Int, unavailable what: String, _ body: (Database, String) async throws -> [Measurement]
) async throws -> [Measurement] {
    guard let server = getenv("TEST_DATABASE_URL").map({ String(cString: $0) }), let slash = server.lastIndex(of: "/")
    else {
        return [Measurement(what: what, ours: "not measured: TEST_DATABASE_URL is not set")]
    }
    let admin = Database(url: server, poolMax: 1, application: "benchmarks")
    let name = "bench_\(ID<Kind.Job>().text.filter { $0 != "-" })"
    try await admin.execute("CREATE DATABASE \(quoting: name)")
    let url = "\(server[..<slash])/\(name)"
    let database = Database(url: url, poolMax: poolMax, application: "benchmarks")
    let result: Result<[Measurement], any Error>
    do {
        try await Migrations.run(database: database, directory: nil, extra: MessagingSchema.migrations)
        result = .success(try await body(database, url))
    } catch {
        result = .failure(error)
    }
    await database.close()
    _ = try? await admin.execute("DROP DATABASE \(quoting: name) WITH (FORCE)")
    await admin.close()
    return try result.get()
}

private let connections = 8

/// As telephony keeps managers' notes.
private let table: Query = """
    CREATE TABLE notes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        call_id uuid NOT NULL,
        author_id uuid NOT NULL,
        note text NOT NULL,
        tags text[] NOT NULL,
        category text,
        created_at timestamptz NOT NULL
    )
    """

private func turns(_ database: Database, _ url: String, _ rounds: Int, _ each: Duration) async throws -> [Measurement] {
    var without: [Double] = []
    var with: [Double] = []
    var lone: [Double] = []
    var pgbench: [Double] = []
    _ = try await rate(.milliseconds(300)) { try await write(database, publishes: true) }
    for _ in 0..<rounds {
        without.append(try await rate(each) { try await write(database, publishes: false) })
        with.append(try await rate(each) { try await write(database, publishes: true) })
        lone.append(try await rate(each) { try await insert(database) })
        if let other = try await PGBench.rate(url, connections, seconds: 2) { pgbench.append(other) }
    }
    let publishing = median(with) / median(without)
    return [
        Measurement(
            what: "write with its event, against without", ours: perSecond(median(with)),
            other: perSecond(median(without)), ratio: publishing),
        Measurement(
            what: "lone INSERT, against pgbench -M prepared", ours: perSecond(median(lone)),
            other: pgbench.isEmpty ? "no pgbench" : perSecond(median(pgbench)),
            ratio: pgbench.isEmpty ? nil : median(lone) / median(pgbench)),
    ]
}

// MARK: One write

private func write(_ database: Database, publishes: Bool) async throws {
    let note = newNote()
    try await database.transaction { (tx: borrowing Transaction) in
        let row = try await tx.queryOne(
            """
            INSERT INTO notes (call_id, author_id, note, tags, category, created_at)
            VALUES (\(note.callID), \(note.authorID), \(note.note), \(note.tags), \(note.category), \(note.createdAt))
            RETURNING id
            """)
        var stored = note
        if let row { stored.id = try row["id"] }
        if publishes { tx.publish(CallEvent.noteAdded(call(of: note), stored)) }
    }
}

private func insert(_ database: Database) async throws {
    let note = newNote()
    try await database.execute(
        """
        INSERT INTO notes (call_id, author_id, note, tags, category, created_at)
        VALUES (\(note.callID), \(note.authorID), \(note.note), \(note.tags), \(note.category), \(note.createdAt))
        """)
}

private func newNote() -> NoteSnapshot {
    NoteSnapshot(
        id: 0, callID: CallID(), note: "Asked twice about the refund; please call back before noon.",
        tags: ["refund", "callback"], category: "follow-up", authorID: UserID(), createdAt: .now())
}

private func call(of note: NoteSnapshot) -> CallRef {
    CallRef(callID: note.callID, workspaceID: WorkspaceID(), businessID: nil, direction: .inbound)
}

/// How often a second the body ran, by one task per connection.
private func rate(_ length: Duration, _ body: @escaping @Sendable () async throws -> Void) async throws -> Double {
    let began = ContinuousClock.now
    let count = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<connections {
            group.addTask {
                var done = 0
                while ContinuousClock.now < began + length {
                    try await body()
                    done += 1
                }
                return done
            }
        }
        return try await group.reduce(0, +)
    }
    return Double(count) / began.duration(to: .now).inSeconds
}

// MARK: pgbench

private enum PGBench {
    private static let script = """
        INSERT INTO notes (call_id, author_id, note, tags, category, created_at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'Asked twice about the refund; please call back before noon.',
        '{refund,callback}', 'follow-up', now());
        """

    /// Transactions a second, or nil when there is no pgbench: `PGBENCH` names it, or PATH has it.
    static func rate(_ url: String, _ connections: Int, seconds: Int) async throws -> Double? {
        guard let path = getenv("PGBENCH").map({ String(cString: $0) }) ?? Program.find("pgbench") else { return nil }
        var name = Array("/tmp/switchboard-pgbench-XXXXXX".utf8CString)
        let file = mkstemp(&name)
        guard file >= 0 else { throw Program.Failure(reason: "no file for pgbench") }
        let place = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { unlink(place) }
        _ = script.withCString { Glibc.write(file, $0, strlen($0)) }
        close(file)
        let text = try await Blocking.shared.run {
            try Program.output(
                path, ["-n", "-M", "prepared", "-c\(connections)", "-j1", "-T\(seconds)", "-f", place, url])
        }
        let line = text.split(separator: "\n").first { $0.hasPrefix("tps = ") }
        return line?.split(separator: " ").dropFirst(2).first.flatMap { Double($0) }
    }
}
