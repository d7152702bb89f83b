import Postgres
import Runtime
import Shared

/// The names of the time zones PostgreSQL knows, read once. PostgreSQL also takes abbreviations and POSIX rules (`EST5`),
/// which mean another thing than they seem to; the API takes IANA names only.
final class Zones: Sendable {
    private let names = Guarded<Set<String>?>(nil)
    private let database: Database

    init(_ database: Database) { self.database = database }

    /// Complains about a zone that is none.
    func check(_ zone: String, _ form: inout Form) async throws {
        if zone == "UTC" { return }
        if try await known().contains(zone) { return }
        form.fail("timezone", "must be an IANA time zone such as Europe/Berlin")
    }

    private func known() async throws -> Set<String> {
        if let names = names.withLock({ $0 }) { return names }
        let rows = try await database.query(
            "SELECT name FROM pg_timezone_names WHERE name NOT LIKE 'posix%' AND name NOT LIKE 'right/%'")
        let read = Set(try rows.map { try $0.decode("name", as: String.self) })
        names.withLock { $0 = read }
        return read
    }
}
