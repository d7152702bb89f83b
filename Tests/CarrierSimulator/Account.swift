import HTTP
import Runtime
import Shared

/// The simulated carrier account: who may call its REST interface, and how it calls back.
struct Account: Sendable {
    var sid: String
    var token: String
    /// Where the numbers of the account point: our gateway as the world sees it.
    var publicURL: String
    var client: Client
    var log: Log

    var voiceURL: String { publicURL + "/api/calls/twilio-webhook/" }

    /// The carrier gives up on a webhook after 15 s.
    private static let webhookMax: Duration = .seconds(15)

    /// Posts a signed webhook.
    func post(_ url: String, _ form: [(String, String)], idempotency: String? = nil) async throws -> ClientResponse {
        var request = ClientRequest.post(url, form: form)
        request.headers.set("X-Twilio-Signature", WebhookSignature.twilio(url: url, form: form, token: token))
        request.headers.set("I-Twilio-Idempotency-Token", idempotency ?? EventID().text)
        request.headers.set("User-Agent", "TwilioProxy/1.1")
        request.timeout = Self.webhookMax
        return try await client.send(request)
    }

    /// Posts until somebody takes it: three tries over some seconds, with the same idempotency token.
    @discardableResult
    func deliver(_ url: String, _ form: [(String, String)]) async -> ClientResponse? {
        let idempotency = EventID().text
        for attempt in 0..<8 {
            do {
                let response = try await post(url, form, idempotency: idempotency)
                if response.status < 500 { return response }
                log.info("webhook.refused", ("status", .int(Int64(response.status))), ("attempt", .int(Int64(attempt))))
            } catch is CancellationError {
                return nil
            } catch {
                log.info("webhook.unreachable", ("error", "\(error)"), ("attempt", .int(Int64(attempt))))
            }
            try? await EventLoop.sleep(for: .milliseconds(250 << min(attempt, 4)))
        }
        log.warn("webhook.given_up")
        return nil
    }

    /// What the calls endpoint knows of its parameters (Twilio's own OpenAPI document, `CreateCallRequest`).
    static let callFields: Set<String> = [
        "To", "From", "Method", "FallbackUrl", "FallbackMethod", "StatusCallback", "StatusCallbackEvent",
        "StatusCallbackMethod", "SendDigits", "Timeout", "Record", "RecordingChannels", "RecordingStatusCallback",
        "RecordingStatusCallbackMethod", "SipAuthUsername", "SipAuthPassword", "MachineDetection",
        "MachineDetectionTimeout", "RecordingStatusCallbackEvent", "Trim", "CallerId",
        "MachineDetectionSpeechThreshold",
        "MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout", "AsyncAmd", "AsyncAmdStatusCallback",
        "AsyncAmdStatusCallbackMethod", "Byoc", "CallReason", "CallToken", "RecordingTrack", "TimeLimit",
        "ClientNotificationUrl", "Url", "Twiml", "ApplicationSid",
    ]
    static let updateFields: Set<String> = [
        "Url", "Method", "Status", "FallbackUrl", "FallbackMethod", "StatusCallback", "StatusCallbackMethod", "Twiml",
        "TimeLimit",
    ]

    /// What is wrong with a form by the carrier's own document; nil when nothing is.
    static func complaint(creating form: [(String, String)]) -> String? {
        if let unknown = form.first(where: { !callFields.contains($0.0) }) { return "unknown parameter \(unknown.0)" }
        func value(_ name: String) -> String? { form.last { $0.0 == name }?.1 }
        guard let to = value("To"), PhoneNumber(to) != nil else { return "To is not a phone number" }
        guard let from = value("From"), PhoneNumber(from) != nil else { return "From is not a phone number" }
        guard ["Url", "Twiml", "ApplicationSid"].contains(where: { value($0) != nil }) else { return "Url is missing" }
        for name in ["Url", "StatusCallback", "AsyncAmdStatusCallback"] {
            if let url = value(name), !url.hasPrefix("http://"), !url.hasPrefix("https://") {
                return "\(name) is no URL"
            }
        }
        for name in ["Method", "StatusCallbackMethod", "AsyncAmdStatusCallbackMethod"] {
            if let method = value(name), !["GET", "POST"].contains(method) { return "\(name) is no method" }
        }
        let events = form.filter { $0.0 == "StatusCallbackEvent" }.map(\.1)
        if events.contains(where: { !["initiated", "ringing", "answered", "completed"].contains($0) }) {
            return "StatusCallbackEvent is none of initiated, ringing, answered, completed"
        }
        if let timeout = value("Timeout"), !(Int(timeout).map { (0...600).contains($0) } ?? false) {
            return "Timeout is not 0 to 600"
        }
        if let detection = value("MachineDetection"), !["Enable", "DetectMessageEnd"].contains(detection) {
            return "MachineDetection is none of Enable, DetectMessageEnd"
        }
        return nil
    }
}

/// How callbacks misbehave, on demand.
struct Faults: Sendable {
    var late = false
    var doubled = false
    var shuffled = false
    /// Chance, per prompt, that the customer interrupts the answer.
    var interrupts = 0.0
    var random: @Sendable () -> Double = { .random(in: 0..<1) }

    init(_ words: [String]) {
        late = words.contains("late")
        doubled = words.contains("doubled")
        shuffled = words.contains("shuffled")
        interrupts = words.contains("interrupts") ? 0.2 : 0
    }
}
