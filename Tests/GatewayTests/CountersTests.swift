import Glibc
import Runtime
import Shared
import TestSupport
import Testing

@testable import Counters
@testable import Gateway
@testable import HTTP

@Suite struct RedisAddressTests {
    @Test(
        arguments: [
            ("redis://valkey", "valkey", 6379, false, nil, nil, 0),
            ("redis://valkey:7000/3", "valkey", 7000, false, nil, nil, 3),
            ("rediss://:p%40ss:w@10.0.0.1/", "10.0.0.1", 6379, true, nil, "p@ss:w", 0),
            ("redis://gate:secret@[fd00::1]:1/15", "fd00::1", 1, false, "gate", "secret", 15),
            ("redis://[::1]", "::1", 6379, false, nil, nil, 0),
        ] as [(String, String, Int, Bool, String?, String?, Int)])
    func `an address is read`(
        _ text: String, host: String, port: Int, secure: Bool, user: String?, password: String?, database: Int
    ) throws {
        let address = try #require(RedisAddress(text))
        #expect(address.host == host && address.port == port && address.isSecure == secure)
        #expect(address.user == user && address.password == password && address.database == database)
        #expect(!address.description.contains(password ?? "?"))
    }

    @Test(arguments: [
        "valkey:6379", "http://valkey", "redis://", "redis://:6379", "redis://a:0", "redis://a:65536", "redis://a:x",
        "redis://user@a", "redis://u:@a", "redis://a/x", "redis://a/-1", "redis://[::1", "redis://[::1]6379",
        "redis://u:%zz@a", "redis://a?db=1", "redis://a b",
    ])
    func `what is none is refused`(_ text: String) { #expect(RedisAddress(text) == nil) }
}

@Suite struct ReplyTests {
    @Test func `answers are read however they are torn`() throws {
        let all = Array(":42\r\n+OK\r\n$5\r\nab\r\nc\r\n-ERR no\r\n$-1\r\n*1\r\n:7\r\n".utf8)
        let expected: [Reply] = [.integer(42), .text("OK"), .text("ab\r\nc"), .error("ERR no"), .other, .other]
        for size in [1, 2, 7, all.count] {
            let reader = try ReplyReader()
            var found: [Reply] = []
            for start in stride(from: 0, to: all.count, by: size) {
                try all[start..<min(start + size, all.count)].withUnsafeBytes { piece in try reader.feed(piece) }
                while let reply = try reader.next() { found.append(reply) }
            }
            #expect(found == expected, "in pieces of \(size)")
        }
    }

    @Test func `what is no Redis is told`() throws {
        let reader = try ReplyReader()
        try Array("HTTP/1.1 400 Bad Request\r\n".utf8).withUnsafeBytes { all in try reader.feed(all) }
        #expect(throws: ReplyReader.Garbled.self) { try reader.next() }
    }

    @Test func `nothing in a word ends it`() {
        var bytes: [UInt8] = []
        encode(["SET", "a\r\nFLUSHALL", "é"], into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "*3\r\n$3\r\nSET\r\n$11\r\na\r\nFLUSHALL\r\n$2\r\né\r\n")
    }
}

/// Two gateways' limits on one server. Each has loops of its own, as each would be a process.
@Suite(.serialized) struct SharedLimitsTests {
    private struct Gateway {
        let group: EventLoopGroup
        let counters: Counters
        let limits: RateLimits

        func take(_ caller: Caller, now: Int64) async throws -> RateWindow.Answer? {
            try await onLoop(group.next()) { await limits.takeTogether(caller, .standard, now: now) }
        }

        func claim(_ user: UserID) async throws -> SocketClaim? {
            try await onLoop(group.next()) { await limits.claimSocket(user) }
        }
    }

    private func withGateways(
        _ count: Int, on url: String, trusting authorities: String? = nil, limit: Int = 100,
        lease: Duration = .seconds(45), answerMax: Duration = .seconds(2),
        _ body: @escaping @Sendable ([Gateway]) async throws -> Void
    ) async throws {
        let address = try #require(RedisAddress(url))
        var gateways: [Gateway] = []
        for _ in 0..<count {
            let group = EventLoopGroup(count: 2)
            group.start()
            let counters = Counters(
                address, trusting: authorities, answerMax: answerMax, lease: lease,
                log: Log(program: "test", least: .error))
            let limits = RateLimits(
                .init(standard: limit, sockets: 3), together: counters, secret: "a secret of thirty-two letters..")
            gateways.append(Gateway(group: group, counters: counters, limits: limits))
        }
        let all = gateways
        func leave() async {
            for gateway in all {
                await gateway.group.loops[0].run { await gateway.counters.stop(deadline: .seconds(1)) }
                gateway.group.stop()
            }
        }
        do {
            for gateway in all {
                try await onLoop(gateway.group.loops[0]) { try await gateway.counters.start(on: gateway.group) }
            }
            try await onLoop { try await body(all) }
        } catch {
            await leave()
            throw error
        }
        await leave()
    }

    private func withServer(
        _ options: [String] = [], _ body: @escaping @Sendable (PrivateRedis) async throws -> Void
    ) async throws {
        try await onLoop {
            let server = try PrivateRedis(options)
            try await server.start()
            try await body(server)
            try await server.kill()
        }
    }

    /// How many of so many simultaneous requests, half of them through each gateway, are let through.
    private func allowed(_ gateways: [Gateway], _ caller: Caller, _ count: Int, now: Int64) async throws -> Int {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<count {
                let gateway = gateways[number % gateways.count]
                group.addTask { try await gateway.take(caller, now: now)?.allowed == true }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
    }

    @Test func `two gateways let through what one would`() async throws {
        try await withServer { server in
            try await withGateways(2, on: "redis://127.0.0.1:\(server.port)") { gateways in
                let (ann, bob) = (Caller.user(UserID()), Caller.address("192.0.2.7"))
                let hers = try await allowed(gateways, ann, 300, now: 60)
                #expect(hers == 100)
                let first = try await gateways[0].take(bob, now: 61)
                let second = try await gateways[1].take(bob, now: 62)
                #expect(first?.remaining == 59 && second?.remaining == 58, "sixty for an address")
                let later = try await allowed(gateways, ann, 150, now: 120)
                #expect(later == 100, "the minute turned")
                #expect(gateways.allSatisfy { $0.counters.degraded() == nil })
            }
        }
    }

    @Test func `what is kept elsewhere names nobody and does not stay`() async throws {
        try await withServer { server in
            try await withGateways(1, on: "redis://127.0.0.1:\(server.port)/2") { gateways in
                let user = UserID()
                _ = try await gateways[0].take(.user(user), now: 60)
                _ = try await gateways[0].take(.address("198.51.100.200"), now: 60)
                let claim = try await gateways[0].claim(user)
                let keys = try await server.say("SELECT 2\r\nKEYS *")
                #expect(keys.contains("*4\r\n"), "the two, the socket, and the gateways' mark: \(keys)")
                #expect(!keys.contains(user.text) && !keys.contains("198.51.100.200"))
                for line in keys.split(separator: "\r\n") where line.hasPrefix("switchboard:") {
                    let left = try await server.say("SELECT 2\r\nTTL \(line)").split(separator: "\r\n")[1]
                    #expect((1...120).contains(Int(left.dropFirst()) ?? -1), "\(line): \(left)")
                }
                claim?.release()
            }
        }
    }

    @Test func `without the server each counts on for itself, and with it together again`() async throws {
        try await withServer { server in
            try await withGateways(2, on: "redis://127.0.0.1:\(server.port)", limit: 10) { gateways in
                let ann = Caller.user(UserID())
                let before = try await allowed(gateways, ann, 4, now: 60)
                #expect(before == 4)
                try await server.kill()
                try await eventually("both know") { gateways.allSatisfy { $0.counters.degraded() != nil } }
                let began = ContinuousClock.now
                let alone = try await allowed(gateways, ann, 40, now: 60)
                #expect(began.duration(to: .now) < .seconds(1), "nobody waits for a server that is away")
                // Each knows of three or four, and lets through what is left of ten.
                #expect((12...14).contains(alone), "\(alone)")
                try await server.start()
                try await eventually("both are back") { gateways.allSatisfy { $0.counters.degraded() == nil } }
                let bob = Caller.user(UserID())
                let again = try await allowed(gateways, bob, 40, now: 60)
                #expect(again == 10)
                let hers = try await allowed(gateways, ann, 10, now: 60)
                #expect(hers == 0, "what was counted alone is not forgotten")
            }
        }
    }

    @Test func `a server that says nothing is not waited for`() async throws {
        try await withServer { server in
            try await withGateways(1, on: "redis://127.0.0.1:\(server.port)", answerMax: .milliseconds(200)) {
                gateways in
                let ann = Caller.user(UserID())
                _ = try await gateways[0].take(ann, now: 60)
                server.pause()
                let began = ContinuousClock.now
                let answer = try await gateways[0].take(ann, now: 60)
                #expect(answer?.remaining == 98)
                #expect(began.duration(to: .now) < .seconds(1))
                #expect(gateways[0].counters.degraded()?.contains("no answer within 200 ms") == true)
                server.resume()
                try await eventually("it is back") { gateways[0].counters.degraded() == nil }
            }
        }
    }

    @Test func `a password opens the door, a wrong one is told and not shown`() async throws {
        try await withServer(["--port", "{port}", "--requirepass", "open:sesame"]) { server in
            try await withGateways(1, on: "redis://:open%3Asesame@127.0.0.1:\(server.port)") { gateways in
                #expect(gateways[0].counters.degraded() == nil)
            }
            for url in ["redis://:hunter2@127.0.0.1:\(server.port)", "redis://127.0.0.1:\(server.port)"] {
                try await withGateways(1, on: url) { gateways in
                    let trouble = try #require(gateways[0].counters.degraded())
                    #expect(trouble.contains("WRONGPASS") || trouble.contains("NOAUTH"), "\(trouble)")
                    #expect(!trouble.contains("hunter2"))
                    let answer = try await gateways[0].take(.address("192.0.2.1"), now: 60)
                    #expect(answer?.allowed == true)
                }
            }
        }
    }

    @Test func `sockets count over all gateways, and those of a dead one are free after the lease`() async throws {
        try await withServer { server in
            let url = "redis://127.0.0.1:\(server.port)"
            let user = UserID()
            try await withGateways(2, on: url, lease: .milliseconds(1500)) { gateways in
                var held: [SocketClaim] = []
                for number in 0..<3 {
                    let claim = try await gateways[number % 2].claim(user)
                    held.append(try #require(claim))
                }
                for gateway in gateways {
                    let more = try await gateway.claim(user)
                    #expect(more == nil)
                }
                let other = try await gateways[1].claim(UserID())
                #expect(other != nil, "somebody else's are counted for themselves")
                // Long after the lease of whoever does not renew it.
                try await EventLoop.sleep(for: .milliseconds(2500))
                let still = try await gateways[0].claim(user)
                #expect(still == nil, "they were renewed")
                held[1].release()
                try await eventually("a place is free") {
                    guard let claim = try await gateways[0].claim(user) else { return false }
                    held.append(claim)
                    return true
                }
                // Its connections go, as they do with the process; the claims are never given back.
                let dead = gateways[0]
                await dead.group.loops[0].run { await dead.counters.stop(deadline: .seconds(1)) }
                try await eventually(within: .seconds(5), "its places are free") {
                    guard let claim = try await gateways[1].claim(user) else { return false }
                    held.append(claim)
                    return true
                }
                withExtendedLifetime(held) {}
            }
        }
    }

    @Test func `a ticket opens one socket at one of the gateways`() async throws {
        try await withServer { server in
            try await withGateways(2, on: "redis://127.0.0.1:\(server.port)") { gateways in
                let secret = String(repeating: "s", count: 32)
                let tickets = gateways.map { Tickets(secret: secret, together: $0.counters) }
                let ticket = tickets[0].issue("token", until: .now() + .seconds(900)).text
                let first = try await onLoop(gateways[1].group.next()) { await tickets[1].redeem(ticket) }
                #expect(first == "token")
                let second = try await onLoop(gateways[0].group.next()) { await tickets[0].redeem(ticket) }
                #expect(second == nil)
            }
        }
    }

    @Test func `a server that came back empty is told of the open sockets`() async throws {
        try await withServer { server in
            try await withGateways(2, on: "redis://127.0.0.1:\(server.port)") { gateways in
                let user = UserID()
                var held: [SocketClaim] = []
                for _ in 0..<3 {
                    let claim = try await gateways[0].claim(user)
                    held.append(try #require(claim))
                }
                try await server.kill()
                try await server.start()
                try await eventually("both are back") { gateways.allSatisfy { $0.counters.degraded() == nil } }
                // Each loop tells of its own as soon as it is back.
                try await eventually("all are told") { try await gateways[1].claim(user) == nil }
                withExtendedLifetime(held) {}
            }
        }
    }

    @Test func `over TLS the certificate decides`() async throws {
        let (certificate, key) = try TLS.selfSigned(for: "localhost")
        let folder = "/tmp/switchboard-redis-\(UserID().text)"
        mkdir(folder, 0o700)
        defer { for name in ["cert.pem", "key.pem", ""] { remove("\(folder)/\(name)") } }
        for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
            let file = try #require(fopen("\(folder)/\(name)", "w"))
            fputs(text, file)
            fclose(file)
        }
        let options = [
            "--port", "0", "--tls-port", "{port}", "--tls-cert-file", "\(folder)/cert.pem", "--tls-key-file",
            "\(folder)/key.pem", "--tls-auth-clients", "no", "--tls-ca-cert-file", "\(folder)/cert.pem",
        ]
        try await withServer(options) { server in
            let url = "rediss://localhost:\(server.port)"
            try await withGateways(2, on: url, trusting: "\(folder)/cert.pem", limit: 10) { gateways in
                #expect(gateways[0].counters.degraded() == nil)
                let hers = try await allowed(gateways, .user(UserID()), 30, now: 60)
                #expect(hers == 10)
            }
            try await withGateways(1, on: url) { gateways in
                #expect(gateways[0].counters.degraded() != nil, "nobody vouches for it")
            }
        }
    }
}
