import CPostgres
import Glibc
import Runtime

// How a connection writes batches.

extension Connection {
    /// Sends the batch and waits for its end. When the surrounding task is cancelled, a shared statement is abandoned,
    /// and a transaction's connection is condemned.
    func perform(_ batch: Batch) async throws -> [Rows] {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                batch.await(continuation)
                submit(batch)
            }
        } onCancel: {
            loop.execute { self.abandon(batch) }
        }
    }

    /// The same, but cancellation does not reach it: ROLLBACK, and COMMIT once it was sent.
    func performToTheEnd(_ batch: Batch) async throws -> [Rows] {
        try await withUnsafeThrowingContinuation { continuation in
            batch.await(continuation)
            submit(batch)
        }
    }

    private func submit(_ batch: Batch) {
        guard phase == .ready else {
            if batch.isShared { pool.finished(self) }
            return batch.fail(ConnectionLost(reason: "closed before the statement was sent", mayHaveHappened: false))
        }
        if batch.isShared { dropStatements() }
        pending.append(batch)
        if flushIsDue, !Self.defersWrites { cork.set(true) }
        guard send(batch) else { return lose(lastMessage) }
        flushSoon()
    }

    private func send(_ batch: Batch) -> Bool {
        for item in batch.items {
            switch item {
            case .control(let text):
                batch.steps.append(.run(label: nil))
                let sent = text.withUTF8Buffer { sendPlain(String(decoding: $0, as: UTF8.self), Parameters()) }
                guard sent else { return false }
            case .query(let query):
                guard send(query, batch) else { return false }
            case .script(let text):
                // The simple protocol is not to be had in pipeline mode; a script has its connection to itself.
                guard PQexitPipelineMode(handle) == 1 else { return false }
                return PQsendQuery(handle, text) == 1
            }
        }
        return switchboard_sync_without_flush(handle) == 1
    }

    private func send(_ query: Query, _ batch: Batch) -> Bool {
        let key = StatementCache.Key(query)
        var name = statements.find(key)
        if name == nil {
            guard query.isPreparable else {
                batch.steps.append(.run(label: query.label))
                return sendPlain(query.sql, query.parameters)
            }
            let added = statements.add(key)
            if let old = added.dropped { dropped.append(old) }
            name = added.name
            batch.steps.append(.prepare(key))
            guard PQsendPrepare(handle, added.name, query.sql, Int32(key.types.count), key.types) == 1 else {
                return false
            }
        }
        batch.steps.append(.run(label: query.label))
        return query.parameters.withPointers { values in
            PQsendQueryPrepared(handle, name, Int32(query.parameters.count), values, nil, nil, 0) == 1
        }
    }

    private func sendPlain(_ sql: String, _ parameters: Parameters) -> Bool {
        parameters.withPointers { values in
            PQsendQueryParams(handle, sql, Int32(parameters.count), parameters.types, values, nil, nil, 0) == 1
        }
    }

    /// Statements that fell out of the cache, each in a batch of its own that fails for itself.
    func dropStatements() {
        guard !dropped.isEmpty, phase == .ready else { return }
        for name in dropped {
            // Names are ours ("s17"), so nothing needs quoting.
            let batch = Batch([.query(Query(text: "DEALLOCATE \(name)"))], isShared: false)
            pending.append(batch)
            guard send(batch) else { return lose(lastMessage) }
        }
        dropped.removeAll()
        flushSoon()
    }

    /// What several tasks send in one tick leaves together: with libpq 17 or newer in one write; an older one writes on
    /// every Sync, so from the second on the socket is corked, which makes those writes cheap and wakes the server once.
    private func flushSoon() {
        guard !flushIsDue else { return }
        flushIsDue = true
        if !Self.defersWrites { flush() }
        loop.execute { [weak self] in self?.endTick() }
    }

    private func endTick() {
        flushIsDue = false
        flush()
        if phase == .ready { cork.set(false) }
    }

    private static let defersWrites = PQlibVersion() >= 170_000

    func flush() {
        guard phase == .ready else { return }
        let left = PQflush(handle)
        guard left >= 0 else { return lose(lastMessage) }
        guard isWriting != (left > 0) else { return }
        isWriting = left > 0
        watch?.set(read: true, write: isWriting)
    }
}

/// Holds small packets of a TCP socket back while it is on.
struct Cork {
    private let socket: Int32?
    private var isOn = false

    /// For a socket that is not TCP nothing is to be done.
    init(socket: Int32 = -1) {
        var domain: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let isKnown = getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0
        self.socket = isKnown && (domain == AF_INET || domain == AF_INET6) ? socket : nil
    }

    mutating func set(_ on: Bool) {
        guard let socket, on != isOn else { return }
        isOn = on
        var value: Int32 = on ? 1 : 0
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}
