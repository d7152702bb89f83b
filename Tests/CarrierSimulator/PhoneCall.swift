import HTTP
import Runtime
import Shared

/// One call through the simulated carrier, from ringing to its last callback. Confined to its loop.
final class PhoneCall {
    enum Direction: String {
        case inbound
        case outbound = "outbound-api"
    }

    let sid: String
    let from: String
    let to: String
    let direction: Direction
    let conversation: Conversation
    private let account: Account
    private let pace: Pace
    private let faults: Faults
    /// Which events are told, and where.
    private let callback: (url: String, events: Set<String>)?
    private let machineCallback: String?
    private let createdAt = Instant.now()
    private(set) var status = "queued"
    private(set) var durationSeconds: Int?
    private(set) var customer: Customer?
    private(set) var failure: String?
    private var answeredAt: ContinuousClock.Instant?
    private var sequence = 0
    private var redirect: String?
    private var isEnded = false
    private var callbacks: [Task<Void, Never>] = []
    private var hold: Runtime.Timer?
    private var onHold = Signal()

    init(
        from: String, to: String, direction: Direction, conversation: Conversation, account: Account, pace: Pace,
        faults: Faults, callback: (url: String, events: Set<String>)?, machineCallback: String? = nil
    ) {
        sid = "CA" + Digest.hex(Digest.randomBytes(16))
        self.from = from
        self.to = to
        self.direction = direction
        self.conversation = conversation
        self.account = account
        self.pace = pace
        self.faults = faults
        self.callback = callback
        self.machineCallback = machineCallback
    }

    // MARK: Its life

    /// Rings, is answered (or not), follows the instructions at `url`, and ends.
    func run(url: String) async {
        if direction == .outbound {
            tell("initiated", as: "initiated")
            status = "ringing"
            tell("ringing", as: "ringing")
            try? await pace.speak("ring ring ring ring")
            // The last digits choose what happens, so a test can have any ending.
            if let ending = ["0001": "busy", "0002": "no-answer", "0004": "failed"][String(to.suffix(4))] {
                return await end(ending)
            }
            if isEnded { return await end("canceled") }
            answeredAt = .now
            status = "in-progress"
            tell("in-progress", as: "answered")
            if let machineCallback {
                let answeredBy = to.hasSuffix("0003") ? "machine_start" : "human"
                post(machineCallback, base + [("AnsweredBy", answeredBy), ("MachineDetectionDuration", "2300")])
            }
        } else {
            status = "ringing"
        }
        do {
            var instructions = try await fetch(url)
            if direction == .inbound {
                answeredAt = .now
                status = "in-progress"
            }
            while !isEnded {
                if let next = redirect {
                    redirect = nil
                    instructions = try await fetch(next)
                }
                guard let following = try await follow(instructions) else { break }
                instructions = following
            }
        } catch {
            failure = "\(error)"
            account.log.warn("call.failed", ("sid", "\(sid)"), ("error", "\(error)"))
        }
        await end("completed")
    }

    /// Acts on a document; returns the next one, nil when the call is over.
    private func follow(_ verbs: [Verb]) async throws -> [Verb]? {
        for verb in verbs {
            if isEnded || redirect != nil { return redirect == nil ? nil : [] }
            switch verb.name {
            case "Say": try await pace.speak(verb.text)
            case "Pause": try await pace.speak(String(repeating: " ", count: 15))
            case "Hangup", "Reject": return nil
            case "Redirect": return try await fetch(verb.text)
            case "Connect":
                guard let relay = verb.children.first(where: { $0.name == "ConversationRelay" }),
                    let url = relay.attributes["url"], url.hasPrefix("ws")
                else { throw Instructions.Unreadable(reason: "<Connect> without a usable <ConversationRelay>") }
                return try await converse(url, action: verb.attributes["action"])
            case "Dial":
                // The other party is already in the conference, or comes: people talk for a moment.
                hold = EventLoop.required().after(.seconds(pace.speed > 0 ? 3 / pace.speed : 0.05)) { [onHold] in
                    onHold.fire()
                }
                try await onHold.wait()
                guard let action = verb.attributes["action"] else { return nil }
                return try await fetch(action, more: [("DialCallStatus", "completed")])
            default: throw Instructions.Unreadable(reason: "unknown verb <\(verb.name)>")
            }
        }
        return redirect == nil ? nil : []
    }

    private func converse(_ url: String, action: String?) async throws -> [Verb]? {
        let customer = Customer(
            account: account, sid: sid, from: from, to: to, url: url, conversation: conversation, pace: pace,
            faults: faults, after: self.customer)
        self.customer = customer
        let outcome = await customer.talk()
        if redirect != nil { return [] }
        var more = [("SessionId", "VX" + sid.dropFirst(2)), ("SessionDuration", "\(seconds)")]
        switch outcome {
        case .hungUp:
            return nil
        case .ended(let handoff):
            more += [("SessionStatus", "ended")]
            if let handoff { more.append(("HandoffData", handoff)) }
        case .lost:
            failure = "the relay's socket did not come back"
            more += [("SessionStatus", "failed"), ("ErrorCode", "64105"), ("ErrorMessage", "WebSocket ended")]
        }
        guard let action else { return nil }
        return try await fetch(action, more: more)
    }

    private func fetch(_ url: String, more: [(String, String)] = []) async throws -> [Verb] {
        guard let response = await account.deliver(url, base + more), response.isSuccess else {
            throw Instructions.Unreadable(reason: "no instructions at all")
        }
        return try Instructions.read(response.body)
    }

    // MARK: From the REST interface

    /// `Status=completed` or `canceled`, or new instructions.
    func update(status: String?, url: String?) {
        if let url { redirect = url }
        if status != nil { isEnded = true }
        customer?.hangUp()
        onHold.fire()
    }

    // MARK: Callbacks

    private func end(_ ending: String) async {
        isEnded = true
        status = ending
        if answeredAt != nil { durationSeconds = seconds }
        tell(ending, as: "completed")
        for callback in callbacks { await callback.value }
    }

    /// Whole seconds, rounded up as the carrier bills them.
    private var seconds: Int {
        guard let answeredAt else { return 0 }
        return max(1, Int(answeredAt.duration(to: .now).inSeconds.rounded(.up)))
    }

    private var base: [(String, String)] {
        [
            ("CallSid", sid), ("AccountSid", account.sid), ("From", from), ("To", to), ("CallStatus", status),
            ("Direction", direction.rawValue), ("ApiVersion", "2010-04-01"),
        ]
    }

    private func tell(_ state: String, as event: String) {
        guard let callback, callback.events.contains(event) else { return }
        var form = base.filter { $0.0 != "CallStatus" }
        form += [
            ("CallStatus", state), ("Timestamp", Instant.now().rfc2822), ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", "\(sequence)"),
        ]
        sequence += 1
        if event == "completed" { form += [("CallDuration", "\(durationSeconds ?? 0)"), ("Duration", "1")] }
        post(callback.url, form)
    }

    private func post(_ url: String, _ form: [(String, String)]) {
        let (account, faults) = (account, faults)
        let wait = (faults.late ? 300 : 0) + (faults.shuffled ? Int(faults.random() * 250) : 0)
        let previous = faults.late || faults.shuffled ? nil : callbacks.last
        callbacks.append(
            EventLoop.required().spawn("callback") {
                // In order unless disorder was asked for: the carrier mostly is.
                await previous?.value
                if wait > 0 { try? await EventLoop.sleep(for: .milliseconds(wait)) }
                await account.deliver(url, form)
                if faults.doubled { await account.deliver(url, form) }
            })
    }

    // MARK: As the REST interface shows it

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("sid", sid)
            json.field("account_sid", account.sid)
            json.field("api_version", "2010-04-01")
            json.field("from", from)
            json.field("to", to)
            json.field("status", status)
            json.field("direction", direction.rawValue)
            json.field("duration", durationSeconds.map { "\($0)" })
            json.field("date_created", createdAt.rfc2822)
            json.field("start_time", createdAt.rfc2822)
            json.field("end_time", durationSeconds == nil ? nil : Instant.now().rfc2822)
            json.field("uri", "/2010-04-01/Accounts/\(account.sid)/Calls/\(sid).json")
        }
    }

    /// What a test wants to know of it.
    func report(to json: inout JSONWriter) {
        json.object { json in
            json.field("sid", sid)
            json.field("conversation", conversation.id)
            json.field("direction", direction.rawValue)
            json.field("from", from)
            json.field("status", status)
            json.field("duration_seconds", durationSeconds)
            json.fieldArray("said") { json in
                for words in conversation.says.prefix(customer?.spoken ?? 0) { json.value(words) }
            }
            json.fieldArray("heard") { json in for words in customer?.heard ?? [] { json.value(words) } }
            json.field("reconnects", customer?.reconnects ?? 0)
            json.field("failure", failure)
        }
    }
}

extension Instant {
    /// `Thu, 21 Nov 2026 00:10:20 +0000`
    var rfc2822: String {
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let text = Array(iso)
        let month = Int(String(text[5...6])).map { months[$0 - 1] } ?? ""
        return
            "\(days[Int(seconds / 86_400) % 7]), \(String(text[8...9])) \(month) \(String(text[0...3])) \(String(text[11...18])) +0000"
    }
}
