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
            let mailer = Mailer(accounts, way: way(settings), from: sender(settings, program), log: program.log)
            try settings.check()
            return [
                program.storage,
                Keys(accounts.keys, program.log),
                Housekeeping(program.database, program.log),
                mailer,
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
        let pool = Blocking(
            threads: EventLoopGroup.cores, queueMax: settings.int("LOGIN_QUEUE", default: 256), priority: .background)
        return Accounts(
            database: program.database,
            passwords: try Passwords(pool: pool) { Digest.randomBytes($0) },
            keys: SigningKeys(database: program.database, secret: secret),
            settings: try signInSettings(settings, program),
            throttle: Throttle(perAddress: settings.int("LOGIN_FAILURES_PER_ADDRESS", default: 100)))
    }

    private static func signInSettings(_ settings: Settings, _ program: Program) throws -> Accounts.Settings {
        var made = Accounts.Settings(
            issuer: program.issuer, audience: Program.audience, publicURL: program.publicURL)
        made.requireVerification = settings.bool("REQUIRE_EMAIL_VERIFICATION", default: false)
        made.breached = try settings.optional("BREACHED_PASSWORDS_FILE").map { try BreachedPasswords(path: $0) }
        made.serviceName = settings.string("SERVICE_NAME", default: made.serviceName)
        let own = program.publicURL + "/api/auth"
        func page(_ name: String, default own: String) -> String {
            settings.value(name, default: own, "the URL of a page") { $0.hasPrefix("http") ? $0 : nil }
        }
        made.verifyPage = page("VERIFY_EMAIL_PAGE", default: own + "/verify-email/")
        made.resetPage = page("RESET_PASSWORD_PAGE", default: own + "/password/reset/confirm/")
        return made
    }

    private static func way(_ settings: Settings) -> Mailer.Way {
        let port = settings.int("EMAIL_PORT", default: 587, in: 1...65_535)
        let usesTLS = settings.bool("EMAIL_USE_TLS", default: true)
        let server = settings.optional("EMAIL_HOST").map {
            MailServer(
                host: $0, port: port, security: !usesTLS ? .none : port == 465 ? .tls : .startTLS,
                user: settings.optional("EMAIL_HOST_USER"), password: settings.optional("EMAIL_HOST_PASSWORD"),
                authorities: settings.optional("EMAIL_CA_FILE"))
        }
        if let server { return .server(server) }
        return settings.optional("EMAIL_MAILDIR").map { .folder(Maildir(path: $0)) } ?? .none
    }

    /// EMAIL_FROM, or else the address that logs in to the mail server, or else one at PUBLIC_URL's host.
    private static func sender(_ settings: Settings, _ program: Program) -> MailMessage.Sender? {
        let host = program.publicURL.split(separator: "/").dropFirst().first.map { $0.prefix { $0 != ":" } } ?? ""
        let own = EmailAddress("no-reply@\(host)") ?? EmailAddress("no-reply@switchboard.example")
        let named = own.map { MailMessage.Sender(name: "Switchboard", address: $0) }
        let user = settings.optional("EMAIL_HOST_USER").flatMap { MailMessage.Sender($0) }
        return settings.value("EMAIL_FROM", default: user ?? named, "an address such as Us <no-reply@example.com>") {
            MailMessage.Sender($0).map(Optional.some)
        }
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
