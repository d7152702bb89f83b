import Glibc
import HTTP
import Kafka
import Messaging
import Runtime
import Shared
import Synchronization

/// Says who a request's token belongs to, without asking anyone: the keys come from auth once, what was revoked comes
/// over Kafka, and what was verified is remembered until it expires.
public final class TokenVerifier: Component {
    public let name = "tokens"

    public struct Settings: Sendable {
        /// Where the key set is published: any replica of auth.
        public var keySetURLs: [String]
        public var issuer: String
        public var audience: String

        public init(keySetURLs: [String], issuer: String, audience: String) {
            self.keySetURLs = keySetURLs
            self.issuer = issuer
            self.audience = audience
        }
    }

    private let settings: Settings
    private let client: Client
    private let log: Log
    let revocations = Revocations()
    private let broadcast: Broadcast
    private let keys = Guarded<Keys>(Keys())
    private let cache = TokenCache()
    /// What was revoked is known. Before, a revoked token could not be told from a good one.
    private let isLoaded = Atomic<Bool>(false)

    private struct Keys {
        var set: KeySet?
        /// When the set was last asked for, in vain or not: strangers cannot make us ask more often.
        var askedAt: ContinuousClock.Instant?
    }

    /// A token with an unknown key makes us look for new keys at most this often.
    private static let askEvery: Duration = .seconds(5)

    public init(_ settings: Settings, kafka: KafkaSettings, client: Client = Client(), log: Log) {
        self.settings = settings
        self.client = client
        self.log = log
        let revocations = revocations
        broadcast = Broadcast(
            name: "revocations", topics: [.authRevocations], from: .beginning, kafka: kafka.unhurried, log: log
        ) { envelope in
            // A tombstone: the revocation has outlived every token it concerned.
            guard envelope.payload != nil else { return }
            revocations.add(try envelope.event(as: RevocationEvent.self))
        }
    }

    /// A verifier with given keys that does not wait for revocations, for tests.
    public static func fixed(_ keys: KeySet, issuer: String, audience: String, kafka: KafkaSettings, log: Log)
        -> TokenVerifier
    {
        let verifier = TokenVerifier(
            Settings(keySetURLs: [], issuer: issuer, audience: audience), kafka: kafka, log: log)
        verifier.keys.withLock { $0.set = keys }
        verifier.isLoaded.store(true, ordering: .releasing)
        return verifier
    }

    // MARK: Component

    /// Returns when the revocations are loaded: until then no token is accepted. Keys may come later, when the first token
    /// asks for them.
    public func start(on group: EventLoopGroup) async throws {
        try await broadcast.start(on: group)
        isLoaded.store(true, ordering: .releasing)
    }
    public func stop(deadline: Duration) async { await broadcast.stop(deadline: deadline) }
    public func unready() -> String? { broadcast.unready() }

    /// Called, on some loop, with each revocation as it arrives: who holds sockets open closes those concerned.
    public func onRevocation(_ tell: @escaping @Sendable (RevocationEvent) -> Void) { revocations.listen(tell) }

    // MARK: Verifying

    /// Who sent the request, by `Authorization: Bearer`.
    /// - Throws: 401.
    public func authenticate(_ request: Request) async throws -> Principal {
        guard let header = request.headers["Authorization"] else { throw Problem.unauthorized() }
        guard header.utf8.count > 7, header.prefix(7).lowercased() == "bearer " else {
            throw Problem.unauthorized("Send the access token as `Authorization: Bearer <token>`.")
        }
        return try await verify(String(header.dropFirst(7)))
    }

    /// The same at once, for a token that was verified before; nil when there is none or it takes more to tell.
    /// - Throws: 401 when it has been revoked since.
    public func remembered(_ request: Request) throws(Problem) -> Principal? {
        guard let token = request.bearerOctets, let known = cache.find(token, now: .now()) else { return nil }
        return try revocations.check(known)
    }

    /// Who the access token belongs to.
    /// - Throws: 401; 503 when the revocations or the keys could not be fetched yet.
    public func verify(_ token: String) async throws -> Principal {
        guard isLoaded.load(ordering: .acquiring) else {
            throw Problem.unavailable("Tokens cannot be checked yet; try again in a moment.")
        }
        let now = Instant.now()
        let octets = Array(token.utf8)
        if let known = cache.find(octets, now: now) {
            return try revocations.check(known)
        }
        let claims = try await claims(token, now: now)
        let verified = Verified(claims)
        cache.add(octets, verified)
        return try revocations.check(verified)
    }

    private func claims(_ token: String, now: Instant) async throws -> Claims {
        var isRetry = false
        while true {
            let set: KeySet
            if let known = keys.withLock({ $0.set }) { set = known } else { set = try await fetch() }
            do {
                return try set.verify(token, now: now, issuer: settings.issuer, audience: settings.audience)
            } catch TokenError.unknownKey where !isRetry && mayAsk() {
                // Signed with a key newer than our set, or by a stranger.
                isRetry = true
                _ = try await fetch()
            } catch {
                log.debug("token.refused", ("reason", "\(error)"))
                if case TokenError.expired = error { throw Problem.unauthorized("The token has expired; refresh it.") }
                throw Problem.unauthorized("The token is not valid.")
            }
        }
    }

    private func mayAsk() -> Bool {
        keys.withLock { keys in
            guard !settings.keySetURLs.isEmpty else { return false }
            return keys.askedAt.map { $0.duration(to: .now) >= Self.askEvery } ?? true
        }
    }

    private func fetch() async throws -> KeySet {
        keys.withLock { $0.askedAt = .now }
        for url in settings.keySetURLs {
            do {
                var request = ClientRequest.get(url + "/.well-known/jwks.json")
                request.timeout = .seconds(3)
                request.bodyMax = 65_536
                let response = try await client.send(request)
                guard response.isSuccess else { continue }
                let set = try KeySet(jwks: response.json())
                keys.withLock { $0.set = set }
                return set
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                log.warn("keys.not_fetched", ("url", "\(url)"), ("error", "\(error)"))
            }
        }
        throw Problem.unavailable("Tokens cannot be checked at the moment; try again.")
    }
}

/// A token that was verified, and what of it can be revoked.
struct Verified: Sendable {
    let principal: Principal
    let issuedAt: Instant

    init(_ claims: Claims) {
        principal = claims.principal
        issuedAt = claims.issuedAt
    }
}

/// What no longer counts although it has not expired.
final class Revocations: Sendable {
    private struct State {
        /// Until when each is remembered: a session or a key never comes back.
        var sessions: [SessionID: Instant] = [:]
        var keys: [APIKeyID: Instant] = [:]
        /// Their tokens up to `at` are void; later ones count.
        var users: [UserID: (at: Instant, until: Instant)] = [:]
        var added = 0
        var listeners: [@Sendable (RevocationEvent) -> Void] = []

        mutating func add(_ event: RevocationEvent) {
            switch event.kind {
            case .session: SessionID(event.id).map { sessions[$0] = event.until }
            case .key: APIKeyID(event.id).map { keys[$0] = event.until }
            case .user:
                guard let user = UserID(event.id) else { return }
                users[user] = (max(event.at, users[user]?.at ?? event.at), event.until)
            }
        }

        /// What has outlived its tokens.
        mutating func forget(_ now: Instant) {
            sessions = sessions.filter { $0.value >= now }
            keys = keys.filter { $0.value >= now }
            users = users.filter { $0.value.until >= now }
        }
    }

    private let state = Guarded<State>(State())

    func add(_ event: RevocationEvent) {
        let listeners = state.withLock { state in
            let now = Instant.now()
            if event.until > now { state.add(event) }
            state.added += 1
            if state.added.isMultiple(of: 256) { state.forget(now) }
            return state.listeners
        }
        for tell in listeners { tell(event) }
    }

    func listen(_ tell: @escaping @Sendable (RevocationEvent) -> Void) {
        state.withLock { $0.listeners.append(tell) }
    }

    /// - Throws: 401 when the token was issued before its session, its person or its key was revoked.
    func check(_ verified: Verified) throws(Problem) -> Principal {
        let principal = verified.principal
        let isRevoked = state.withLock { state in
            if let session = principal.session, state.sessions[session] != nil { return true }
            if let key = principal.apiKey, state.keys[key] != nil { return true }
            return state.users[principal.user].map { verified.issuedAt <= $0.at } ?? false
        }
        if isRevoked { throw .unauthorized("This session has ended; log in again.") }
        return principal
    }
}

/// Verified tokens until they expire. Sharded, so that loops rarely meet.
final class TokenCache: Sendable {
    private static let shardCount = 16
    /// Per shard; at about 1 KiB each no more than some 16 MiB in all.
    private static let tokensMax = 1_024

    private let shards: [Shard]

    private final class Shard: Sendable {
        let tokens = Guarded<[Key: Verified]>([:])
    }

    /// A token, told apart by the end of its signature, which is as good as random: only verified tokens are kept, so
    /// nobody can choose many that end alike.
    private struct Key: Hashable {
        let octets: [UInt8]

        static func == (a: Key, b: Key) -> Bool {
            a.octets.count == b.octets.count
                && a.octets.withUnsafeBytes { one in
                    b.octets.withUnsafeBytes { other in
                        guard let one = one.baseAddress, let other = other.baseAddress else { return true }
                        return memcmp(one, other, a.octets.count) == 0
                    }
                }
        }

        func hash(into hasher: inout Hasher) {
            octets.withUnsafeBytes { all in
                guard all.count >= 16 else { return }
                hasher.combine(all.loadUnaligned(fromByteOffset: all.count - 16, as: UInt64.self))
                hasher.combine(all.loadUnaligned(fromByteOffset: all.count - 8, as: UInt64.self))
            }
        }
    }

    init() { shards = (0..<Self.shardCount).map { _ in Shard() } }

    func find(_ token: [UInt8], now: Instant) -> Verified? {
        let key = Key(octets: token)
        return shard(token).tokens.withLock { tokens in
            guard let known = tokens[key] else { return nil }
            if known.principal.expires > now { return known }
            tokens[key] = nil
            return nil
        }
    }

    func add(_ token: [UInt8], _ verified: Verified) {
        shard(token).tokens.withLock { tokens in
            if tokens.count >= Self.tokensMax {
                let now = Instant.now()
                tokens = tokens.filter { $0.value.principal.expires > now }
                if tokens.count >= Self.tokensMax { tokens.removeAll(keepingCapacity: true) }
            }
            tokens[Key(octets: token)] = verified
        }
    }

    /// By the end of the signature too.
    private func shard(_ token: [UInt8]) -> Shard { shards[Int(token.last ?? 0) % Self.shardCount] }
}
