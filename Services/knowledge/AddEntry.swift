import HTTP
import Messaging
import Postgres
import Runtime
import Shared

extension Knowledge {
    /// `POST /api/v1/knowledge`. Passages and vectors are made before the transaction: it holds locks that others wait for.
    func addEntry(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let named = form.optionalID("workspace_id", as: WorkspaceID.self)
        let business = form.optionalID("business_id", as: BusinessID.self)
        let title = form.string("title", max: Entry.titleMax)
        let content = form.string("content", max: Entry.contentMax)
        let source = form.optionalString("source", max: 1000)
        let sourceType = form.optionalString("source_type", max: 100)
        let metadata = form.object("metadata") ?? JSONObject()
        try form.finish()
        let workspace = try await workspace(of: business, named: named, try request.requirePrincipal())
        let entry = NewEntry(
            workspaceID: workspace, businessID: business, title: title, content: content, source: source,
            sourceType: sourceType, metadata: metadata)
        let added = try await add(entry)
        return .json(201) { json in
            json.object { json in
                json.field("entry", added)
                json.field("message", "The entry has been added.")
            }
        }
    }

    func add(_ entry: NewEntry) async throws -> Entry {
        let passages = try await index(title: entry.title, content: entry.content)
        do {
            return try await database.transaction { (tx: borrowing Transaction) -> Entry in
                let stored = try await EntryStore.add(entry, passages, model: embedder.model, tx)
                tx.publish(EntryEvent.added(stored.about))
                return stored
            }
        } catch let error as PostgresError where error.isForeignKeyViolation("entries_business") {
            // Deleted since it was looked up.
            throw Self.foreignBusiness
        }
    }

    /// Cuts a text into passages and makes their vectors. Without vectors an entry is still found by its words.
    func index(title: String, content: String) async throws -> [IndexedPassage] {
        // A whole manual takes longer than a loop may be kept from its other work.
        let (bodies, terms) = try await Blocking.shared.run {
            let bodies = Passages.split(content)
            let titleWords = Words.content(of: title)
            return (bodies, bodies.map { Words.terms(titleWords + Words.content(of: $0)) })
        }
        var vectors: [[Float]?]
        do {
            vectors = try await embedder.passages(title, bodies)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            log.warn("embeddings.failed", ("error", "\(error)"), ("passages", .int(bodies.count)))
            vectors = Array(repeating: nil, count: bodies.count)
        }
        return bodies.indices.map { IndexedPassage(body: bodies[$0], terms: terms[$0], embedding: vectors[$0]) }
    }

    /// Where an entry goes: the business decides, and a workspace that is named beside it must be the same.
    private func workspace(
        of business: BusinessID?, named: WorkspaceID?, _ principal: Principal
    ) async throws -> WorkspaceID {
        guard let business else { return try principal.workspace(named, for: .writeKnowledge) }
        guard let config = try await ConfigStore.find(business, principal.tenancy, database),
            named == nil || named == config.workspaceID
        else { throw Self.foreignBusiness }
        return try principal.workspace(config.workspaceID, for: .writeKnowledge)
    }

    private static var foreignBusiness: Problem {
        .validation("business_id", "must be a business configuration of the same workspace")
    }
}
