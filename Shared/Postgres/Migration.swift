import Shared

/// One numbered change of a database's schema: `0003-call-notes.sql`. Names of a module's own set carry its name in
/// front: `messaging/0001-outbox.sql`. Numbers grow within a set, and an applied migration never changes.
public struct Migration: Sendable, Equatable {
    public let name: String
    public let sql: String
    let number: Int

    /// nil unless the name is `NNNN-words.sql`, perhaps with a set in front.
    public init?(_ name: String, sql: String) {
        let file = name.split(separator: "/").last ?? ""
        let digits = file.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), file.dropFirst(digits.count).hasPrefix("-"), file.hasSuffix(".sql") else {
            return nil
        }
        self.name = name
        self.sql = sql
        self.number = number
    }

    /// `messaging` of `messaging/0001-outbox.sql`; empty for a program's own.
    var set: Substring { name.contains("/") ? name[..<(name.lastIndex(of: "/") ?? name.startIndex)] : "" }

    var checksum: String { Digest.hex(Digest.sha256(Array(sql.utf8))) }
}

/// A set of migrations that cannot be applied; the name says which file is at fault.
public enum MigrationRefused: Error, Equatable, CustomStringConvertible {
    case misnamed(String)
    case unreadable(String)
    case sameNumber(String, String)
    case changed(String)
    case late(String, after: String)

    public var description: String {
        switch self {
        case .misnamed(let name): "\(name) is not named like 0001-words.sql"
        case .unreadable(let path): "\(path) cannot be read"
        case .sameNumber(let first, let second): "\(first) and \(second) have the same number"
        case .changed(let name): "\(name) was changed after it had been applied; put the change into a new file"
        case .late(let name, let after):
            "\(name) was added below \(after), which is applied already; give it a new number"
        }
    }
}

/// Which migration comes next. Pure.
struct MigrationPlan {
    /// Sets in the order given, numbers growing within each.
    let migrations: [Migration]

    init(_ migrations: [Migration]) throws(MigrationRefused) {
        var sets: [Substring] = []
        for migration in migrations where !sets.contains(migration.set) { sets.append(migration.set) }
        var ordered: [Migration] = []
        for set in sets {
            let members = migrations.filter { $0.set == set }.sorted { ($0.number, $0.name) < ($1.number, $1.name) }
            for (one, next) in zip(members, members.dropFirst()) where one.number == next.number {
                throw .sameNumber(one.name, next.name)
            }
            ordered += members
        }
        self.migrations = ordered
    }

    /// - Parameter applied: checksums by name. One that is applied and no longer there is an older program's view of a
    ///   newer database, which is allowed.
    func next(applied: [String: String]) throws(MigrationRefused) -> Migration? {
        for migration in migrations {
            if let checksum = applied[migration.name], checksum != migration.checksum { throw .changed(migration.name) }
        }
        guard let next = migrations.first(where: { applied[$0.name] == nil }) else { return nil }
        let later = migrations.first { $0.set == next.set && $0.number > next.number && applied[$0.name] != nil }
        if let later { throw .late(next.name, after: later.name) }
        return next
    }
}
