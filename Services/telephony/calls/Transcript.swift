import Postgres
import Runtime
import Shared

/// Writes a conversation's utterances in order, through short outages of the database.
///
/// An utterance that could not be stored waits in memory before the next one, so the order and the numbers are right
/// whenever the database is back. Lives on one conversation's loop.
final class Transcript {
    private struct Waiting {
        let utterance: Utterance
        let failures: Int
        var wasTried = false
    }

    private let database: Database
    private let call: CallRef
    private let epoch: Int
    private let log: Log
    private var waiting: [Waiting] = []
    /// A newer socket of the call writes the transcript now.
    private(set) var isSuperseded = false

    /// More than an hour of talk; then the oldest is better told to the log than kept.
    private static let waitingMax = 1000

    init(_ database: Database, _ call: CallRef, epoch: Int, log: Log) {
        self.database = database
        self.call = call
        self.epoch = epoch
        self.log = log
    }

    /// The utterance's number; nil when it could not be stored yet.
    func store(_ utterance: Utterance, failures: Int) async -> Int64? {
        guard !isSuperseded, waiting.count < Self.waitingMax else { return nil }
        waiting.append(Waiting(utterance: utterance, failures: failures))
        return await flush(Retry(attempts: 3, first: .milliseconds(50), longest: .milliseconds(400)))
    }

    /// Stores what is left, before the conversation is forgotten.
    func drain() async {
        guard !waiting.isEmpty, !isSuperseded else { return }
        _ = await flush(Retry(attempts: 12, first: .milliseconds(100), longest: .seconds(3)))
        if !waiting.isEmpty, !isSuperseded {
            log.error("transcript.lost", ("utterances", .int(Int64(waiting.count))))
        }
    }

    func truncate(_ id: Int64, to heard: String) async {
        do {
            try await database.transaction { [call, epoch] (tx: borrowing Transaction) in
                try await TranscriptStore.truncate(id, of: call, to: heard, epoch: epoch, tx)
            }
        } catch {
            log.warn("transcript.not_truncated", ("interaction", .int(id)), ("error", "\(error)"))
        }
    }

    private func flush(_ retry: Retry) async -> Int64? {
        var last: Int64?
        var failures = 0
        while let next = waiting.first {
            do {
                let written = try await write(next)
                guard case .stored(let place) = written else {
                    isSuperseded = true
                    waiting = []
                    return nil
                }
                waiting.removeFirst()
                last = place.id
                failures = 0
            } catch {
                waiting[0].wasTried = true
                failures += 1
                guard failures < retry.attempts else {
                    log.warn("transcript.waiting", ("utterances", .int(Int64(waiting.count))), ("error", "\(error)"))
                    return nil
                }
                do { try await EventLoop.sleep(for: retry.delay(after: failures)) } catch { return nil }
            }
        }
        return last
    }

    private func write(_ next: Waiting) async throws -> TranscriptStore.Written {
        try await database.transaction { [call, epoch] (tx: borrowing Transaction) in
            try await TranscriptStore.append(
                next.utterance, to: call, epoch: epoch, failures: next.failures, isRepeat: next.wasTried, tx)
        }
    }
}
