import HTTP
import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct SecondFactorTests {
    // RFC 6238 appendix B, SHA-1; its eight digits end in our six.
    @Test(
        arguments: [
            (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
            (2_000_000_000, "279037"), (20_000_000_000, "353130"),
        ] as [(Int64, String)])
    func `codes are RFC 6238's`(_ seconds: Int64, _ code: String) {
        let secret = Array("12345678901234567890".utf8)
        let now = Instant(seconds: seconds)
        let step = OneTimeCode.step(at: now)
        #expect(OneTimeCode.code(secret: secret, step: step) == code)
        #expect(OneTimeCode.step(of: code, secret: secret, after: 0, now: now) == step)
        #expect(OneTimeCode.step(of: code, secret: secret, after: 0, now: now + .seconds(30)) == step)
        #expect(OneTimeCode.step(of: code, secret: secret, after: 0, now: now + .seconds(61)) == nil)
        #expect(OneTimeCode.step(of: code, secret: secret, after: step, now: now) == nil)
    }

    @Test func `a secret is written in base32 and told to a telephone by an address`() {
        // RFC 4648 §10, without padding.
        let table = ["": "", "f": "MY", "fo": "MZXQ", "foo": "MZXW6", "foob": "MZXW6YQ", "fooba": "MZXW6YTB"]
        for (text, coded) in table { #expect(Digest.base32(Array(text.utf8)) == coded) }
        let uri = OneTimeCode.uri(secret: Array("foobar".utf8), account: "a+b@example.com", issuer: "Our & Co")
        #expect(
            uri == "otpauth://totp/Our%20%26%20Co:a%2Bb%40example.com?secret=MZXW6YTBOI&issuer=Our%20%26%20Co"
                + "&algorithm=SHA1&digits=6&period=30")
    }

    /// A code by its step, not by the clock: the clock moves on between two lines of a test. It counts for a minute and a
    /// half around its step.
    private static func code(_ secret: String, _ step: Int64) throws -> String {
        OneTimeCode.code(secret: try #require(decodeBase32(secret)), step: step)
    }

    static func decodeBase32(_ text: String) -> [UInt8]? {
        var bits = 0
        var held = 0
        var bytes: [UInt8] = []
        for letter in text.utf8 {
            guard let value = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8).firstIndex(of: letter) else { return nil }
            bits = bits << 5 | value
            held += 5
            if held >= 8 {
                held -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> held))
            }
        }
        return bytes
    }

    /// Enrols with the code of the step that is returned: it is spent, the next one counts already.
    private static func enrol(
        _ rig: SignInRig, _ token: String
    ) async throws -> (secret: String, codes: [String], step: Int64) {
        let begun = await rig.post("/api/auth/totp/", ["password": .string(SignInRig.password)], token: token)
        #expect(begun.status == 201)
        let secret = try #require(try begun.json()["secret"]?.string)
        let step = OneTimeCode.step(at: .now())
        let confirmed = await rig.post(
            "/api/auth/totp/confirm/", ["otp": .string(try code(secret, step))], token: token)
        #expect(confirmed.status == 200, "\(confirmed.text)")
        let codes = try confirmed.json()["recovery_codes"]?.array?.compactMap(\.string) ?? []
        return (secret, codes, step)
    }

    @Test func `once confirmed, a log-in takes a code, and each code once`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let wrong = await rig.post("/api/auth/totp/", ["password": "not it at all"], token: tokens.access)
            #expect(wrong.complains(of: "password"))
            let begun = await rig.post(
                "/api/auth/totp/", ["password": .string(SignInRig.password)], token: tokens.access)
            #expect(begun.status == 201)
            // Not confirmed: the password alone still does.
            #expect(await rig.logIn().status == 200)
            let bad = await rig.post("/api/auth/totp/confirm/", ["otp": "000000"], token: tokens.access)
            #expect(bad.complains(of: "otp"))
            let (secret, codes, step) = try await Self.enrol(rig, tokens.access)
            #expect(codes.count == 10 && Set(codes).count == 10)
            let asked = await rig.logIn()
            #expect(asked.status == 401 && asked.code == "SECOND_FACTOR_REQUIRED")
            #expect(try asked.json()["details"]?["second_factor"] == ["otp", "recovery_code"])
            // Who does not know the password hears nothing of it.
            #expect(await rig.logIn("ann@example.com", "not it at all").code == "UNAUTHORIZED")
            #expect(await rig.logIn(otp: try Self.code(secret, step)).code == "SECOND_FACTOR_REQUIRED")
            let code = try Self.code(secret, step + 1)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 { group.addTask { await rig.logIn(otp: code).status } }
                return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses == [200: 1, 401: 3])
        }
    }

    @Test func `secrets are sealed, recovery codes hashed, and each good once`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let (secret, codes, _) = try await Self.enrol(rig, tokens.access)
            let row = try await rig.database.queryOne("SELECT sealed FROM totp")
            let sealed = try #require(try row?.decode("sealed", as: [UInt8].self))
            #expect(sealed.count == 20 + 28 && !Digest.base32(sealed).contains(secret))
            #expect(await rig.logIn(recovery: codes[0].uppercased()).status == 200)
            #expect(await rig.logIn(recovery: codes[0]).code == "SECOND_FACTOR_REQUIRED")
            let state = try await rig.client.get("/api/auth/totp/", token: tokens.access).json()
            #expect(state["enabled"] == true && state["recovery_codes_left"] == 9)
            let renewed = await rig.post(
                "/api/auth/totp/recovery-codes/",
                ["password": .string(SignInRig.password), "recovery_code": .string(codes[1])], token: tokens.access)
            #expect(renewed.status == 200, "\(renewed.text)")
            #expect(await rig.logIn(recovery: codes[2]).status == 401)
            let fresh = try #require(try renewed.json()["recovery_codes"]?[0]?.string)
            #expect(await rig.logIn(recovery: fresh).status == 200)
        }
    }

    @Test func `it is taken away with password and code, and another cannot be put in its place`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            let (secret, _, step) = try await Self.enrol(rig, tokens.access)
            let again = await rig.post(
                "/api/auth/totp/", ["password": .string(SignInRig.password)], token: tokens.access)
            #expect(again.status == 409)
            func end(_ body: JSON) async -> ClientResponse {
                await rig.client.delete("/api/auth/totp/", json: body, token: tokens.access)
            }
            #expect(await end(["password": .string(SignInRig.password)]).complains(of: "otp"))
            #expect(await end(["password": .string(SignInRig.password), "otp": "000000"]).complains(of: "otp"))
            #expect(
                await end(["password": "not it", "otp": .string(try Self.code(secret, step + 1))]).complains(
                    of: "password"))
            let done = await end([
                "password": .string(SignInRig.password), "otp": .string(try Self.code(secret, step + 1)),
            ])
            #expect(done.status == 204)
            #expect(await rig.logIn().status == 200)
            let subjects = try await rig.mails().map(\.subject)
            #expect(
                subjects.suffix(2) == [Mail.secondFactor(isOn: true).subject, Mail.secondFactor(isOn: false).subject])
        }
    }

    @Test func `guessing codes from ever new addresses is slowed down`() async throws {
        try await SignInRig.run { rig in
            let tokens = try await rig.register()
            _ = try await Self.enrol(rig, tokens.access)
            var statuses: [Int] = []
            for number in 0..<14 {
                statuses.append(await rig.logIn(otp: "000000", from: "198.51.100.\(number)").status)
            }
            #expect(statuses.prefix(10).allSatisfy { $0 == 401 })
            #expect(statuses.contains(429))
        }
    }
}
