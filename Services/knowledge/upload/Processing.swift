import Documents
import Messaging
import Postgres
import Runtime
import Shared

/// Processes uploaded documents one after the other, and indexes entries again whose terms were made by older rules. Any
/// number of replicas share the work.
///
/// A document is held while it is worked on and the hold renewed; after a crash it runs out and the next replica, or this
/// one again, starts anew from the stored file.
final class Processing: Component {
    let name = "documents"
    private let knowledge: Knowledge
    private let log: Log
    private let task = Lock()
    // Guarded by `task`.
    nonisolated(unsafe) private var running: Task<Void, Never>?

    private static let heldSeconds = 15
    private static let renewEvery: Duration = .seconds(5)
    private static let againSeconds = 2
    /// A file that has ended so many programs is not tried again.
    private static let attemptsMax = 3
    /// Finds what a crash left behind.
    private static let lookEvery: Duration = .seconds(1)

    init(_ knowledge: Knowledge) {
        self.knowledge = knowledge
        log = knowledge.log.child(("component", "documents"))
    }

    func start(on group: EventLoopGroup) async throws {
        let started = group.next().spawn("documents") { await self.run() }
        task.withLock { running = started }
    }

    func stop(deadline: Duration) async {
        let running = task.withLock { self.running }
        running?.cancel()
        await running?.value
    }

    private func run() async {
        let calls = knowledge.processing.listen()
        while !Task.isCancelled {
            do {
                let didUpload = try await processNext()
                let didRenew = didUpload ? true : try await knowledge.renewNext()
                if !didRenew { try await calls.wait(atMost: Self.lookEvery) }
            } catch is CancellationError {
                return
            } catch {
                log.warn("documents.failed", ("error", "\(error)"))
                try? await EventLoop.sleep(for: .seconds(1))
            }
        }
    }

    /// False when there was nothing to do.
    func processNext() async throws -> Bool {
        guard let waiting = try await UploadStore.claim(for: Self.heldSeconds, knowledge.database) else { return false }
        let (knowledge, log) = (knowledge, log)
        let renewing = EventLoop.required().spawn("document hold") {
            while (try? await EventLoop.sleep(for: Self.renewEvery)) != nil {
                do {
                    try await UploadStore.hold(waiting.entryID, for: Self.heldSeconds, knowledge.database)
                } catch {
                    log.warn("documents.hold_failed", ("error", "\(error)"))
                }
            }
        }
        defer { renewing.cancel() }
        do {
            guard waiting.attempts <= Self.attemptsMax else {
                throw Unreadable("could not be processed in \(Self.attemptsMax) attempts")
            }
            try await knowledge.process(waiting)
        } catch let error as Unreadable {
            try await knowledge.fail(waiting.entryID, error.reason)
        } catch {
            // The database is away, or we are: in a task of its own, which is not cancelled with this one.
            await EventLoop.required().spawn("document back") {
                do {
                    try await UploadStore.giveBack(waiting.entryID, after: Self.againSeconds, knowledge.database)
                } catch {
                    log.warn("documents.not_given_back", ("error", "\(error)"))
                }
            }.value
            throw error
        }
        return true
    }
}

extension Knowledge {
    /// How far an entry is: stored 0, parsed 30, vectors made 90, findable 100.
    private static let parsed = 30
    private static let embedded = 90

    func process(_ waiting: UploadStore.Waiting) async throws {
        guard let entry = try await EntryStore.find(waiting.entryID, .all, database) else { return }
        let file = try await UploadStore.file(of: waiting.entryID, database)
        let document = try await parser.parse(file, waiting.name, nil)
        try await show(Self.parsed, waiting.entryID)
        let passages = try await index(title: entry.about.title, document.blocks) { done in
            try await show(Self.parsed + Int(Double(Self.embedded - Self.parsed) * done), waiting.entryID)
        }
        try await database.transaction { (tx: borrowing Transaction) in
            guard var found = try await EntryStore.lockWhole(waiting.entryID, tx), found.about.status == .processing
            else {
                return
            }
            found.content = document.text
            found.about.metadata["pages"] = document.pages.map { .int($0) }
            found.about.metadata["passages"] = .int(passages.count)
            found.about.status = .ready
            found.about.progress = 100
            let stored = try await EntryStore.finish(found, document.blocks, tx)
            EntryStore.addPassages(passages, to: stored.about, model: embedder?.model, tx)
            UploadStore.remove(waiting.entryID, tx)
            tx.publish(EntryEvent.updated(stored.about))
        }
        log.info("document.processed", ("entry", .int(waiting.entryID)), ("passages", .int(Int64(passages.count))))
    }

    /// The entry stays, with the reason; nothing of the file does.
    func fail(_ id: Int64, _ reason: String) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            guard var entry = try await EntryStore.lockWhole(id, tx), entry.about.status == .processing else { return }
            entry.about.status = .failed
            entry.about.error = "The file \(reason)."
            let stored = try await EntryStore.finish(entry, nil, tx)
            UploadStore.remove(id, tx)
            tx.publish(EntryEvent.updated(stored.about))
        }
        log.info("document.failed", ("entry", .int(id)), ("reason", "\(reason)"))
    }

    private func show(_ progress: Int, _ id: Int64) async throws {
        try await database.transaction { (tx: borrowing Transaction) in
            guard let entry = try await EntryStore.advance(id, to: progress, tx) else { return }
            tx.publish(EntryEvent.updated(entry.about))
        }
    }

    /// Indexes one entry again that older rules have indexed; false when there is none.
    func renewNext() async throws -> Bool {
        guard let stale = try await EntryStore.stale(database) else { return false }
        let passages = try await index(
            title: stale.entry.about.title, stale.blocks ?? Passages.blocks(stale.entry.content))
        try await database.transaction { (tx: borrowing Transaction) in
            guard try await EntryStore.lockStale(stale.entry.about, tx) else { return }
            EntryStore.removePassages(of: stale.entry.about.id, of: stale.entry.about.workspaceID, tx)
            EntryStore.addPassages(passages, to: stale.entry.about, model: embedder?.model, tx)
        }
        return true
    }
}
