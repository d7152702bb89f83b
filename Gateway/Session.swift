import HTTP
import Runtime
import Shared

/// One browser on `/ws/calls`: what it has subscribed to and what it has been sent. Confined to its loop.
final class Session {
    let principal: Principal
    /// Asks for this person what only another program knows.
    private let token: String
    let socket: WebSocket
    private(set) var seesAll = false
    private(set) var calls: Set<CallID> = []
    private let backlog: Backlog
    /// While a resumption is being fetched, what arrives meanwhile waits here so that nothing overtakes it.
    private var held: [OutgoingFrame]?
    /// Ids at or below were sent by a resumption.
    private var sentThrough: Int64 = 0

    /// Calls one socket may follow one by one; who wants more follows all.
    private static let callsMax = 200
    private static let heldMax = 5_000

    init(_ principal: Principal, token: String, _ socket: WebSocket, _ backlog: Backlog) {
        self.principal = principal
        self.token = token
        self.socket = socket
        self.backlog = backlog
    }

    func offer(_ frame: OutgoingFrame) {
        guard seesAll || frame.call.map(calls.contains) ?? false, frame.isFor(principal) else { return }
        if held != nil {
            held?.append(frame)
            if held?.count ?? 0 > Self.heldMax { socket.close(.tryAgainLater, reason: "too much at once") }
            return
        }
        guard frame.id > sentThrough else { return }
        _ = socket.send(preencoded: frame.frame)
    }

    // MARK: What the browser says

    /// Handles one message. Nothing a browser sends can throw: it is told what was wrong.
    func receive(_ text: String) async {
        do {
            let message = try JSON.parse(text)
            guard let event = message["event"]?.string else {
                throw Problem.validation("event", "is missing: subscribe, unsubscribe, resume or ping")
            }
            let data = message["data"] ?? .object([:])
            switch SocketRequest(rawValue: event) {
            case .subscribe: try await subscribe(data)
            case .unsubscribe: try unsubscribe(data)
            case .resume: try await resume(data)
            case .ping: say(.pong, data)
            case nil: throw Problem.validation("event", "must be subscribe, unsubscribe, resume or ping")
            }
        } catch let problem as Problem {
            refuse(problem)
        } catch let error as JSON.SyntaxError {
            refuse(.malformedJSON(error))
        } catch {
            refuse(.internalError(error))
        }
    }

    private func subscribe(_ data: JSON) async throws {
        switch data["type"]?.string {
        case "all_calls":
            seesAll = true
            say(.subscribed, ["type": "all_calls"])
        case "call":
            let call = try callID(data)
            guard calls.contains(call) || calls.count < Self.callsMax else {
                throw Problem(
                    .conflict, "One socket follows at most \(Self.callsMax) calls; subscribe to all_calls instead.")
            }
            // Whose call it is, only its owner knows.
            try await backlog.mayFollow(call, token)
            calls.insert(call)
            say(.subscribed, ["type": "call", "call_id": .string(call.text)])
        default: throw Problem.validation("data.type", "must be all_calls or call")
        }
    }

    private func unsubscribe(_ data: JSON) throws {
        switch data["type"]?.string {
        case "all_calls":
            seesAll = false
            say(.unsubscribed, ["type": "all_calls"])
        case "call":
            let call = try callID(data)
            calls.remove(call)
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

    /// Sends what was missed, then goes on live: nothing twice, nothing left out.
    private func resume(_ data: JSON) async throws {
        let given = data["after"]
        guard let after = given?.string.flatMap({ Int64($0) }) ?? given?.int.map({ Int64($0) }), after >= 0 else {
            throw Problem.validation("data.after", "must be the id of the last frame you saw")
        }
        guard held == nil else { throw Problem(.conflict, "A resumption is under way.") }
        held = []
        let found: Backlog.Found
        do { found = try await backlog.since(after, principal) } catch {
            release(through: 0)
            throw error
        }
        guard found.isComplete else {
            say(.resync, ["reason": "too much was missed; load the list anew"])
            release(through: 0)
            return
        }
        var through = after
        for frame in found.frames {
            through = max(through, frame.id)
            if seesAll || frame.call.map(calls.contains) ?? false, frame.isFor(principal) {
                _ = socket.send(preencoded: frame.frame)
            }
        }
        say(.resumed, ["through": .string("\(through)")])
        release(through: through)
    }

    /// Sends what was held back and is newer.
    private func release(through: Int64) {
        sentThrough = max(sentThrough, through)
        let waiting = held ?? []
        held = nil
        for frame in waiting { offer(frame) }
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
