import HTTP
import Runtime
import Shared

/// The customer's side of a ConversationRelay session: says what the conversation holds, hears the answers, and comes
/// back when the line breaks, repeating what was not answered.
final class Customer {
    enum End: Sendable, Equatable {
        /// Everything was said; the customer hangs up.
        case hungUp
        /// We ended the session, with this handoff data.
        case ended(String?)
        /// The line broke and did not come back.
        case lost
    }

    private let account: Account
    private let sid: String
    private let from: String
    private let to: String
    private let url: String
    private let conversation: Conversation
    private let pace: Pace
    private let faults: Faults
    private(set) var heard: [String] = []
    private(set) var spoken = 0
    private(set) var reconnects = 0
    private var isOver = false
    private let wasGreeted: Bool
    private var socket: WebSocket?

    /// A line that is gone longer than this is lost.
    private static let returnMax: Duration = .seconds(40)
    private static let answerMax: Duration = .seconds(30)

    init(
        account: Account, sid: String, from: String, to: String, url: String, conversation: Conversation, pace: Pace,
        faults: Faults, after earlier: Customer? = nil
    ) {
        self.account = account
        self.sid = sid
        self.from = from
        self.to = to
        self.url = url
        self.conversation = conversation
        self.pace = pace
        self.faults = faults
        // The same person again, after a human or new instructions: greeted long ago, and not starting anew.
        wasGreeted = earlier != nil
        spoken = earlier?.spoken ?? 0
        heard = earlier?.heard ?? []
        reconnects = earlier?.reconnects ?? 0
    }

    /// The call is over for another reason: the customer puts the phone down.
    func hangUp() {
        isOver = true
        socket?.close()
    }

    func talk() async -> End {
        var waitsForGreeting = !wasGreeted
        var isRepeat = false
        var lostAt: ContinuousClock.Instant?
        while !isOver {
            guard let line = await connect(lostAt) else { return isOver ? .hungUp : .lost }
            socket = line
            do {
                if waitsForGreeting {
                    if let end = try await listen(line, interrupt: false) { return end }
                    waitsForGreeting = false
                }
                while spoken < conversation.says.count, !isOver {
                    let words = conversation.says[spoken]
                    if !isRepeat { try await pace.speak(words) }
                    isRepeat = false
                    send(line, ["type": "prompt", "voicePrompt": .string(words), "lang": "en-US", "last": true])
                    let cutsIn = faults.random() < faults.interrupts
                    if let end = try await listen(line, interrupt: cutsIn) {
                        spoken += 1
                        return end
                    }
                    spoken += 1
                }
                line.close()
                await line.end()
                return .hungUp
            } catch {
                // The line broke: what was said and not answered is said again on the next one.
                if isOver { return .hungUp }
                isRepeat = true
                reconnects += 1
                lostAt = .now
                line.close()
                try? await EventLoop.sleep(for: .milliseconds(50))
            }
        }
        return .hungUp
    }

    private struct Broken: Error {}

    private func connect(_ lostAt: ContinuousClock.Instant?) async -> WebSocket? {
        let end = (lostAt ?? .now) + Self.returnMax
        while ContinuousClock.now < end, !isOver {
            do {
                let signature = WebhookSignature.twilio(url: url, form: [], token: account.token)
                let line = try await WebSocket.connect(url: url, headers: ["X-Twilio-Signature": signature])
                send(
                    line,
                    [
                        "type": "setup", "sessionId": .string("VX" + sid.dropFirst(2)),
                        "accountSid": .string(account.sid),
                        "callSid": .string(sid), "from": .string(from), "to": .string(to), "direction": "inbound",
                        "callType": "PSTN", "callStatus": "IN-PROGRESS", "customParameters": .object([:]),
                    ])
                return line
            } catch {
                account.log.debug("relay.not_connected", ("error", "\(error)"))
                try? await EventLoop.sleep(for: .milliseconds(200))
            }
        }
        return nil
    }

    /// Hears one whole answer. Returns how the session ended, if it did.
    private func listen(_ line: WebSocket, interrupt: Bool) async throws -> End? {
        var words = ""
        let answerMax = Self.answerMax
        while true {
            guard let message = try await withDeadline(answerMax, { try await line.receive() }) else { throw Broken() }
            guard case .text(let text) = message, let json = try? JSON.parse(text) else { continue }
            switch json["type"]?.string {
            // Cuts what was being said, and is nothing by itself.
            case "text" where json["token"] == "…": continue
            case "text":
                words += json["token"]?.string ?? ""
                if interrupt, words.count > 20 {
                    let upTo = String(words.prefix(words.count / 2))
                    send(
                        line,
                        [
                            "type": "interrupt", "utteranceUntilInterrupt": .string(upTo),
                            "durationUntilInterruptMs": 800,
                        ])
                    heard.append(upTo)
                    return nil
                }
                if json["last"]?.bool == true {
                    heard.append(words)
                    try await pace.speak(words)
                    return nil
                }
            case "end":
                if !words.isEmpty { heard.append(words) }
                line.close()
                return .ended(json["handoffData"]?.string)
            default: continue
            }
        }
    }

    private func send(_ line: WebSocket, _ message: JSONObject) { _ = line.send(JSON.object(message).jsonText) }
}

/// How fast people speak.
struct Pace: Sendable {
    /// 1 = about 15 characters a second, 10 = ten times that; 0 = no waiting at all.
    var speed: Double

    func speak(_ words: String) async throws {
        guard speed > 0 else { return }
        try await EventLoop.sleep(for: .seconds(Double(words.count) / 15 / speed))
    }
}
