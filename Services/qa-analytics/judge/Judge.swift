import HTTP
import Runtime
import Shared

/// A model that judges finished calls in place of the rubric, behind any OpenAI-compatible `/chat/completions` that takes
/// a JSON schema for its answer (OpenAI: "Structured outputs").
struct Judge: Sendable {
    struct Account: Sendable {
        /// Up to and including `/v1` (`QA_JUDGE_URL`).
        var url: String
        var key: String
        /// `QA_JUDGE_MODEL`
        var model: String
    }

    enum Failure: Error, Sendable {
        case status(Int)
        /// The model refused, was cut off, or said nothing.
        case noAnswer
    }

    let account: Account
    let client: Client
    /// For the whole answer. Nobody waits for it, so a model may think.
    var within = Duration.seconds(30)

    /// In front of its name in `reviewed_by` and `judged_by`.
    static let prefix = "model:"
    var name: String { Self.prefix + account.model }

    /// Longer calls stay with the rubric: no model reads them to the end.
    static let utterancesMax = 1_000
    static let textBytesMax = 200_000
    /// Far more than the answer with all the findings it may hold.
    private static let answerBytesMax = 256 * 1024

    /// Whether a model can be asked about this call. Nobody is asked about silence.
    static func canJudge(_ utterances: [Rubric.Utterance]) -> Bool {
        !utterances.isEmpty && utterances.count <= utterancesMax
            && utterances.reduce(0) { $0 + $1.text.utf8.count } <= textBytesMax
    }

    /// - Throws: ``Failure``, ``Verdict/Unusable``, `ClientError`.
    func ask(_ utterances: [Rubric.Utterance], _ terms: QualityTerms) async throws -> Verdict {
        var request = ClientRequest.post(
            "\(account.url)/chat/completions", json: JudgePrompt.body(utterances, terms, model: account.model))
        if !account.key.isEmpty { request.authorize(bearer: account.key) }
        request.timeout = within
        request.bodyMax = Self.answerBytesMax
        let response = try await client.send(request)
        guard response.isSuccess else { throw Failure.status(response.status) }
        let choice = try response.json()["choices"]?[0]
        guard choice?["finish_reason"]?.string ?? "stop" == "stop", let text = choice?["message"]?["content"]?.string
        else { throw Failure.noAnswer }
        return try Verdict(text, about: utterances)
    }
}
