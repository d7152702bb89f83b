import Access
import HTTP
import Kafka
import Messaging
import Postgres
import Runtime
import Shared

/// What every program with a database stands on, read from the same settings under the same names.
public struct Program: Sendable {
    public let name: String
    public let host: String
    public let port: Int
    public let publicURL: String
    public let log: Log
    public let database: Database
    public let kafka: KafkaSettings
    public let issuer: String

    /// Who tokens are meant for; one value for the whole system.
    public static let audience = "switchboard"

    /// - Parameter port: where it listens unless `PORT` says otherwise.
    public init(_ settings: Settings, _ name: String, port: Int) {
        self.name = name
        host = settings.string("HOST", default: "0.0.0.0")
        self.port = settings.int("PORT", default: port, in: 0...65_535)
        publicURL = settings.url("PUBLIC_URL", default: "http://localhost:8000")
        issuer = settings.string("JWT_ISSUER", default: publicURL)
        log = Log(program: name, least: settings.choice("LOG_LEVEL", default: Log.Level.info))
        database = Program.database(settings, name)
        kafka = KafkaSettings(settings, clientID: name)
    }

    static func database(_ settings: Settings, _ name: String) -> Database {
        Database(
            url: databaseURL(settings),
            // Two loops with eight connections each serve 16 transactions at once; PostgreSQL's default of 100 holds
            // six programs with a replica each.
            poolMax: settings.int("DATABASE_POOL", default: 8, in: 1...100), application: name)
    }

    private static func databaseURL(_ settings: Settings) -> String {
        let text = settings.string("DATABASE_URL")
        let schemes = ["postgresql://", "postgres://"]
        return settings.optional("DATABASE_URL", "a URL such as postgresql://user:password@host:5432/name") { text in
            schemes.contains(where: text.hasPrefix) ? text : nil
        } ?? text
    }

    /// Checks tokens by auth's published keys.
    public func tokens(_ settings: Settings) -> TokenVerifier {
        TokenVerifier(
            .init(
                keySetURLs: settings.urls("AUTH_URLS", default: ["http://127.0.0.1:8101"]), issuer: issuer,
                audience: Program.audience),
            kafka: kafka, log: log)
    }

    public func router(_ routes: [Route], tokens: TokenVerifier) -> Router {
        Router(
            routes, program: name, authenticate: { try await tokens.authenticate($0) },
            idempotency: .postgres(database), log: log)
    }

    public func server(_ router: Router) -> Server { Server(port: port, host: host, router: router) }

    public func relay(restate: [Topic: Relay.Restate] = [:]) -> Relay {
        Relay(database: database, kafka: kafka, program: name, restate: restate, log: log)
    }

    /// - Parameter unhurried: nobody waits for what it does.
    public func consumer(
        _ topics: [Topic], name: String = "consumer", unhurried: Bool = false, _ handle: @escaping Consumer.Handler
    ) -> Consumer {
        Consumer(
            self.name, name: name, topics: topics, database: database, kafka: unhurried ? kafka.unhurried : kafka,
            log: log, handle: handle)
    }

    public func batchConsumer(_ topics: [Topic], _ handle: @escaping Consumer.BatchHandler) -> Consumer {
        .ofBatches(name, topics: topics, database: database, kafka: kafka, log: log, handle: handle)
    }

    /// The database as a part of the program: ready when it answers, closed last.
    public var storage: any Component { Storage(database: database, log: log) }
}

/// Waits for the database at start and looks after it.
///
/// Sendable because the lock guards what was told.
private final class Storage: Component, @unchecked Sendable {
    let name = "database"
    private let database: Database
    private let log: Log
    private let lock = Lock()
    /// Why it does not answer yet; nil once it has.
    private var waitsFor: String? = "does not answer yet"

    init(database: Database, log: Log) {
        self.database = database
        self.log = log
    }

    func start(on group: EventLoopGroup) async throws {
        var failures = 0
        while true {
            do { try await database.ping(); break } catch is CancellationError { throw CancellationError() } catch {
                failures += 1
                tell("\(error)")
                if failures == 1 || failures % 20 == 0 { log.warn("database.waiting", ("error", "\(error)")) }
                try await EventLoop.sleep(for: Retry.forever.delay(after: failures))
            }
        }
        tell(nil)
        try await database.start(on: group)
    }

    func stop(deadline: Duration) async { await database.stop(deadline: deadline) }
    func unready() -> String? { lock.withLock { waitsFor } ?? database.unready() }

    private func tell(_ reason: String?) { lock.withLock { waitsFor = reason } }
}
