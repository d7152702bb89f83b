import HTTP
import Runtime
import Shared

/// Every call of the account, and the interfaces that start and steer them. Lives on one loop.
///
/// `@unchecked Sendable`: made, used and kept on the only loop of this program.
final class Exchange: @unchecked Sendable {
    private let account: Account
    private let conversations: [Conversation]
    private var calls: [String: PhoneCall] = [:]
    private var order: [String] = []
    private var turn = 0

    private static let callsMax = 20_000
    private static let arrivalGap: Duration = .milliseconds(20)

    init(_ account: Account, _ conversations: [Conversation]) {
        self.account = account
        self.conversations = conversations
    }

    var routes: [Route] {
        let calls = "/2010-04-01/Accounts/{account}/Calls"
        return [
            .post(
                calls + ".json", "Create a call", family: .plain, access: .signed, consumes: .form,
                returns: [201: .anyObject]
            ) {
                try await self.create($0)
            },
            .get(calls + ".json", "List calls", family: .plain, access: .signed, returns: .ok(.anyObject)) {
                try self.list($0)
            },
            .get(calls + "/{sid}", "Read a call", family: .plain, access: .signed, returns: .ok(.anyObject)) {
                try self.read($0)
            },
            .post(
                calls + "/{sid}", "Change a call", family: .plain, access: .signed, consumes: .form,
                returns: .ok(.anyObject)
            ) {
                try await self.update($0)
            },
            .post(
                "/simulator/play", "Customers call; one line of JSON per finished call", family: .plain,
                access: .everyone,
                body: .anyObject, returns: .ok(.anyObject), deadline: .seconds(60)
            ) { try await self.play($0) },
        ]
    }

    // MARK: The carrier's REST interface

    private func authorize(_ request: Request) throws {
        let expected = "Basic " + Digest.base64(Array("\(account.sid):\(account.token)".utf8))
        guard request.parameter("account") == account.sid, request.headers["Authorization"] == expected else {
            throw Refused(status: 401, code: 20003, message: "Authenticate")
        }
    }

    private func create(_ request: Request) async throws -> Response {
        do {
            try authorize(request)
            let form = try await request.urlEncoded()
            if let complaint = Account.complaint(creating: form) {
                throw Refused(status: 400, code: 21_200, message: complaint)
            }
            func value(_ name: String) -> String { form.last { $0.0 == name }?.1 ?? "" }
            var events = Set(form.filter { $0.0 == "StatusCallbackEvent" }.map(\.1))
            if events.isEmpty { events = ["completed"] }
            let call = PhoneCall(
                from: value("From"), to: value("To"), direction: .outbound, conversation: nextConversation(),
                account: account,
                pace: Pace(speed: 0), faults: Faults([]),
                callback: value("StatusCallback").isEmpty ? nil : (value("StatusCallback"), events),
                machineCallback: value("AsyncAmdStatusCallback").isEmpty ? nil : value("AsyncAmdStatusCallback"))
            keep(call)
            let url = value("Url")
            nonisolated(unsafe) let started = call
            EventLoop.required().spawn("call") { await started.run(url: url) }
            return .json(201) { call.write(to: &$0) }
        } catch let refused as Refused {
            return refused.response
        }
    }

    private func list(_ request: Request) throws -> Response {
        do {
            try authorize(request)
            let query = request.query
            func wanted(_ name: String) -> String? { query.last { $0.0 == name }?.1 }
            let found = order.reversed().compactMap { calls[$0] }.filter { call in
                (wanted("To").map { $0 == call.to } ?? true) && (wanted("From").map { $0 == call.from } ?? true)
            }.prefix(50)
            return .json(200) { json in
                json.object { json in
                    json.fieldArray("calls") { json in for call in found { call.write(to: &json) } }
                    json.field("page", 0)
                    json.field("page_size", 50)
                }
            }
        } catch let refused as Refused {
            return refused.response
        }
    }

    private func find(_ request: Request) throws -> PhoneCall {
        let sid = request.parameter("sid")
        guard sid.hasSuffix(".json"), let call = calls[String(sid.dropLast(5))] else {
            throw Refused(status: 404, code: 20404, message: "The requested resource was not found")
        }
        return call
    }

    private func read(_ request: Request) throws -> Response {
        do {
            try authorize(request)
            let call = try find(request)
            return .json(200) { call.write(to: &$0) }
        } catch let refused as Refused {
            return refused.response
        }
    }

    private func update(_ request: Request) async throws -> Response {
        do {
            try authorize(request)
            let call = try find(request)
            let form = try await request.urlEncoded()
            if let unknown = form.first(where: { !Account.updateFields.contains($0.0) }) {
                throw Refused(status: 400, code: 20001, message: "unknown parameter \(unknown.0)")
            }
            let status = form.last { $0.0 == "Status" }?.1
            if let status, !["canceled", "completed"].contains(status) {
                throw Refused(status: 400, code: 21_218, message: "Status must be canceled or completed")
            }
            if ["completed", "failed", "busy", "no-answer", "canceled"].contains(call.status) {
                throw Refused(status: 400, code: 21_220, message: "Call is not in-progress. Cannot redirect.")
            }
            call.update(status: status, url: form.last { $0.0 == "Url" }?.1)
            return .json(200) { call.write(to: &$0) }
        } catch let refused as Refused {
            return refused.response
        }
    }

    // MARK: Customers who call

    private func play(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let to = form.phone("to")
        let count = form.optionalInt("calls", in: 1...Self.callsMax) ?? conversations.count
        let atOnce = form.optionalInt("at_once", in: 1...5_000) ?? 4
        let speed = form.optionalDouble("speed", in: 0...10_000) ?? 1
        let faults = Faults(form.strings("faults") ?? [])
        let file = form.optionalString("conversations", max: 4_096)
        try form.finish()
        let script = try file.map(Conversation.read) ?? conversations
        return .stream(type: "application/x-ndjson") { [self] writer in
            let lines = AsyncQueue<[UInt8]>(max: 100_000)
            nonisolated(unsafe) let gate = Gate(atOnce)
            let loop = EventLoop.required()
            nonisolated(unsafe) let queue = lines
            loop.spawn("play") { [self] in
                var running: [Task<Void, Never>] = []
                for number in 0..<count {
                    guard (try? await gate.enter()) != nil else { break }
                    let call = PhoneCall(
                        from: "+1415555\(String(1000 + number % 9000))", to: to.text, direction: .inbound,
                        conversation: script[number % script.count], account: account, pace: Pace(speed: speed),
                        faults: faults, callback: (account.voiceURL, ["completed"]))
                    keep(call)
                    // However many call at once, no two pick up the phone in the same millisecond.
                    try? await loop.sleep(for: Self.arrivalGap)
                    nonisolated(unsafe) let started = call
                    running.append(
                        loop.spawn("call") { [self] in
                            await started.run(url: account.voiceURL)
                            var json = JSONWriter(capacity: 1024)
                            started.report(to: &json)
                            _ = queue.tryPush(json.bytes + [0x0A])
                            gate.leave()
                        })
                }
                for task in running { await task.value }
                queue.finish()
            }
            while let line = try await lines.next() { try await writer.write(line) }
        }
    }

    private func nextConversation() -> Conversation {
        turn += 1
        return conversations[(turn - 1) % conversations.count]
    }

    private func keep(_ call: PhoneCall) {
        calls[call.sid] = call
        order.append(call.sid)
        if order.count > Self.callsMax { calls[order.removeFirst()] = nil }
    }
}

/// How the carrier says no.
struct Refused: Error {
    var status: Int
    var code: Int
    var message: String

    var response: Response {
        .json(status) { json in
            json.object { json in
                json.field("code", code)
                json.field("message", message)
                json.field("more_info", "https://www.twilio.com/docs/errors/\(code)")
                json.field("status", status)
            }
        }
    }
}

/// So many at once and no more. Confined to its loop.
final class Gate {
    private var free: Int
    private let opened = Signal()

    init(_ places: Int) { free = places }

    func enter() async throws {
        while free == 0 { try await opened.wait() }
        free -= 1
    }

    func leave() {
        free += 1
        opened.fire()
    }
}
