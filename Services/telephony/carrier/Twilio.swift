import HTTP
import Shared

/// The carrier over Twilio's REST API, version 2010-04-01 (`specs/twilio-voice.openapi.json`).
struct Twilio: Sendable {
    struct Account: Sendable {
        /// `https://api.twilio.com` (`TWILIO_API_URL`), or whatever stands in for it.
        var url: String
        var sid: String
        var token: String
    }

    let account: Account
    let client: Client
    /// The whole exchange; a dial that takes longer counts as "nobody knows".
    var timeout = Duration.seconds(10)

    var carrier: Carrier {
        Carrier(
            dial: { order async throws(Carrier.Failure) in try await self.dial(order) },
            hangUp: { sid async throws(Carrier.Failure) in
                try await self.update(sid, [("Status", "completed")])
            },
            redirect: { sid, url async throws(Carrier.Failure) in
                try await self.update(sid, [("Url", url), ("Method", "POST")])
            },
            look: { sid async throws(Carrier.Failure) in try await self.look(sid) },
            find: { from, to, since async throws(Carrier.Failure) in try await self.find(from, to, since) })
    }

    private func dial(_ order: Carrier.Dial) async throws(Carrier.Failure) -> String {
        var form = [
            ("To", order.to), ("From", order.from), ("Url", order.instructions), ("Method", "POST"),
            ("StatusCallback", order.status), ("StatusCallbackMethod", "POST"), ("Timeout", String(order.ringSeconds)),
        ]
        for event in ["initiated", "ringing", "answered", "completed"] { form.append(("StatusCallbackEvent", event)) }
        if let machine = order.answeringMachine {
            form += [
                ("MachineDetection", "Enable"), ("AsyncAmd", "true"), ("AsyncAmdStatusCallback", machine),
                ("AsyncAmdStatusCallbackMethod", "POST"),
            ]
        }
        let answer = try await send(.post(calls, form: form))
        guard let sid = answer["sid"]?.string, !sid.isEmpty else {
            throw .unknown("the answer names no call")
        }
        return sid
    }

    private func update(_ sid: String, _ form: [(String, String)]) async throws(Carrier.Failure) {
        _ = try await send(.post(call(sid), form: form))
    }

    private func look(_ sid: String) async throws(Carrier.Failure) -> CarrierReport? {
        do {
            return Self.report(try await send(.get(call(sid))))
        } catch .refused(let status, _, _) where status == 404 {
            return nil
        }
    }

    private func find(_ from: String, _ to: String, _ since: Instant) async throws(Carrier.Failure) -> [Carrier.Placed]
    {
        // `StartTime>` has the grain of a day; the instant is compared here.
        let query = URLText.form([
            ("From", from), ("To", to), ("StartTime>", (since - .seconds(86_400)).day), ("PageSize", "50"),
        ])
        let page = try await send(.get("\(calls)?\(query)"))
        return (page["calls"]?.array ?? []).compactMap { item in
            guard let report = Self.report(item), item["direction"]?.string?.hasPrefix("outbound") != false,
                let created = item["date_created"]?.string.flatMap({ Instant(rfc2822: $0) })
            else { return nil }
            return Carrier.Placed(report: report, createdAt: created)
        }
    }

    /// Reads Twilio's call resource. `end_time` and `start_time` are RFC 2822, `duration` is text.
    static func report(_ json: JSON) -> CarrierReport? {
        guard let sid = json["sid"]?.string, let state = json["status"]?.string.flatMap(CarrierState.init(carrier:))
        else {
            return nil
        }
        let at = (json["end_time"]?.string ?? json["start_time"]?.string).flatMap { Instant(rfc2822: $0) }
        return CarrierReport(
            sid: sid, state: state, at: at ?? .now(),
            durationSeconds: json["duration"]?.string.flatMap { Int64($0) } ?? json["duration"]?.int64)
    }

    // MARK: The wire

    private var calls: String { "\(account.url)/2010-04-01/Accounts/\(account.sid)/Calls.json" }
    private func call(_ sid: String) -> String {
        "\(account.url)/2010-04-01/Accounts/\(account.sid)/Calls/\(URLText.encode(sid)).json"
    }

    private func send(_ request: ClientRequest) async throws(Carrier.Failure) -> JSON {
        var request = request
        request.authorize(user: account.sid, password: account.token)
        request.timeout = timeout
        let response: ClientResponse
        do {
            response = try await client.send(request)
        } catch let error as ClientError where error.isBeforeSending {
            throw .busy
        } catch {
            throw .unknown("\(error)")
        }
        let json = try? response.json()
        switch response.status {
        case 200..<300:
            guard let json else { throw .unknown("the answer is no JSON") }
            return json
        case 429: throw .busy
        case 400..<500:
            throw .refused(
                status: response.status, code: json?["code"]?.int64,
                message: json?["message"]?.string ?? "HTTP \(response.status)")
        default: throw .unknown("HTTP \(response.status)")
        }
    }
}
