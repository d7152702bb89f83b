import HTTP
import Kafka
import Messaging
import Runtime
import Shared
import TestSupport
import Testing

@testable import Access

private let issuer = "https://test"

private func claims(_ user: UserID = UserID(), session: SessionID = SessionID(), lives: Duration = .seconds(60))
    -> Claims
{
    let now = Instant.now()
    return Claims(
        subject: user, role: .user, session: session, issuer: issuer, audience: "switchboard", issuedAt: now,
        expires: now + lives)
}

@Suite struct TokenVerifierTests {
    private func verifier(_ key: SigningKey) -> TokenVerifier {
        .fixed(
            KeySet(keys: [key]), issuer: issuer, audience: "switchboard",
            kafka: KafkaSettings(brokers: "127.0.0.1:1", profile: .local, clientID: "test"),
            log: Log(program: "test", least: .error))
    }

    @Test func `a good token says who it is, the second time without asking the key`() async throws {
        let key = try SigningKey.generate()
        let claims = claims()
        let token = try key.sign(claims)
        try await onLoop {
            let verifier = verifier(key)
            for _ in 0..<2 {
                let found = try await verifier.verify(token)
                #expect(found.user == claims.subject)
            }
            await #expect(throws: Problem.self) { try await verifier.verify(token + "x") }
        }
    }

    @Test func `while nobody knows what was revoked no token is accepted`() async throws {
        try await onLoop {
            let key = try SigningKey.generate()
            let verifier = TokenVerifier(
                .init(keySetURLs: [], issuer: issuer, audience: "switchboard"),
                kafka: KafkaSettings(brokers: "127.0.0.1:1", profile: .local, clientID: "test"),
                log: Log(program: "test", least: .error))
            let token = try key.sign(claims())
            let problem = await #expect(throws: Problem.self) { _ = try await verifier.verify(token) }
            #expect(problem?.code == .serviceUnavailable)
        }
    }

    @Test func `a cached token stops counting when it expires`() {
        let cache = TokenCache()
        let verified = Verified(claims(lives: .seconds(10)))
        let token = Array("token".utf8)
        cache.add(token, verified)
        #expect(cache.find(token, now: .now()) != nil)
        #expect(cache.find(token, now: .now() + .seconds(11)) == nil)
        #expect(cache.find(token, now: .now()) == nil)
    }

    @Test func `tokens that end alike are still told apart`() {
        let cache = TokenCache()
        let end = String(repeating: "e", count: 16)
        let (one, two) = (Array("1\(end)".utf8), Array("2\(end)".utf8))
        let (ann, bob) = (Verified(claims()), Verified(claims()))
        cache.add(one, ann)
        #expect(cache.find(two, now: .now()) == nil)
        cache.add(two, bob)
        #expect(cache.find(one, now: .now())?.principal.user == ann.principal.user)
        #expect(cache.find(two, now: .now())?.principal.user == bob.principal.user)
    }

    @Test func `a token is remembered once it was verified, and only sent as it was`() async throws {
        let key = try SigningKey.generate()
        let claims = claims()
        let token = try key.sign(claims)
        try await onLoop {
            let verifier = verifier(key)
            func remembered(_ header: String) throws -> UserID? {
                try verifier.remembered(Request(.get, "/", headers: ["Authorization": header]))?.user
            }
            #expect(try remembered("Bearer \(token)") == nil)
            _ = try await verifier.verify(token)
            #expect(try remembered("Bearer \(token)") == claims.subject)
            #expect(try remembered("bEARER \(token)") == claims.subject)
            for other in ["Basic \(token)", "Bearer  \(token)", "Bearer \(token)x", "Bearer\(token)", "Bearer ", token]
            {
                #expect(try remembered(other) == nil, "\(other)")
            }
            #expect(try verifier.remembered(Request(.get, "/")) == nil)
        }
    }

    @Test func `the cache forgets rather than grow`() {
        let cache = TokenCache()
        for number in 0..<40_000 { cache.add(Array("token\(number)".utf8), Verified(claims())) }
        let known = (0..<40_000).count { cache.find(Array("token\($0)".utf8), now: .now()) != nil }
        #expect(known <= 16 * 1_024)
        #expect(known > 0)
    }

    @Test func `a revoked session is refused, a later log-in of the same person is not`() throws {
        let revocations = Revocations()
        let user = UserID()
        let session = SessionID()
        let (old, new) = (Verified(claims(user, session: session)), Verified(claims(user)))
        revocations.add(RevocationEvent(kind: .session, id: session.text, at: .now(), until: .now() + .seconds(60)))
        #expect(throws: Problem.self) { try revocations.check(old) }
        #expect(try revocations.check(new).user == user)
        revocations.add(
            RevocationEvent(kind: .user, id: user.text, at: .now() + .seconds(1), until: .now() + .seconds(60)))
        #expect(throws: Problem.self) { try revocations.check(new) }
    }

    @Test func `a token issued in the second of a revocation, but after it, counts, also as it is read back`() throws {
        let key = try SigningKey.generate()
        let user = UserID()
        // The same millisecond: half before, half after.
        let cut = Instant(microseconds: Instant.now().microseconds / 1000 * 1000 + 500)
        let event = RevocationEvent(kind: .user, id: user.text, at: cut, until: cut + .seconds(60))
        let revocations = Revocations()
        revocations.add(try RevocationEvent(type: event.type, json: try JSON.parse(event.jsonBytes)))
        for (microseconds, counts) in [(-400, false), (-1, false), (0, false), (1, true), (400, true)] {
            let issued = cut + .microseconds(microseconds)
            var claims = claims(user)
            claims.issuedAt = issued
            let read = try KeySet(keys: [key])
                .verify(try key.sign(claims), now: issued, issuer: issuer, audience: "switchboard")
            #expect(read.issuedAt == issued)
            #expect(((try? revocations.check(Verified(read))) != nil) == counts, "\(microseconds)")
        }
    }

    @Test func `a revoked key is refused, another of the same person is not`() throws {
        let revocations = Revocations()
        var (one, two) = (claims(), claims())
        (one.apiKey, two.apiKey) = (APIKeyID(), APIKeyID())
        let id = try #require(one.apiKey)
        revocations.add(RevocationEvent(kind: .key, id: id.text, at: .now(), until: .now() + .seconds(60)))
        revocations.add(RevocationEvent(kind: .key, id: "no id", at: .now(), until: .now() + .seconds(60)))
        #expect(throws: Problem.self) { try revocations.check(Verified(one)) }
        #expect(throws: Never.self) { try revocations.check(Verified(two)) }
    }

    @Test func `requests without a usable header are told what to send`() async throws {
        let key = try SigningKey.generate()
        try await onLoop {
            let verifier = verifier(key)
            for header in [nil, "Basic abc", "Bearer", "bearer nonsense"] {
                var headers = Headers()
                if let header { headers.set("Authorization", header) }
                await #expect(throws: Problem.self) {
                    try await verifier.authenticate(Request(.get, "/", headers: headers))
                }
            }
        }
    }
}

/// Apart from the others because it starts librdkafka, which the thread sanitizer cannot follow.
@Suite struct LoadedRevocationTests {
    @Test func `revocations that were there are known before it is ready and new ones arrive`() async throws {
        let kafka = try TestBroker.settings("access")
        try await onLoop {
            let key = try SigningKey.generate()
            let session = SessionID()
            let token = try key.sign(claims(session: session))
            let verifier = TokenVerifier.fixed(
                KeySet(keys: [key]), issuer: issuer, audience: "switchboard", kafka: kafka,
                log: Log(program: "test", least: .error))
            try await verifier.start(on: testLoops)
            #expect(verifier.unready() == nil)
            _ = try await verifier.verify(token)
            let event = RevocationEvent(kind: .session, id: session.text, at: .now(), until: .now() + .seconds(60))
            let producer = Producer(settings: kafka)
            try await producer.start(on: testLoops)
            _ = try await producer.send([
                Record(
                    topic: Topic.authRevocations.rawValue, key: Array(event.key.utf8), value: event.jsonBytes,
                    headers: [
                        ("ce_specversion", Array("1.0".utf8)), ("ce_id", Array(EventID().text.utf8)),
                        ("ce_type", Array(event.type.utf8)), ("ce_source", Array("/test".utf8)),
                        ("ce_time", Array(Instant.now().iso.utf8)),
                    ])
            ])
            try await eventually(within: .seconds(10)) { (try? await verifier.verify(token)) == nil }
            await producer.stop(deadline: .seconds(2))
            await verifier.stop(deadline: .seconds(2))
        }
    }
}
