import Counters
import Runtime
import Shared

/// One-use tickets for sockets: a ticket in a URL may end up in a log, and is then worth nothing.
///
/// A ticket is the access token sealed with SECRET_KEY, so any gateway can redeem it. That it is used once each gateway sees
/// to for itself, and all together where they share ``Counters``.
final class Tickets: Sendable {
    static let lifetime: Duration = .seconds(30)

    private let seal: Seal
    private let secret: String
    private let counters: Counters?
    private let used = Guarded<[String: Instant]>([:])

    init(secret: String, together counters: Counters? = nil) {
        self.secret = secret
        self.counters = counters
        seal = Seal(secret: secret, purpose: "socket tickets")
    }

    func issue(_ token: String, until: Instant) -> (text: String, expires: Instant) {
        let expires = min(Instant.now() + Self.lifetime, until)
        let plain = JSON.object(["t": .string(token), "e": .int(expires.microseconds)]).jsonBytes
        return (Digest.base64URL(seal.seal(plain)), expires)
    }

    /// The token behind a ticket; nil when it is none of ours, too old or used.
    func redeem(_ ticket: String, now: Instant = .now()) async -> String? {
        guard let token = redeemHere(ticket, now: now) else { return nil }
        guard let counters else { return token }
        // Longer than a ticket lives.
        return await counters.isFirst(.init("ticket\0\(ticket)", secret: secret), seconds: 60) == false ? nil : token
    }

    private func redeemHere(_ ticket: String, now: Instant) -> String? {
        guard ticket.utf8.count < 16_384, let sealed = Digest.decodeBase64URL(ticket), let plain = seal.open(sealed),
            let json = try? JSON.parse(plain), let token = json["t"]?.string, let end = json["e"]?.int,
            Instant(microseconds: Int64(end)) > now
        else { return nil }
        let mark = Digest.hex(Digest.sha256(ticket))
        return used.withLock { used in
            for (old, expires) in used where expires < now { used[old] = nil }
            guard used[mark] == nil else { return nil }
            used[mark] = Instant(microseconds: Int64(end))
            return token
        }
    }
}
