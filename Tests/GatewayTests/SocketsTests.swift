import Kafka
import Runtime
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Access
@testable import Counters
@testable import Gateway
@testable import HTTP

/// What realtime keeps, shared by all gateways of a test.
private final class FrameLog: Sendable {
    let workspace = WorkspaceID()
    private let state = Guarded<(frames: [FrameSnapshot], gone: Int64)>(([], 0))

    /// The next frame; every third is of the other call.
    func add(_ calls: [CallID], filler: String = "") -> FrameSnapshot {
        state.withLock { state in
            let id = Int64(state.frames.count + 1)
            let frame = FrameSnapshot(
                id: id, workspaceID: workspace, event: "note.added", callID: calls[id % 3 == 0 ? 1 : 0], at: .now(),
                data: "{\"n\":\(id),\"filler\":\"\(filler)\"}")
            state.frames.append(frame)
            return frame
        }
    }

    func forget(to id: Int64) { state.withLock { $0.gone = id } }

    func since(_ after: Int64) -> Backlog.Found {
        state.withLock { state in
            Backlog.Found(
                frames: state.frames.filter { $0.id > after }.map { OutgoingFrame($0) }, isComplete: after >= state.gone
            )
        }
    }
}

/// A gateway's `/ws/calls` on a real port: its own hub, the tokens of a key made here.
private final class SocketGateway: Sendable {
    let group = EventLoopGroup(count: 2)
    let hub = Hub()
    let limits: RateLimits
    let key: SigningKey
    private let server: Server

    let tokens: TokenVerifier

    init(_ log: FrameLog, key: SigningKey, sockets: Int = 0, together counters: Counters? = nil) throws {
        self.key = key
        tokens = TokenVerifier.fixed(
            KeySet(keys: [key]), issuer: "i", audience: "a",
            kafka: KafkaSettings(brokers: "127.0.0.1:1", profile: .local, clientID: "test"),
            log: Log(program: "test", least: .error))
        limits = RateLimits(.init(standard: 0, analytics: 0, anonymous: 0, sockets: sockets), together: counters)
        let credentials = Credentials(
            tokens: tokens, limits: limits, proxies: TrustedProxies([]), allowsBasic: false
        ) { _, _ in throw Problem.unauthorized() }
        let backlog = Backlog(
            since: { after, _ in
                let found = log.since(after)
                // As long as a question to another program: frames come meanwhile.
                try await EventLoop.sleep(for: .milliseconds(Int.random(in: 0...8)))
                return found
            },
            mayFollow: { _, _ in try await EventLoop.sleep(for: .milliseconds(1)) })
        let sockets = Sockets(
            credentials: credentials, hub: hub, limits: limits, tickets: Tickets(secret: "0123456789abcdef"),
            backlog: backlog, origins: ["https://ours.example"], isFollowing: { true })
        let router = Router(sockets.routes, program: "test", log: Log(program: "test", least: .error))
        server = Server(port: 0, host: "127.0.0.1") { await router.respond(to: $0) }
        tokens.onRevocation { [hub] in hub.end($0) }
    }

    func start() async throws {
        group.start()
        let (hub, server, group) = (hub, server, group)
        try await onLoop(group.loops[0]) {
            try await hub.start(on: group)
            try await server.start(on: group)
        }
    }

    func stop() async {
        let server = server
        await group.loops[0].run { await server.stop(deadline: .milliseconds(300)) }
        group.stop()
    }

    var url: String { "127.0.0.1:\(server.boundPort)/ws/calls" }

    func openSockets() async -> Int {
        var count = 0
        for loop in group.loops { count += await loop.run { [hub] in hub.current?.count ?? 0 } }
        return count
    }

    func deliver(_ frame: FrameSnapshot) { hub.deliver(OutgoingFrame(frame)) }

    func token(
        _ log: FrameLog, user: UserID = UserID(), session: SessionID? = SessionID(), lasting: Duration = .seconds(60)
    ) throws -> String {
        let now = Instant.now()
        return try key.sign(
            Claims(
                subject: user, role: .user, session: session, workspaces: [log.workspace: .owner], issuer: "i",
                audience: "a", issuedAt: now, expires: now + lasting))
    }
}

extension WebSocket {
    fileprivate func ask(_ event: String, _ data: JSON = .object([:])) {
        send(JSON.object(["event": .string(event), "data": data]).jsonText)
    }

    /// The next message; nil when the socket has ended.
    fileprivate func next() async throws -> JSON? {
        try await withDeadline(.seconds(10)) { () -> JSON? in
            guard case .text(let text) = try await self.receive() else { return nil }
            return try JSON.parse(text)
        }
    }

    /// The next one that answers a request.
    fileprivate func answer() async throws -> JSON? {
        while let message = try await next() { if message["id"] == nil { return message } }
        return nil
    }
}

private final class Flag: Sendable {
    let isSet = Atomic<Bool>(false)
}

@Suite(.serialized) struct SocketsTests {
    private func withGateways(
        _ count: Int, sockets: Int = 0, _ body: @escaping @Sendable ([SocketGateway], FrameLog) async throws -> Void
    ) async throws {
        let log = FrameLog()
        let key = try SigningKey.generate()
        var gateways: [SocketGateway] = []
        for _ in 0..<count {
            gateways.append(try SocketGateway(log, key: key, sockets: sockets))
            try await gateways[gateways.count - 1].start()
        }
        let all = gateways
        do { try await onLoop { try await body(all, log) } } catch {
            for gateway in all { await gateway.stop() }
            throw error
        }
        for gateway in all { await gateway.stop() }
    }

    private func connect(_ gateway: SocketGateway, _ token: String) async throws -> WebSocket {
        try await WebSocket.connect(url: "ws://\(gateway.url)?token=\(token)")
    }

    /// How a browser takes up again what it missed.
    enum Manner: CaseIterable, Sendable {
        case afterWithSubscription, resumeLater
    }

    /// Frames go to two gateways, each at its own pace, while a browser loses its connection fifty times at any place and
    /// comes back to one or the other.
    @Test(arguments: [true, false], Manner.allCases)
    func `a browser cut off fifty times sees every frame once`(all: Bool, manner: Manner) async throws {
        try await withGateways(2) { gateways, log in
            let calls = [CallID(), CallID()]
            let done = Flag()
            let loop = EventLoop.required()
            let writing = loop.spawn("frames") {
                var late: [[FrameSnapshot]] = [[], []]
                while !done.isSet.load(ordering: .acquiring) {
                    let frame = log.add(calls)
                    for place in 0..<2 {
                        late[place].append(frame)
                        guard Int.random(in: 0..<3) == 0 else { continue }
                        for each in late[place] { gateways[place].deliver(each) }
                        late[place] = []
                    }
                    do { try await EventLoop.sleep(for: .microseconds(Int.random(in: 0...700))) } catch { return }
                }
                for place in 0..<2 { for each in late[place] { gateways[place].deliver(each) } }
            }
            let token = try gateways[0].token(log)
            let what: JSONObject = all ? ["type": "all_calls"] : ["type": "call", "call_id": .string(calls[0].text)]
            var seen: [Int64] = []
            for round in 0...50 {
                let socket = try await connect(gateways.randomElement() ?? gateways[0], token)
                let last = seen.last ?? 0
                var subscription = what
                if manner == .afterWithSubscription { subscription["after"] = .string("\(last)") }
                socket.ask("subscribe", .object(subscription))
                if manner == .resumeLater {
                    // Some come live before what was missed; and a gateway that lags cannot know yet which of them were
                    // seen at the other.
                    try await EventLoop.sleep(for: .milliseconds(Int.random(in: 0...5)))
                    socket.ask("resume", ["after": .string("\(last)")])
                }
                var isResumed = false
                var mine: [Int64] = []
                let most = Int.random(in: 1...40)
                // Whoever resumes later has seen everything up to its last only when that is done.
                let mayGo = manner == .afterWithSubscription && round < 50
                while !(isResumed || mayGo) || mine.count < (round < 50 ? most : 0) {
                    let message = try #require(try await socket.next())
                    if message["event"]?.string == "resumed" { isResumed = true }
                    if let id = message["id"]?.string.flatMap({ Int64($0) }) { mine.append(id) }
                }
                if round == 50 {
                    done.isSet.store(true, ordering: .releasing)
                    await writing.value
                    let end = log.since(0).frames.last { all || $0.call == calls[0] }?.id ?? 0
                    while mine.max() ?? last < end {
                        let message = try #require(try await socket.next())
                        if let id = message["id"]?.string.flatMap({ Int64($0) }) { mine.append(id) }
                    }
                    socket.ask("ping")
                    #expect(try await socket.next()?["event"] == "pong", "and nothing after the last")
                }
                if manner == .afterWithSubscription {
                    #expect(mine == mine.sorted(), "in order")
                } else {
                    mine.removeAll { $0 <= last }
                }
                seen += mine.sorted()
                // No word of goodbye.
                socket.transport.abort()
            }
            let expected = log.since(0).frames.filter { all || $0.call == calls[0] }.map(\.id)
            #expect(seen == expected)
            #expect(expected.count > 200)
        }
    }

    @Test func `what is not kept any more is a resync, and nothing to follow is told`() async throws {
        try await withGateways(1) { gateways, log in
            let calls = [CallID(), CallID()]
            for _ in 0..<10 { _ = log.add(calls) }
            log.forget(to: 5)
            let socket = try await connect(gateways[0], try gateways[0].token(log))
            socket.ask("resume", ["after": "5"])
            #expect(try await socket.next()?["data"]?["code"] == "CONFLICT")
            socket.ask("subscribe", ["type": "all_calls", "after": "4"])
            #expect(try await socket.next()?["event"] == "subscribed")
            #expect(try await socket.next()?["event"] == "resync")
            gateways[0].deliver(log.add(calls))
            #expect(try await socket.next()?["id"] == "11", "it goes on live")
        }
    }

    @Test func `a resumption longer than what may pile up is waited for`() async throws {
        try await withGateways(1) { gateways, log in
            let calls = [CallID(), CallID()]
            let filler = String(repeating: "x", count: 16_000)
            for _ in 0..<1000 { _ = log.add(calls, filler: filler) }
            let socket = try await connect(gateways[0], try gateways[0].token(log))
            socket.ask("subscribe", ["type": "all_calls", "after": "0"])
            // Sixteen megabytes, to somebody who does not read at first.
            try await EventLoop.sleep(for: .milliseconds(300))
            gateways[0].deliver(log.add(calls))
            var ids: [String] = []
            while ids.count < 1001, let message = try await socket.next() {
                if let id = message["id"]?.string { ids.append(id) }
            }
            #expect(ids == (1...1001).map { "\($0)" })
        }
    }

    @Test func `a reader who does not read is closed, and holds no more than its share`() async throws {
        try await withGateways(1) { gateways, log in
            let calls = [CallID(), CallID()]
            let gateway = gateways[0]
            let slow = try await connect(gateway, try gateway.token(log))
            let quick = try await connect(gateway, try gateway.token(log))
            for socket in [slow, quick] {
                socket.ask("subscribe", ["type": "all_calls"])
                #expect(try await socket.next()?["event"] == "subscribed")
            }
            let filler = String(repeating: "x", count: 8_000)
            var last = 0
            for _ in 0..<2_000 {
                gateway.deliver(log.add(calls, filler: filler))
                // Whoever reads gets all of them, whatever the other does.
                last = try await Int(quick.next()?["id"]?.string ?? "") ?? 0
            }
            #expect(last == 2_000)
            try await eventually("only who reads is left") {
                await gateway.openSockets() == 1
            }
            // What the system had taken comes, then the reason.
            while try await slow.next() != nil {}
            #expect(slow.closeCode == .tryAgainLater || slow.closeCode == .abnormal)
        }
    }

    @Test func `what is no command is told, and the socket stays`() async throws {
        try await withGateways(1) { gateways, log in
            let socket = try await connect(gateways[0], try gateways[0].token(log))
            let long = #"{"event":"ping","data":""# + String(repeating: "x", count: 20_000) + #""}"#
            for (text, code) in [
                ("{", "VALIDATION_ERROR"), ("[]", "VALIDATION_ERROR"), ("7", "VALIDATION_ERROR"),
                (#"{"event":7}"#, "VALIDATION_ERROR"), (#"{"event":"dance"}"#, "VALIDATION_ERROR"),
                (#"{"event":"subscribe","data":7}"#, "VALIDATION_ERROR"),
                (#"{"event":"subscribe","data":{"type":"all_calls","after":"x"}}"#, "VALIDATION_ERROR"),
                (#"{"event":"subscribe","data":{"type":"call"}}"#, "CALL_NOT_FOUND"), (long, "PAYLOAD_TOO_LARGE"),
            ] {
                socket.send(text)
                let answer = try await socket.next()
                #expect(answer?["event"] == "error", "\(text.prefix(60))")
                #expect(answer?["data"]?["code"]?.string == code, "\(text.prefix(60))")
                #expect(answer?["data"]?["message"]?.string?.isEmpty == false)
            }
            socket.send([1, 2, 3])
            #expect(try await socket.next()?["data"]?["code"] == "VALIDATION_ERROR")
            socket.ask("ping", ["n": 1])
            #expect(try await socket.next()?["data"]?["n"] == 1)
            // Beyond the protocol's own limit there is no answering: what follows would have to be read first.
            socket.send(String(repeating: "x", count: 70_000))
            #expect(try await socket.next() == nil)
            #expect(socket.closeCode == .messageTooBig)
        }
    }

    @Test func `a token's end and a session's end close the socket within a second`() async throws {
        try await withGateways(1) { gateways, log in
            let gateway = gateways[0]
            let end = Instant.now() + .seconds(4)
            let short = try await connect(gateway, try gateway.token(log, lasting: .seconds(4)))
            let (user, session) = (UserID(), SessionID())
            let ended = try await connect(gateway, try gateway.token(log, user: user, session: session))
            let other = try await connect(gateway, try gateway.token(log, user: user))
            for socket in [ended, other] {
                socket.ask("ping")
                #expect(try await socket.next()?["event"] == "pong")
            }
            let now = Instant.now()
            let began = ContinuousClock.now
            gateway.hub.end(RevocationEvent(kind: .session, id: session.text, at: now, until: now + .seconds(60)))
            #expect(try await ended.next() == nil)
            #expect(ended.closeCode == .sessionEnded && ended.closeReason == "the session has ended")
            other.ask("ping")
            #expect(try await other.next()?["event"] == "pong", "another session of the same person stays")
            gateway.hub.end(RevocationEvent(kind: .user, id: user.text, at: now, until: now + .seconds(60)))
            #expect(try await other.next() == nil)
            #expect(other.closeCode == .sessionEnded)
            #expect(began.duration(to: .now) < .seconds(1))
            #expect(try await short.next() == nil)
            #expect(short.closeCode == .sessionEnded && short.closeReason == "the token has expired")
            // Tokens end at whole seconds.
            #expect((end - .seconds(1)...end + .seconds(1)).contains(Instant.now()))
        }
    }

    @Test func `a session that ends during the handshake does not leave its socket open`() async throws {
        try await onLoop {
            let server = try PrivateRedis()
            try await server.start()
            let counters = Counters(
                try #require(RedisAddress("redis://127.0.0.1:\(server.port)")), answerMax: .milliseconds(400),
                log: Log(program: "test", least: .error))
            let log = FrameLog()
            let gateway = try SocketGateway(log, key: try SigningKey.generate(), sockets: 5, together: counters)
            try await gateway.start()
            try await onLoop(gateway.group.loops[0]) { try await counters.start(on: gateway.group) }
            let session = SessionID()
            let token = try gateway.token(log, session: session)
            // The place is asked for and nobody answers: the token has been checked, the socket is not there yet.
            server.pause()
            let loop = EventLoop.required()
            let revoking = loop.spawn("revocation") {
                try? await EventLoop.sleep(for: .milliseconds(150))
                let now = Instant.now()
                gateway.tokens.revocations.add(
                    RevocationEvent(kind: .session, id: session.text, at: now, until: now + .seconds(60)))
            }
            let began = ContinuousClock.now
            let socket = try await connect(gateway, token)
            #expect(began.duration(to: .now) > .milliseconds(200), "it was let in after the session had ended")
            #expect(try await socket.next() == nil)
            #expect(socket.closeCode == .sessionEnded)
            await revoking.value
            server.resume()
            await gateway.group.loops[0].run { await counters.stop(deadline: .seconds(1)) }
            await gateway.stop()
            try await server.kill()
        }
    }

    @Test func `a handshake that comes to nothing takes no place`() async throws {
        try await withGateways(1, sockets: 2) { gateways, log in
            let user = UserID()
            let token = try gateways[0].token(log, user: user)
            let url = gateways[0].url
            for _ in 0..<5 {
                // No WebSocket at all, and one from a page that is not let in.
                let plain = try await Client().send(.get("http://\(url)?token=\(token)"))
                #expect(plain.status == 426)
                await #expect(throws: WebSocket.Refused.self) {
                    try await WebSocket.connect(
                        url: "ws://\(url)?token=\(token)", headers: ["Origin": "https://evil.example"])
                }
            }
            let first = try await connect(gateways[0], token)
            let second = try await connect(gateways[0], token)
            do {
                _ = try await connect(gateways[0], token)
                Issue.record("a third socket was let in")
            } catch let refused as WebSocket.Refused {
                #expect(refused.status == 429)
            }
            first.close()
            while try await first.next() != nil {}
            try await eventually("a place is free") { (try? await connect(gateways[0], token)) != nil }
            withExtendedLifetime(second) {}
        }
    }
}
