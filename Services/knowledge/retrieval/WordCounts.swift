import Glibc
import Postgres
import Runtime
import Shared

/// In how many passages of a workspace each term occurs.
struct Counts: Sendable {
    private(set) var passages: Int64 = 0
    private(set) var words: [String: Int64] = [:]
    /// Known stems by their first letter, for `Spelling`.
    private var byLetter: [UInt8: [Spelling.Known]] = [:]

    init() {}

    /// - Parameter words: the empty word counts all passages.
    init(_ words: [String: Int64]) {
        passages = words[""] ?? 0
        self.words = words.filter { $0.key != "" }
        let stems = Set(self.words.keys.filter { !$0.hasPrefix("@") }).union(Paraphrases.stems)
        byLetter = Dictionary(grouping: stems.sorted().map(Spelling.Known.init)) { $0.letters.first ?? 0 }
    }

    func knows(_ term: String) -> Bool { words[term] != nil }

    func vocabulary(_ letter: UInt8) -> [Spelling.Known] { byLetter[letter] ?? [] }

    /// How much a term tells (inverse document frequency, as BM25 has it): near 0 for one that is everywhere.
    func rarity(of term: String) -> Double {
        let having = Double(min(words[term] ?? 0, passages))
        return log(1 + (Double(passages) - having + 0.5) / (having + 0.5))
    }
}

/// Keeps the counts of the workspaces that are asked about, so that a search is one round trip. They may be a minute old:
/// one passage more or less changes no ranking.
final class WordCounts: Sendable {
    private static let workspacesMax = 64
    private static let staleAfter: Duration = .seconds(30)

    private struct Kept: Sendable {
        var counts: Counts
        var at: ContinuousClock.Instant
        var isRefreshing = false
    }

    private let database: Database
    private let log: Log
    private let kept = Guarded<[WorkspaceID: Kept]>([:])

    init(database: Database, log: Log) {
        self.database = database
        self.log = log
    }

    func counts(of workspace: WorkspaceID?) async throws -> Counts {
        guard let workspace else { return Counts() }
        let (known, mustRefresh) = kept.withLock { kept -> (Counts?, Bool) in
            guard let known = kept[workspace] else { return (nil, false) }
            let isStale = !known.isRefreshing && ContinuousClock.now - known.at > Self.staleAfter
            if isStale { kept[workspace]?.isRefreshing = true }
            return (known.counts, isStale)
        }
        guard let known else { return try await load(workspace) }
        if mustRefresh {
            EventLoop.required().spawn("word counts") { [self] in
                do {
                    _ = try await load(workspace)
                } catch {
                    kept.withLock { $0[workspace]?.isRefreshing = false }
                    log.warn("word_counts.not_read", ("error", "\(error)"))
                }
            }
        }
        return known
    }

    private func load(_ workspace: WorkspaceID) async throws -> Counts {
        let counts = try await SearchStore.counts(of: workspace, database)
        kept.withLock { kept in
            if kept[workspace] == nil, kept.count >= Self.workspacesMax,
                let oldest = kept.min(by: { $0.value.at < $1.value.at })?.key
            {
                kept[oldest] = nil
            }
            kept[workspace] = Kept(counts: counts, at: .now)
        }
        return counts
    }
}
