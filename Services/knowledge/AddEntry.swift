import Documents
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
        let passages = try await index(title: entry.title, Passages.blocks(entry.content))
        do {
            return try await database.transaction { (tx: borrowing Transaction) -> Entry in
                let stored = try await EntryStore.insert(entry, status: .ready, tx)
                EntryStore.addPassages(passages, to: stored.about, model: embedder?.model, tx)
                tx.publish(EntryEvent.added(stored.about))
                return stored
            }
        } catch let error as PostgresError where error.isForeignKeyViolation("entries_business") {
            // Deleted since it was looked up.
            throw Self.foreignBusiness
        }
    }

    /// Cuts a text into passages and makes their terms and vectors. Without vectors an entry is found by its words.
    /// - Parameter progress: told the part that is done, from 0 to 1.
    func index(
        title: String, _ blocks: [Block], progress: (Double) async throws -> Void = { _ in }
    ) async throws -> [IndexedPassage] {
        // A whole manual takes longer than a loop may be kept from its other work.
        var indexed = try await indexing.run {
            let (titleTerms, lead) = (Terms(title), Terms(Passages.lead(blocks)))
            return Passages.split(blocks).map { passage in
                let weights = FieldWeights.of(
                    title: titleTerms, lead: passage.heading.map { Terms($0) } ?? lead, body: Terms(passage.body))
                return IndexedPassage(passage: passage, weights: weights)
            }
        }
        guard let embedder else { return indexed }
        do {
            for start in stride(from: 0, to: indexed.count, by: Embedder.batchMax) {
                let batch = start..<min(start + Embedder.batchMax, indexed.count)
                let vectors = try await embedder.passages(title, indexed[batch].map(\.passage.body))
                for (place, vector) in zip(batch, vectors) { indexed[place].embedding = vector }
                if batch.upperBound < indexed.count {
                    try await progress(Double(batch.upperBound) / Double(indexed.count))
                }
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            log.warn("embeddings.failed", ("error", "\(error)"), ("passages", .int(indexed.count)))
        }
        return indexed
    }

    /// Where an entry goes: the business decides, and a workspace that is named beside it must be the same.
    func workspace(
        of business: BusinessID?, named: WorkspaceID?, _ principal: Principal
    ) async throws -> WorkspaceID {
        guard let business else { return try principal.workspace(named, for: .writeKnowledge) }
        guard let config = try await ConfigStore.find(business, principal.tenancy, database),
            named == nil || named == config.workspaceID
        else { throw Self.foreignBusiness }
        return try principal.workspace(config.workspaceID, for: .writeKnowledge)
    }

    static var foreignBusiness: Problem {
        .validation("business_id", "must be a business configuration of the same workspace")
    }
}
