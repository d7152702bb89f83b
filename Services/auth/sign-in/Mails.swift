import HTTP
import Messaging
import Postgres
import Runtime
import Shared

/// What auth writes to people.
enum Mail: Sendable {
    case verify(link: String)
    case reset(link: String)
    case passwordChanged
    case addressChanged
    case secondFactor(isOn: Bool)
    case deletionPlanned(at: Instant)
    case deletionCancelled
    case invitation(Invitation, from: String, token: String, accept: String)

    var subject: String {
        switch self {
        case .verify: "Confirm your e-mail address"
        case .reset: "Choose a new password"
        case .passwordChanged: "Your password was changed"
        case .addressChanged: "Your account has another e-mail address"
        case .secondFactor(true): "Your account asks for a code from now on"
        case .secondFactor(false): "Your account asks for no code any more"
        case .deletionPlanned: "Your account will be deleted"
        case .deletionCancelled: "Your account is kept"
        case .invitation: "You are invited to a workspace"
        }
    }

    /// Holds nothing a stranger chose, but for the names in an invitation: an account made with somebody else's address
    /// must not carry their words.
    var text: String {
        switch self {
        case .verify(let link):
            """
            Somebody, probably you, made an account with this e-mail address or gave it to one.
            Confirm that the address is yours:

            \(link)

            The link works once and for two days. If it was not you, do nothing.
            """
        case .reset(let link):
            """
            Somebody, probably you, asked for a new password for the account with this e-mail address.
            Choose one here:

            \(link)

            The link works once and for one hour. If it was not you, do nothing: your password stays as it is.
            """
        case .passwordChanged:
            """
            The password of your account was changed just now, and its other sessions were ended.

            If it was not you, ask for a new password at once, and look at your sessions and API keys.
            """
        case .addressChanged:
            """
            Your account has another e-mail address from now on. Nothing more will be sent to this one, and it opens the
            account no longer.

            If it was not you, somebody else is in your account: ask those who run this service to give it back to you.
            """
        case .secondFactor(true):
            """
            A second factor was added to your account: logging in takes a code from your telephone.

            If it was not you, change your password at once.
            """
        case .secondFactor(false):
            """
            The second factor of your account was taken away: the password alone opens it again.

            If it was not you, change your password at once.
            """
        case .deletionPlanned(let day):
            """
            Your account and everything in it will be deleted on \(day.iso), as was asked for with its password.

            To keep it, log in before then and send cancel_deletion: true with the password. If it was not you who asked,
            change your password afterwards.
            """
        case .deletionCancelled:
            """
            Your account is not going to be deleted: somebody logged in with its password and said so.

            If it was not you, change your password at once.
            """
        case .invitation(let invitation, let from, let token, let accept):
            """
            \(from) invites you to the workspace "\(invitation.workspaceName)" as \(invitation.role.rawValue).

            To accept, log in (or register) with this e-mail address and send this token to
            \(accept) :

            \(token)

            It works once, until \(invitation.expiresAt.iso). If you do not know why you were invited, do nothing.
            """
        }
    }

    /// How long it is worth trying to deliver.
    var lifetime: Duration {
        switch self {
        case .verify: Link.Kind.verify.lifetime
        case .reset: Link.Kind.reset.lifetime
        case .passwordChanged, .addressChanged, .secondFactor, .deletionPlanned, .deletionCancelled:
            .seconds(2 * 86_400)
        case .invitation: Invitation.lifetime
        }
    }
}

/// A one-use link in a mail. Its secret stands behind a `#`: browsers send that to nobody, so it is in no log, and what
/// fetches links before people do fetches a page and uses nothing up.
struct Link: Sendable {
    enum Kind: String, Sendable {
        case verify, reset

        var lifetime: Duration {
            switch self {
            case .verify: .seconds(2 * 86_400)
            case .reset: .seconds(3600)
            }
        }
    }

    let secret = Digest.randomToken(bytes: 32)
    var digest: [UInt8] { Link.digest(secret) }

    static func digest(_ secret: String) -> [UInt8] { Digest.sha256(Array(secret.utf8)) }
}

/// Rings when a mail was written, so that it goes out at once.
final class MailBell: Sendable {
    private let listener = Guarded<(@Sendable () -> Void)?>(nil)
    func ring() { listener.withLock { $0 }?() }
    func onRing(_ listen: @escaping @Sendable () -> Void) { listener.withLock { $0 = listen } }
}

extension Accounts {
    private var mailSeal: Seal { Seal(secret: keys.secret, purpose: "mails") }

    /// Writes a mail with the transaction that caused it.
    /// - Parameter user: with whose account it goes away; nil for an address nobody has: written, to take as long, and
    ///   never sent.
    func send(_ mail: Mail, to address: EmailAddress, of user: UserID?, _ tx: borrowing Transaction) {
        let plain: JSON = [
            "to": .string(address.text), "subject": .string(mail.subject), "text": .string(mail.text),
        ]
        MailStore.insert(
            EventID(), of: user, mailSeal.seal(plain.jsonBytes), expires: .now() + mail.lifetime, tx)
        let bell = mailBell
        tx.onCommit { bell.ring() }
    }

    /// Writes a one-use link and the mail that carries it.
    func sendLink(_ kind: Link.Kind, to address: EmailAddress, of user: UserID?, _ tx: borrowing Transaction) {
        let link = Link()
        LinkStore.insert(kind, link.digest, of: user, address, expires: .now() + kind.lifetime, tx)
        switch kind {
        case .verify: send(.verify(link: "\(settings.verifyPage)#token=\(link.secret)"), to: address, of: user, tx)
        case .reset: send(.reset(link: "\(settings.resetPage)#token=\(link.secret)"), to: address, of: user, tx)
        }
    }

    func open(_ due: MailStore.Due, from: MailMessage.Sender) -> MailMessage? {
        guard let plain = mailSeal.open(due.sealed), let json = try? JSON.parse(plain),
            let to = json["to"]?.string.flatMap({ EmailAddress($0) }), let subject = json["subject"]?.string,
            let text = json["text"]?.string
        else { return nil }
        return MailMessage(
            id: due.id.text, from: from, to: to, subject: subject, text: text + "\n", date: due.createdAt)
    }
}
