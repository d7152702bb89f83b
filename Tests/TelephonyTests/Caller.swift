import HTTP
import Runtime
import Shared
import TestSupport
import Testing

@testable import Telephony

/// A server on a free port, and callers on real sockets.
struct Exchange: Sendable {
    let rig: Rig
    let server: Server

    static func with(
        assistant: Assistant = OfflineResponder.assistant, knowledge: KnowledgeSearch = .none,
        policy: @escaping @Sendable (inout Telephony.Policy) -> Void = { _ in },
        _ body: @escaping @Sendable (Exchange) async throws -> Void
    ) async throws {
        try await Rig.with(assistant: assistant, knowledge: knowledge, policy: policy) { rig async throws in
            let server = Server(port: 0, host: "127.0.0.1", router: rig.router)
            try await server.start(on: testLoops)
            do {
                try await body(Exchange(rig: rig, server: server))
            } catch {
                await rig.telephony.live.stop(deadline: .seconds(5))
                await server.stop(deadline: .seconds(5))
                throw error
            }
            await rig.telephony.live.stop(deadline: .seconds(5))
            await server.stop(deadline: .seconds(5))
        }
    }

    func path(_ call: Call) -> String { "/ws/relay/\(rig.telephony.relayToken.token(for: call.id))" }

    /// Connects and says `setup`.
    func caller(for call: Call) async throws -> Caller {
        let socket = try await WebSocket.connect(url: "ws://127.0.0.1:\(server.boundPort)\(path(call))")
        let caller = Caller(socket)
        caller.send([
            "type": "setup", "sessionId": "VX1", "callSid": .string(call.sid ?? "CA"), "from": .string(call.from),
            "to": .string(call.to),
        ])
        return caller
    }

    func transcript(_ call: Call) async throws -> [JSON] {
        try await rig.ann.client.get("/api/v1/calls/\(call.id.text)/interactions").json()["interactions"]?.array ?? []
    }

    func texts(_ call: Call) async throws -> [String] {
        try await transcript(call).map { "\($0["speaker"]?.string ?? "?"): \($0["text"]?.string ?? "?")" }
    }

    /// What a manager's intervention is answered with.
    func intervene(_ call: Call, _ body: JSON) async throws -> Int {
        await rig.ann.client.post("/api/v1/calls/\(call.id.text)/intervene", json: body).status
    }

    func live(_ status: CallStatus = .ringing, business: BusinessID? = nil, agent: AgentID? = nil) async throws -> Call
    {
        try await rig.call(status, business: business, agent: agent)
    }
}

/// The carrier's end of a relay socket. `@unchecked Sendable`: used on the loop that opened it.
final class Caller: @unchecked Sendable {
    let socket: WebSocket

    init(_ socket: WebSocket) { self.socket = socket }

    func send(_ json: JSON) { _ = socket.send(text: json.jsonText) }

    func say(_ words: String) {
        send(["type": "prompt", "voicePrompt": .string(words), "lang": "en-US", "last": true])
    }

    /// The next message; nil when the socket has closed.
    func next() async throws -> JSON? {
        try await withDeadline(.seconds(10)) { () -> JSON? in
            guard case .text(let text)? = try await self.socket.receive() else { return nil }
            return try JSON.parse(text)
        }
    }

    /// One speech of the AI: its tokens up to the last.
    func hear() async throws -> String {
        var speech = ""
        while let message = try await next() {
            // A silence that cuts a speech is none.
            guard message["type"] == "text", message["token"] != "…" else { continue }
            speech += message["token"]?.string ?? ""
            if message["last"] == true { return trimmed(speech) }
        }
        throw HungUp()
    }

    func ask(_ words: String) async throws -> String {
        say(words)
        return try await hear()
    }

    /// Waits for `end`.
    func ended() async throws -> Handoff? {
        while let message = try await next() {
            if message["type"] == "end" { return message["handoffData"]?.string.flatMap { Handoff($0) } }
        }
        throw HungUp()
    }

    /// As when the carrier's line breaks: the socket is gone, the call is not.
    func tear() async { await close(.goingAway) }

    /// As when the caller hangs up.
    func hangUp() async { await close(.normal) }

    private func close(_ code: CloseCode) async {
        socket.close(code)
        while (try? await socket.receive()) != nil {}
    }

    struct HungUp: Error {}
}
