import HTTP
import Postgres
import Runtime
import Shared

extension Knowledge {
    /// `GET /api/v1/knowledge/search`
    func searchEntries(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let question = form.string("q", max: Question.lengthMax)
        let limit = form.optionalInt("limit", in: 1...Question.limitMax, default: Question.limitDefault)
        let business = form.optionalID("business_id", as: BusinessID.self)
        try form.finishRefusingUnknown()
        let principal = try request.requirePrincipal()
        return .found(
            try await search(
                question, in: principal.tenancy, counted: principal.defaultWorkspace, business: business, limit: limit))
    }

    /// `GET /internal/search`: telephony asks it once a turn.
    func searchForCall(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let workspace = form.id("workspace_id", as: WorkspaceID.self)
        // 1000 characters as Swift counts them can be several times as many scalars.
        let question = form.string("q", max: 8 * Question.lengthMax)
        let limit = form.optionalInt("limit", in: 1...Question.limitMax, default: Question.limitDefault)
        let business = form.optionalID("business_id", as: BusinessID.self)
        try form.finish()
        return .found(
            try await search(question, in: .only([workspace]), counted: workspace, business: business, limit: limit))
    }

    /// - Parameter counted: the workspace whose word counts say which words are rare.
    func search(
        _ text: String, in tenancy: Tenancy, counted: WorkspaceID?, business: BusinessID?, limit: Int
    ) async throws -> [FoundPassage] {
        let counts = try await counts.counts(of: counted)
        let question = Question(text, counts)
        var vector: [Float]?
        if let embedder, !Words.content(of: text).isEmpty {
            do {
                vector = try await embedder.question(text)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                log.warn("embeddings.failed", ("error", "\(error)"), ("passages", 0))
            }
        }
        guard !question.gains.isEmpty || vector != nil else { return [] }
        return try await SearchStore.find(
            question, vector: vector, model: embedder?.model, tenancy, business: business, limit: limit, database)
    }
}

extension Response {
    fileprivate static func found(_ results: [FoundPassage]) -> Response {
        .json { json in json.object { json in json.field("results", results) } }
    }
}
