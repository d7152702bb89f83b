import Glibc
import Messaging
import Postgres
import Runtime
import Shared

/// The commands every program with a database has.
extension Program {
    /// - Parameter consumer: handles dead letters that are tried again; nil for a program that consumes nothing.
    public static func commands(
        _ name: String, consumer: (@Sendable (Settings, Database) throws -> Consumer)? = nil
    ) -> [String: Service.Command] {
        var commands: [String: Service.Command] = [
            "migrate": { _, settings in
                let database = database(settings, name)
                let directory = settings.optional("MIGRATIONS_DIR") ?? migrations(of: name)
                try settings.check()
                guard let directory else { throw NoMigrations(program: name) }
                try await Migrations.run(
                    database: database, directory: directory, extra: MessagingSchema.migrations,
                    log: Log(program: name))
            },
            "replay": { arguments, settings in
                let database = database(settings, name)
                try settings.check()
                guard arguments.count == 2, arguments[0] == "--since", let since = Instant(iso: arguments[1]) else {
                    throw Usage(text: "usage: \(name) replay --since 2026-01-31T08:00:00Z")
                }
                let count = try await Replay.mark(since: since, database)
                say("\(count) events since \(since.iso) will be sent again.")
            },
        ]
        commands["dead"] = { arguments, settings in
            let database = database(settings, name)
            let handler = try consumer.map { try $0(settings, database) }
            try settings.check()
            switch arguments.first {
            case "list":
                for letter in try await DeadLetters.list(database) {
                    say(
                        "\(letter.id)  \(letter.at.iso)  \(letter.topic)  \(letter.type)  \(letter.key)  \(letter.error)"
                    )
                }
            case "retry":
                guard let handler else { throw Usage(text: "\(name) consumes nothing, so it has no dead letters") }
                var id: EventID?
                if arguments.count > 1 {
                    guard let given = EventID(arguments[1]) else {
                        throw Usage(text: "\(arguments[1]) is no event id; see: \(name) dead list")
                    }
                    id = given
                }
                say("\(try await handler.retryDead(id)) events handled.")
            default:
                throw Usage(text: "usage: \(name) dead list | dead retry [id]")
            }
        }
        return commands
    }

    /// A command was called wrongly; the text says how it is called.
    public struct Usage: Error, CustomStringConvertible {
        public let text: String
        public init(text: String) { self.text = text }
        public var description: String { text }
    }

    struct NoMigrations: Error, CustomStringConvertible {
        let program: String
        var description: String {
            "the folder Services/\(program)/migrations was found neither above the program nor above here; set MIGRATIONS_DIR"
        }
    }

    /// `Services/<program>/migrations`, looked for upwards from the executable and from the working directory.
    public static func migrations(of program: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let executable = String(decoding: buffer.prefix(max(0, length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        var working = [CChar](repeating: 0, count: 4096)
        let directory =
            getcwd(&working, working.count) == nil
            ? "" : String(decoding: working.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        for start in [executable, directory + "/x"] {
            var parts = start.split(separator: "/").dropLast()
            while !parts.isEmpty {
                let candidate = "/" + parts.joined(separator: "/") + "/Services/\(program)/migrations"
                if access(candidate, R_OK) == 0 { return candidate }
                parts = parts.dropLast()
            }
        }
        return nil
    }

    /// A line for whoever ran the command.
    public static func say(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    }
}
