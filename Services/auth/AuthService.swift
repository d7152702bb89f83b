import Access
import HTTP
import Messaging
import Passwords
import Pictures
import Postgres
import Program
import Runtime
import Shared

/// People, sessions and tokens.
@main
enum AuthService {
    static func main() {
        let commands = Program.commands("auth") { settings, _ in consumer(Program(settings, "auth", port: 8101)) }
            .merging(["create-superuser": createSuperuser, "picture": decodePicture, "hash": computeHashes]) { $1 }
        Service.main("auth", commands: commands) { settings in
            let program = Program(settings, "auth", port: 8101)
            let accounts = try accounts(settings, program)
            let tokens = program.tokens(settings)
            let mailer = Mailer(accounts, way: way(settings), from: sender(settings, program), log: program.log)
            let personal = personal(settings, program, accounts)
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
                consumer(program),
                program.erasing([]),
                Deletions(personal),
                Exporting(personal),
                tokens,
                program.server(program.router(Routes.list(accounts) + personal.routes, tokens: tokens)),
            ]
        }
    }

    private static func accounts(_ settings: Settings, _ program: Program) throws -> Accounts {
        let secret = settings.secret("SECRET_KEY", lengthMin: 32)
        // Argon2 fills a core for 13 ms; one core is left to everybody else (decision 0027).
        let pool = Blocking(
            threads: max(1, EventLoopGroup.cores - 1), queueMax: settings.int("LOGIN_QUEUE", default: 256))
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
        made.accessLifetime = .seconds(settings.int("ACCESS_TOKEN_SECONDS", default: 900, in: 1...3600))
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

    /// Auth's own tables are cleared in the transaction that deletes somebody; what is left are events.
    private static func consumer(_ program: Program) -> Consumer {
        program.consumer(ErasureBook.topics) { envelope, tx in try await ErasureBook.react(to: envelope, tx) }
    }

    private static func personal(_ settings: Settings, _ program: Program, _ accounts: Accounts) -> Personal {
        let days = settings.double("ACCOUNT_DELETION_GRACE_DAYS", default: 14, in: 0...3650)
        var policy = Personal.Policy()
        policy.grace = .seconds(days * 86_400)
        policy.askAgain = settings.duration("ERASURE_ASK_AGAIN", default: policy.askAgain)
        policy.exportKept = .seconds(settings.int("EXPORT_KEPT_DAYS", default: 7, in: 1...365) * 86_400)
        policy.programs = [
            ("billing", settings.urls("BILLING_URLS", default: ["http://127.0.0.1:8102"])),
            ("telephony", settings.urls("TELEPHONY_URLS", default: ["http://127.0.0.1:8103"])),
            ("qa-analytics", settings.urls("QA_ANALYTICS_URLS", default: ["http://127.0.0.1:8104"])),
            ("knowledge", settings.urls("KNOWLEDGE_URLS", default: ["http://127.0.0.1:8105"])),
            ("realtime", settings.urls("REALTIME_URLS", default: ["http://127.0.0.1:8106"])),
        ]
        // Two pictures at once: each may take a core and some 200 MB for a moment.
        return Personal(
            accounts: accounts, pictures: Pictures(pool: Blocking(threads: 2, queueMax: 16)), policy: policy,
            log: program.log)
    }

    /// `auth hash`: what `Passwords` keeps and asks, without settings or secrets.
    private static let computeHashes: Service.Command = { _, _ in Passwords.compute() }

    /// `auth picture`: what `Pictures` starts for each file, without settings or secrets.
    private static let decodePicture: Service.Command = { _, _ in
        let status = Pictures.decode()
        if status != 0 { throw Undecodable() }
    }

    private struct Undecodable: Error, CustomStringConvertible { let description = "no picture that can be decoded" }

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
