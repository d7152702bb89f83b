import HTTP
import Runtime
import Shared

/// One browser on `/ws/calls`: what it has subscribed to and what it has been sent. Confined to its loop.
///
/// Every frame of this gateway is offered to it, in the order of ids. Each that it wants is sent once: live, or by a
/// resumption, and a resumption leaves out what was live.
final class Session {
    let principal: Principal
    /// Asks for this person what only another program knows.
    private let token: String
    let socket: WebSocket
    /// The last frame before the subscription to all calls; nil without one.
    private var allSince: Int64?
    /// By call, the last frame before the subscription to it.
    private var calls: [CallID: Int64] = [:]
    private let backlog: Backlog
    /// The first and the last frame that was offered.
    private var offered: ClosedRange<Int64>?
    /// While a resumption is being fetched and sent, what arrives meanwhile waits here so that nothing overtakes it.
    private var held: [OutgoingFrame]?
    /// Ids at or below were sent by a resumption.
    private var sentThrough: Int64 = 0

    /// Calls one socket may follow one by one; who wants more follows all.
    private static let callsMax = 200
    private static let heldMax = 5_000
    /// No command is a tenth as long. Above the protocol's own limit (64 KiB) a message ends the socket with 1009.
    private static let commandMax = 16 * 1024
    /// A resumption may be longer than what a slow reader is allowed to let pile up, so it waits for the reader, well
    /// below that: this many bytes ahead of it, and this long.
    private static let aheadMax = 64 * 1024
    private static let readerMax: Duration = .seconds(20)

    init(_ principal: Principal, token: String, _ socket: WebSocket, _ backlog: Backlog) {
        self.principal = principal
        self.token = token
        self.socket = socket
        self.backlog = backlog
    }

    func offer(_ frame: OutgoingFrame) {
        offered = (offered?.lowerBound ?? frame.id)...max(frame.id, offered?.upperBound ?? frame.id)
        guard socket.isOpen, isWanted(frame) else { return }
        if held != nil {
            held?.append(frame)
            if held?.count ?? 0 > Self.heldMax { socket.close(.tryAgainLater, reason: "too much at once") }
            return
        }
        guard frame.id > sentThrough else { return }
        _ = socket.send(preencoded: frame.frame)
    }

    private func isWanted(_ frame: OutgoingFrame) -> Bool {
        (allSince != nil || frame.call.map { calls[$0] != nil } ?? false) && frame.isFor(principal)
    }

    /// The last frame before the first of our subscriptions to this one; nil when there is none.
    private func since(_ frame: OutgoingFrame) -> Int64? {
        let one = frame.call.flatMap { calls[$0] }
        guard let one, let allSince else { return one ?? allSince }
        return min(one, allSince)
    }

    // MARK: What the browser says

    /// Handles one message. Nothing a browser sends can throw: it is told what was wrong.
    func receive(_ message: WebSocket.Message) async {
        do {
            guard case .text(let text) = message else {
                throw Problem(.validationError, "Send text: this socket speaks JSON.")
            }
            guard text.utf8.count <= Self.commandMax else {
                throw Problem(.payloadTooLarge, "A message may have \(Self.commandMax) bytes.")
            }
            try await receive(text)
        } catch let problem as Problem {
            refuse(problem)
        } catch let error as JSON.SyntaxError {
            refuse(.malformedJSON(error))
        } catch {
            refuse(.internalError(error))
        }
    }

    private func receive(_ text: String) async throws {
        let message = try JSON.parse(text)
        guard let event = message["event"]?.string else {
            throw Problem.validation("event", "is missing: subscribe, unsubscribe, resume or ping")
        }
        let data = message["data"] ?? .object([:])
        switch SocketRequest(rawValue: event) {
        case .subscribe: try await subscribe(data)
        case .unsubscribe: try unsubscribe(data)
        case .resume:
            guard let after = try after(data) else { throw Self.badAfter }
            try await resume(after)
        case .ping: say(.pong, data)
        case nil: throw Problem.validation("event", "must be subscribe, unsubscribe, resume or ping")
        }
    }

    private func subscribe(_ data: JSON) async throws {
        let after = try after(data)
        let before = { self.offered?.upperBound ?? 0 }
        switch data["type"]?.string {
        case "all_calls":
            if allSince == nil { allSince = before() }
            say(.subscribed, ["type": "all_calls"])
        case "call":
            let call = try callID(data)
            guard calls[call] != nil || calls.count < Self.callsMax else {
                throw Problem(
                    .conflict, "One socket follows at most \(Self.callsMax) calls; subscribe to all_calls instead.")
            }
            // Whose call it is, only its owner knows.
            try await backlog.mayFollow(call, token)
            if calls[call] == nil { calls[call] = before() }
            say(.subscribed, ["type": "call", "call_id": .string(call.text)])
        default: throw Problem.validation("data.type", "must be all_calls or call")
        }
        if let after { try await resume(after) }
    }

    private func unsubscribe(_ data: JSON) throws {
        switch data["type"]?.string {
        case "all_calls":
            allSince = nil
            say(.unsubscribed, ["type": "all_calls"])
        case "call":
            let call = try callID(data)
            calls[call] = nil
            say(.unsubscribed, ["type": "call", "call_id": .string(call.text)])
        default: throw Problem.validation("data.type", "must be all_calls or call")
        }
    }

    private func callID(_ data: JSON) throws(Problem) -> CallID {
        guard let call = data["call_id"]?.string.flatMap({ CallID($0) }) else {
            throw .notFound(.callNotFound)
        }
        return call
    }

    private func after(_ data: JSON) throws(Problem) -> Int64? {
        guard let given = data["after"] else { return nil }
        guard let after = given.string.flatMap({ Int64($0) }) ?? given.int.map({ Int64($0) }), after >= 0 else {
            throw Self.badAfter
        }
        return after
    }

    private static let badAfter = Problem.validation("data.after", "must be the id of the last frame you saw")

    // MARK: Resuming

    /// Sends what was missed, then goes on live: nothing twice, nothing left out.
    private func resume(_ after: Int64) async throws {
        guard allSince != nil || !calls.isEmpty else {
            throw Problem(.conflict, "Subscribe first, or say `after` when you do: only what you follow is resumed.")
        }
        held = []
        let live = offered
        let found: Backlog.Found
        do { found = try await backlog.since(after, principal) } catch {
            await release(through: 0)
            throw error
        }
        guard found.isComplete else {
            say(.resync, ["reason": "too much was missed; load the list anew"])
            return await release(through: 0)
        }
        let missed = found.frames.filter { frame in
            guard isWanted(frame), let since = since(frame) else { return false }
            return !(frame.id > since && live?.contains(frame.id) == true)
        }
        await send(missed)
        let through = max(after, found.frames.last?.id ?? 0)
        say(.resumed, ["through": .string("\(through)")])
        await release(through: through)
    }

    /// Sends what was held back and is newer, and what comes while that is sent.
    private func release(through: Int64) async {
        sentThrough = max(sentThrough, through)
        while let waiting = held, !waiting.isEmpty {
            held = []
            await send(waiting.filter { $0.id > sentThrough })
        }
        held = nil
    }

    /// As fast as the browser takes them.
    private func send(_ frames: [OutgoingFrame]) async {
        for frame in frames {
            if socket.outboundCount > Self.aheadMax {
                let timer = EventLoop.required().after(Self.readerMax) { [socket] in
                    socket.close(.tryAgainLater, reason: "too slow")
                }
                await socket.flushed()
                timer.cancel()
            }
            guard socket.send(preencoded: frame.frame) else { return }
        }
    }

    private func say(_ event: SocketAnswer, _ data: JSON) {
        _ = socket.send(JSON.object(["event": .string(event.rawValue), "data": data]).jsonText)
    }

    private func refuse(_ problem: Problem) {
        var data: JSONObject = ["code": .string(problem.code.rawValue), "message": .string(problem.message)]
        if !problem.fields.isEmpty {
            data["details"] = [
                "fields": .object(JSONObject(problem.fields.map { ($0.name, .array([.string($0.message)])) }))
            ]
        }
        say(.error, .object(data))
    }
}

/// What a session asks other programs: the frames it missed, and whether it may follow a call.
struct Backlog: Sendable {
    var since: @Sendable (_ after: Int64, Principal) async throws -> Found
    /// - Throws: 404 for a call that is not theirs.
    var mayFollow: @Sendable (CallID, _ token: String) async throws -> Void

    struct Found: Sendable {
        var frames: [OutgoingFrame]
        var isComplete: Bool
    }
}
