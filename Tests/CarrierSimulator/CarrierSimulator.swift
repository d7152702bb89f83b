import Glibc
import HTTP
import Runtime
import Shared

/// A stand-in for the carrier and its customers: Twilio's REST interface for calls, signed webhooks, TwiML, and real
/// ConversationRelay sockets. Everything of ours runs for real against it.
///
/// - `serve`: the carrier. PORT, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, PUBLIC_URL.
/// - `play --to NUMBER [--calls N] [--at-once N] [--speed X] [--conversations FILE] [--faults late,doubled,shuffled,interrupts]`:
///   customers call that number through the running carrier; one line of JSON per finished call.
@main
enum CarrierSimulator {
    static func main() {
        Service.main("carrier-simulator", commands: ["play": play]) { settings in
            let log = Log(program: "carrier-simulator", least: settings.choice("LOG_LEVEL", default: Log.Level.info))
            let account = Account(
                sid: settings.string("TWILIO_ACCOUNT_SID"), token: settings.secret("TWILIO_AUTH_TOKEN"),
                publicURL: settings.url("PUBLIC_URL", default: "http://127.0.0.1:8000"), client: Client(), log: log)
            let port = settings.int("PORT", default: 8190, in: 0...65_535)
            let file = settings.optional("CONVERSATIONS") ?? Conversation.defaultFile()
            try settings.check()
            guard let file else {
                throw Conversation.Unreadable(file: "conversations.jsonl", line: 0, reason: "not found")
            }
            let exchange = Exchange(account, try Conversation.read(file))
            return [OneLoopServer(port: port, router: Router(exchange.routes, program: "carrier-simulator", log: log))]
        }
    }

    private static let play: Service.Command = { arguments, settings in
        let port = settings.int("PORT", default: 8190)
        try settings.check()
        var body: JSONObject = [:]
        var words = arguments[...]
        while let name = words.popFirst() {
            guard let value = words.popFirst() else { throw Usage() }
            switch name {
            case "--to": body["to"] = .string(value)
            case "--calls": body["calls"] = Int64(value).map { .int($0) }
            case "--at-once": body["at_once"] = Int64(value).map { .int($0) }
            case "--speed": body["speed"] = Double(value).map { .double($0) }
            case "--conversations": body["conversations"] = .string(value)
            case "--faults": body["faults"] = .array(value.split(separator: ",").map { .string(String($0)) })
            default: throw Usage()
            }
        }
        let endless = body["calls"] == nil
        // Kept: a client that goes takes its transfers along.
        let client = Client()
        repeat {
            var request = ClientRequest.post("http://127.0.0.1:\(port)/simulator/play", json: JSON.object(body))
            request.timeout = .seconds(86_400)
            let answer = try await client.stream(request)
            for try await chunk in answer.body {
                _ = chunk.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            }
            guard answer.status == 200 else { throw Usage() }
        } while endless
    }

    struct Usage: Error, CustomStringConvertible {
        var description: String {
            "usage: carrier-simulator play --to +14155550100 [--calls N] [--at-once N] [--speed X] [--conversations FILE] "
                + "[--faults late,doubled,shuffled,interrupts]"
        }
    }
}

/// The carrier's state is on one loop, so its server is too, however many the program has.
private final class OneLoopServer: Component {
    let name = "http"
    private let server: Server

    init(port: Int, router: Router) {
        server = Server(port: port, host: "127.0.0.1", router: router)
    }

    func start(on group: EventLoopGroup) async throws {
        let one = EventLoopGroup(count: 1)
        one.start()
        try await server.start(on: one)
    }

    func stop(deadline: Duration) async { await server.stop(deadline: deadline) }
}
