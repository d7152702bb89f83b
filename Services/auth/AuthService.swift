import Access
import HTTP
import Messaging
import Passwords
import Postgres
import Program
import Runtime
import Shared

/// People, sessions and tokens.
@main
enum AuthService {
    static func main() {
        Service.main("auth", commands: Program.commands("auth").merging(["create-superuser": createSuperuser]) { $1 }) {
            settings in
            let program = Program(settings, "auth", port: 8101)
            let accounts = try accounts(settings, program)
            let tokens = program.tokens(settings)
            try settings.check()
            return [
                program.storage,
                Keys(accounts.keys, program.log),
                program.relay(restate: [
                    .authRevocations: { tx in try await SessionStore.restate(tx) },
                    .authBlacklist: { tx in try await BlacklistStore.restate(tx) },
                ]),
                tokens,
                program.server(program.router(Routes.list(accounts), tokens: tokens)),
            ]
        }
    }

    private static func accounts(_ settings: Settings, _ program: Program) throws -> Accounts {
        let secret = settings.secret("SECRET_KEY", lengthMin: 32)
        // One thread a core: argon2 fills a core for 31 ms, more at once would only make each slower.
        let pool = Blocking(threads: EventLoopGroup.cores, queueMax: settings.int("LOGIN_QUEUE", default: 256))
        return Accounts(
            database: program.database,
            passwords: try Passwords(pool: pool) { Digest.randomBytes($0) },
            keys: SigningKeys(database: program.database, secret: secret),
            settings: .init(issuer: program.issuer, audience: Program.audience, publicURL: program.publicURL))
    }

    /// `auth create-superuser --email someone@example.com`, the password in AUTH_NEW_PASSWORD: an argument could be read
    /// by every user of the machine.
    private static let createSuperuser: Service.Command = { arguments, settings in
        let program = Program(settings, "auth", port: 8101)
        let accounts = try accounts(settings, program)
        let password = settings.secret("AUTH_NEW_PASSWORD")
        try settings.check()
        guard arguments.count == 2, arguments[0] == "--email", let email = EmailAddress(arguments[1]) else {
            throw Program.Usage(text: "usage: AUTH_NEW_PASSWORD=… auth create-superuser --email someone@example.com")
        }
        let made = try await accounts.createSuperuser(email, password: password)
        Program.say(
            made ? "\(email.text) is an admin now." : "\(email.text) was an admin already; the password is set anew.")
    }
}

/// Keeps the signing keys loaded and rotated.
private final class Keys: Component {
    let name = "keys"
    private let keys: SigningKeys
    private let log: Log

    init(_ keys: SigningKeys, _ log: Log) {
        self.keys = keys
        self.log = log
    }

    func start(on group: EventLoopGroup) async throws {
        try await keys.refresh()
        group.loops[0].spawn("keys") { [keys, log] in
            while !Task.isCancelled {
                do {
                    // Twice within the time a fresh key is published before it signs.
                    try await EventLoop.sleep(for: SigningKeys.publishedFirst / 2)
                    try await keys.refresh()
                } catch is CancellationError {
                    return
                } catch {
                    log.warn("keys.not_refreshed", ("error", "\(error)"))
                }
            }
        }
    }
}
