import HTTP
import Messaging
import Passwords
import Postgres
import Shared

/// What the endpoints of this program share: the store, the hasher, the keys and the life of a session.
struct Accounts: Sendable {
    let database: Database
    let passwords: Passwords
    let keys: SigningKeys
    let settings: Settings
    var throttle = Throttle()
    let mailBell = MailBell()

    struct Settings: Sendable {
        var issuer: String
        var audience: String
        /// What mails lead to.
        var publicURL = "http://localhost:8000"
        /// Seconds an access token lives: long enough to be cached, short enough that a lost one matters little.
        var accessLifetime: Duration = .seconds(15 * 60)
        /// A session ends after this long without a refresh of its own expiry: people log in once a month.
        var sessionLifetime: Duration = .seconds(30 * 24 * 3600)
        /// Whether an unverified address keeps people from logging in.
        var requireVerification = false
        /// Passwords that have leaked, if there is a list.
        var breached: BreachedPasswords?
        /// What a telephone's list of codes calls us.
        var serviceName = "Switchboard"
        /// Where the links in mails lead; the secret is put behind as `#token=…`.
        var verifyPage = "http://localhost:8000/api/auth/verify-email/"
        var resetPage = "http://localhost:8000/api/auth/password/reset/confirm/"
    }

    /// A session that is being opened or refreshed: what its tokens will say.
    struct Opened: Sendable {
        var session: SessionID
        var refresh: String
        var memberships: AccountStore.Memberships
    }

    /// Opens a session inside the transaction that holds the person.
    func openSession(
        for held: AccountStore.Held, from client: ClientInfo, _ tx: borrowing Transaction
    ) -> Opened {
        let (user, memberships) = (held.account.id, held.memberships)
        let session = SessionID()
        let refresh = Digest.randomToken(bytes: 32)
        SessionStore.open(
            session, of: user, from: client, refresh: Digest.sha256(Array(refresh.utf8)),
            lifetime: settings.sessionLifetime, tx)
        // It stands in every index that people are listed by: a program that logs in for each thing it does would write
        // little else.
        if held.account.lastLogin.map({ memberships.readAt - $0 > .seconds(60) }) ?? true {
            AccountStore.noteLogin(of: user, tx)
        }
        return Opened(session: session, refresh: refresh, memberships: memberships)
    }

    /// `{access, refresh, token_type, expires_in, user}`: what log-in, register and refresh answer.
    func answer(_ account: Account, _ opened: Opened) async throws -> TokenAnswer {
        let issued = opened.memberships.readAt
        let access = try await keys.sign(
            Claims(
                subject: account.id, role: account.role, staff: account.isStaff, session: opened.session,
                workspaces: opened.memberships.roles, issuer: settings.issuer, audience: settings.audience,
                issuedAt: issued, expires: issued + settings.accessLifetime))
        return TokenAnswer(
            access: access, refresh: opened.refresh, expiresIn: settings.accessLifetime.components.seconds,
            user: account)
    }
}

struct TokenAnswer: JSONWritable, Sendable {
    var access: String
    var refresh: String
    var expiresIn: Int64
    var user: Account

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("access", access)
            json.field("refresh", refresh)
            json.field("token_type", "Bearer")
            json.field("expires_in", expiresIn)
            json.field("user", user)
        }
    }
}

extension ClientInfo {
    /// Whether it comes from a device: what a throttle may tell apart.
    func device(of login: String) -> Throttle.Key { .device(login, address: address, userAgent: userAgent) }

    /// The caller's address as the gateway reports it, and the browser's name for itself, both capped.
    init(_ request: Request) {
        let forwarded = request.headers["X-Forwarded-For"]?.split(separator: ",").first.map {
            String($0.drop { $0 == " " })
        }
        self.init(
            address: String((forwarded ?? request.peer).prefix(64)),
            userAgent: String((request.headers["User-Agent"] ?? "").prefix(300)))
    }
}
