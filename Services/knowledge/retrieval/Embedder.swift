import HTTP
import Runtime
import Shared

/// What makes vectors of text, where `EMBEDDINGS_URL` names it. Without one the search goes by words and their meanings:
/// hashed words and n-grams as vectors were measured and brought nothing (docs/retrieval.md).
struct Embedder: Sendable {
    static let dimensions = 512

    /// Stored with each vector; only vectors of one maker are compared.
    let model: String
    let passages: @Sendable (_ title: String, _ bodies: [String]) async throws -> [[Float]]
    let question: @Sendable (_ text: String) async throws -> [Float]

    /// pgvector's text form.
    static func text(_ vector: [Float]) -> String { "[" + vector.map(\.description).joined(separator: ",") + "]" }
}

extension Embedder {
    /// An endpoint that speaks OpenAI's `POST /embeddings`.
    struct Endpoint: Sendable {
        /// With or without `/embeddings` at the end.
        var url: String
        var key: String
        var model: String
        /// How long a question may take: a caller is waiting.
        var questionWithin: Duration
    }

    struct Refused: Error, CustomStringConvertible {
        let reason: String
        var description: String { reason }
    }

    static let batchMax = 64

    static func remote(_ endpoint: Endpoint, client: Client) -> Embedder {
        Embedder(
            model: endpoint.model,
            passages: { title, bodies in
                var vectors: [[Float]] = []
                for start in stride(from: 0, to: bodies.count, by: batchMax) {
                    let batch = bodies[start..<min(start + batchMax, bodies.count)].map { "\(title)\n\n\($0)" }
                    vectors += try await requested(of: batch, endpoint, within: .seconds(20), client)
                }
                return vectors
            },
            question: { text in
                guard
                    let vector = try await requested(of: [text], endpoint, within: endpoint.questionWithin, client)
                        .first
                else { throw Refused(reason: "no vector came") }
                return vector
            })
    }

    private static func requested(
        of texts: [String], _ endpoint: Endpoint, within: Duration, _ client: Client
    ) async throws -> [[Float]] {
        let body: JSON = [
            "model": .string(endpoint.model), "input": .array(texts.map { .string($0) }),
            "dimensions": .int(Embedder.dimensions), "encoding_format": "float",
        ]
        let url = endpoint.url.hasSuffix("/embeddings") ? endpoint.url : endpoint.url + "/embeddings"
        var request = ClientRequest.post(url, json: body)
        request.timeout = within
        request.connectTimeout = within
        if !endpoint.key.isEmpty { request.authorize(bearer: endpoint.key) }
        let response = try await client.send(request)
        guard response.isSuccess else { throw Refused(reason: "the endpoint answered \(response.status)") }
        return try read(try response.json(), count: texts.count)
    }

    /// `{"data":[{"index":0,"embedding":[…]}]}`, in any order.
    static func read(_ json: JSON, count: Int) throws(Refused) -> [[Float]] {
        var vectors = [[Float]](repeating: [], count: count)
        for (place, item) in (json["data"]?.array ?? []).enumerated() {
            let index = item["index"]?.int ?? place
            let vector = (item["embedding"]?.array ?? []).compactMap { $0.double.map { Float($0) } }
            guard vectors.indices.contains(index), vector.count == Embedder.dimensions,
                vector.allSatisfy(\.isFinite)
            else { throw Refused(reason: "a vector does not have \(Embedder.dimensions) finite numbers") }
            vectors[index] = vector
        }
        guard vectors.allSatisfy({ !$0.isEmpty }) else {
            throw Refused(reason: "fewer vectors came than were asked for")
        }
        return vectors
    }
}
