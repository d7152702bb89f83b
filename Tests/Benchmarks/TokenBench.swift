import Access
import Kafka
import Runtime
import Shared

/// What every request of somebody who was here before costs: finding the token among those that were verified, and
/// asking whether it was revoked. Beside it, a first check: the signature.
func checksOfATokenThatIsKnown() async throws -> [Measurement] {
    let key = try SigningKey.generate()
    let verifier = TokenVerifier.fixed(
        KeySet(keys: [key]), issuer: "i", audience: "a",
        kafka: KafkaSettings(brokers: "127.0.0.1:1", profile: .local, clientID: "bench"),
        log: Log(program: "bench", least: .error))
    let now = Instant.now()
    let tokens = try (0..<1_000).map { _ in
        try key.sign(
            Claims(
                subject: UserID(), role: .user, session: SessionID(), workspaces: [WorkspaceID(): .owner], issuer: "i",
                audience: "a", issuedAt: now, expires: now + .seconds(900)))
    }
    func round() async throws -> Double {
        let began = ContinuousClock.now
        for token in tokens { _ = try await verifier.verify(token) }
        return began.duration(to: .now).inSeconds / Double(tokens.count) * 1e6
    }
    let first = try await round()
    var known: [Double] = []
    for _ in 0..<200 { known.append(try await round()) }
    let ours = median(known)
    return [
        Measurement(
            what: "token check, known; other: first time", ours: "\(hundredths(ours)) µs",
            other: "\(hundredths(first)) µs",
            ratio: first / ours, goal: "≤ 2 µs")
    ]
}
