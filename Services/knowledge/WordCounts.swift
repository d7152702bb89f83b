import Glibc
import Postgres
import Runtime
import Shared
import Synchronization

/// In how many passages of a workspace each word occurs.
struct Counts: Sendable {
    var passages: Int64 = 0
    var words: [String: Int64] = [:]

    /// How much a word tells (inverse document frequency): 1 for one that is everywhere, more for rarer ones.
    func rarity(of term: String) -> Double {
        1 + log(Double(passages + 1) / Double(min(words[term] ?? 0, passages) + 1))
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
    private let kept = Mutex<[WorkspaceID: Kept]>([:])

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
