import CPostgres
import Glibc
import Runtime

/// One libpq connection in pipeline mode. Batches are written as they come and answered in order.
///
/// Sendable because it is touched only on the loop it was made on: everything that crosses threads (cancellation, the
/// cancel request) comes back through `loop.execute`.
final class Connection: @unchecked Sendable {
    enum Phase { case connecting, ready, closed }

    let lane: PoolState.LaneID
    let loop: EventLoop
    unowned let pool: LoopPool
    private(set) var phase = Phase.connecting
    private var handle: OpaquePointer?
    private var watch: Watch?
    private var timer: Timer?
    private var isWriting = false
    /// Something was sent in this tick already.
    private var flushIsDue = false
    private var isCorked = false
    private var isTCP = false
    private var statements = StatementCache(capacity: Connection.statementsMax)
    /// Names to drop on the server as soon as no transaction is open.
    private var dropped: [String] = []
    /// Sent and not answered yet, the oldest first.
    private var pending = Fifo<Batch>()
    /// A cancel request is on its way: closed as soon as nothing is pending.
    private(set) var isCondemned = false
    private var isWatchingAbandoned = false
    /// The server announced that it ends the connection: statements after that point were never looked at.
    private var saidGoodBye = false

    /// Prepared statements per connection. Each costs the server some 10–100 kB.
    static let statementsMax = 256
    static let connectDeadline = Duration.seconds(5)
    /// How long an abandoned statement may go on before it is cancelled on the server, which costs the connection.
    static let abandonedPatience = Duration.milliseconds(100)
    /// How long a cancelled statement may take to stop.
    static let cancelPatience = Duration.seconds(5)

    init(lane: PoolState.LaneID, loop: EventLoop, pool: LoopPool) {
        self.lane = lane
        self.loop = loop
        self.pool = pool
    }

    var isBusy: Bool { !pending.isEmpty }
}

// MARK: Connecting

extension Connection {
    func open(_ settings: ConnectionSettings) {
        guard phase == .connecting else { return }
        var names: [UnsafePointer<CChar>?] = []
        var values: [UnsafePointer<CChar>?] = []
        let texts = settings.parameters.map { (strdup($0.name), strdup($0.value)) }
        defer {
            for (name, value) in texts {
                free(name)
                free(value)
            }
        }
        for (name, value) in texts {
            names.append(UnsafePointer(name))
            values.append(UnsafePointer(value))
        }
        names.append(nil)
        values.append(nil)
        handle = PQconnectStartParams(names, values, 0)
        guard handle != nil, PQstatus(handle) != CONNECTION_BAD else { return failToConnect() }
        PQsetNoticeReceiver(handle, { _, _ in }, nil)
        timer = loop.after(Self.connectDeadline) { [weak self] in
            self?.failToConnect("no answer within \(Self.connectDeadline)")
        }
        listen(read: false, write: true)
    }

    /// libpq may close its socket and open another with the same number between two calls, so the watch is made anew.
    private func listen(read: Bool, write: Bool) {
        watch = loop.watch(PQsocket(handle)) { [weak self] readiness in self?.onReady(readiness) }
        watch?.set(read: read, write: write)
    }

    private func advance() {
        watch?.cancel()
        watch = nil
        switch PQconnectPoll(handle) {
        case PGRES_POLLING_READING: listen(read: true, write: false)
        case PGRES_POLLING_WRITING: listen(read: false, write: true)
        case PGRES_POLLING_OK: becomeReady()
        default: failToConnect()
        }
    }

    private func becomeReady() {
        guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else { return failToConnect() }
        timer?.cancel()
        timer = nil
        phase = .ready
        isTCP = Self.isTCP(PQsocket(handle))
        listen(read: true, write: false)
        pool.connected(self)
    }

    private func failToConnect(_ reason: String? = nil) {
        let reason = reason ?? lastMessage
        dispose()
        pool.failedToConnect(self, reason)
    }

    private var lastMessage: String {
        let text = PQerrorMessage(handle).map { String(cString: $0) } ?? "out of memory"
        return text.split(separator: "\n").joined(separator: "; ")
    }
}

// MARK: Sending

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
        corkIfNotFirst()
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
        if isCorked, phase == .ready { cork(false) }
    }

    private func corkIfNotFirst() {
        if flushIsDue, isTCP, !isCorked, !Self.defersWrites { cork(true) }
    }

    private func cork(_ on: Bool) {
        isCorked = on
        var value: Int32 = on ? 1 : 0
        setsockopt(PQsocket(handle), Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func isTCP(_ socket: Int32) -> Bool {
        var domain: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0
            && (domain == AF_INET || domain == AF_INET6)
    }

    private static let defersWrites = PQlibVersion() >= 170_000

    private func flush() {
        guard phase == .ready else { return }
        let left = PQflush(handle)
        guard left >= 0 else { return lose(lastMessage) }
        guard isWriting != (left > 0) else { return }
        isWriting = left > 0
        watch?.set(read: true, write: isWriting)
    }
}

// MARK: Receiving

extension Connection {
    private func onReady(_ readiness: Readiness) {
        switch phase {
        case .connecting: advance()
        case .ready:
            guard PQconsumeInput(handle) == 1 else { return lose(lastMessage) }
            receive()
            if isWriting { flush() }
        case .closed: break
        }
    }

    /// Hands out every answer that arrived.
    private func receive() {
        var idleAnswers = 0
        while phase == .ready, let batch = pending.first, PQisBusy(handle) == 0 {
            if let result = PQgetResult(handle) {
                idleAnswers = 0
                receive(result, for: batch)
            } else if batch.isScript {
                guard PQenterPipelineMode(handle) == 1 else { return lose(lastMessage) }
                finish(batch)
            } else {
                // The null between two statements of a pipeline. Two in a row: nothing more has arrived.
                idleAnswers += 1
                if idleAnswers > 1 { break }
            }
        }
        if phase == .ready, isCondemned, pending.isEmpty { close() }
    }

    private func receive(_ result: OpaquePointer, for batch: Batch) {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            guard !batch.isScript, let step = nextStep(of: batch), case .run = step else { return PQclear(result) }
            batch.rows.append(Rows(table: ResultTable(result)))
        case PGRES_PIPELINE_SYNC:
            PQclear(result)
            finish(batch)
        case PGRES_PIPELINE_ABORTED:
            // A statement before it failed; what it would have prepared is not there.
            if case .prepare(let key)? = nextStep(of: batch) { statements.forget(key) }
            PQclear(result)
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE, PGRES_NONFATAL_ERROR:
            receiveError(result, for: batch)
            PQclear(result)
        default:
            // COPY is not offered, and libpq cannot leave it in a pipeline.
            PQclear(result)
            batch.failure = UnsendableValue(reason: "COPY is not supported")
            lose("COPY is not supported")
        }
    }

    /// Whether the server is inside a transaction block that has not failed. Only between statements.
    var isInTransaction: Bool {
        guard phase == .ready, pending.isEmpty else { return false }
        // libpq leaves the pipeline's last state only when asked once more.
        if let stray = PQgetResult(handle) { PQclear(stray) }
        return PQtransactionStatus(handle) == PQTRANS_INTRANS
    }

    private func nextStep(of batch: Batch) -> Batch.Step? {
        guard batch.nextStep < batch.steps.count else { return nil }
        defer { batch.nextStep += 1 }
        return batch.steps[batch.nextStep]
    }

    private func receiveError(_ result: OpaquePointer, for batch: Batch) {
        let step = batch.isScript ? nil : nextStep(of: batch)
        var label: StaticString?
        if case .run(let name)? = step { label = name }
        guard let error = PostgresError(result: result, label: label) else {
            // libpq speaks for itself: the connection broke.
            let reason = PQresultErrorMessage(result).map { String(cString: $0) } ?? ""
            return lose(reason.split(separator: "\n").joined(separator: "; "))
        }
        if case .prepare(let key)? = step { statements.forget(key) }
        if error.isStalePlan { forgetStatements(of: batch) }
        guard batch.failure == nil else { return }
        let severity = PQresultErrorField(result, Int32(UInt8(ascii: "V"))).map { String(cString: $0) }
        if severity == "FATAL" || severity == "PANIC" {
            saidGoodBye = true
            // In place of a statement's result it means that nothing was committed: an implicit transaction commits
            // after its last result. COMMIT and other commands may commit before theirs.
            let isUndone = step != nil && batch.hasOnlyPlannedStatements
            batch.failure = ConnectionLost(reason: error.message, mayHaveHappened: !isUndone)
        } else if error.isCanceled, isCondemned, !batch.isAbandoned {
            batch.failure = HitByCancel()
        } else {
            batch.failure = error
        }
    }

    private func forgetStatements(of batch: Batch) {
        for case .query(let query) in batch.items {
            if let name = statements.forget(StatementCache.Key(query)) { dropped.append(name) }
        }
    }

    private func finish(_ batch: Batch) {
        pending.removeFirst()
        batch.finish()
        if batch.isShared { pool.finished(self) }
    }
}

/// A cancel request that was meant for another statement on the connection ended this one. It has had no effect.
struct HitByCancel: Error {}

// MARK: Cancelling and closing

extension Connection {
    private func abandon(_ batch: Batch) {
        guard batch.abandon() else { return }
        if batch.isShared { watchAbandoned() } else { condemn() }
    }

    /// Nobody waits for the statement any more. Most end by themselves at once; one that does not is cancelled when it
    /// is its turn, so that the statements of other tasks behind it go on.
    private func watchAbandoned() {
        guard !isWatchingAbandoned else { return }
        isWatchingAbandoned = true
        timer = loop.after(Self.abandonedPatience) { [weak self] in
            guard let self, phase == .ready, !isCondemned else { return }
            isWatchingAbandoned = false
            guard let oldest = pending.first else { return }
            if oldest.isAbandoned { condemn() } else if pending.contains(where: \.isAbandoned) { watchAbandoned() }
        }
    }

    /// Stops what runs on the server and never serves again.
    func condemn() {
        guard phase == .ready, !isCondemned else { return }
        guard isBusy else { return close() }
        isCondemned = true
        pool.condemned(self)
        timer?.cancel()
        timer = loop.after(Self.cancelPatience) { [weak self] in
            self?.lose("a cancelled statement did not stop within \(Self.cancelPatience)")
        }
        guard let request = PQgetCancel(handle) else { return }
        pool.send(CancelRequest(request))
    }

    /// The connection broke: answers that arrived are still handed out, everybody else is told.
    func lose(_ reason: String) {
        guard phase == .ready else { return }
        receive()
        guard phase == .ready else { return }
        dispose()
        let reason = reason.isEmpty ? "closed by the server" : reason
        while let batch = pending.removeFirst() {
            if batch.failure == nil {
                batch.failure = ConnectionLost(reason: reason, mayHaveHappened: !saidGoodBye || batch.nextStep > 0)
            }
            batch.finish()
        }
        pool.lost(self)
    }

    /// Ends the connection in good order; whatever is pending is lost.
    func close() {
        switch phase {
        case .closed: break
        case .connecting: dispose()
        case .ready:
            dispose()
            while let batch = pending.removeFirst() {
                batch.fail(ConnectionLost(reason: "the connection was closed", mayHaveHappened: true))
            }
            pool.lost(self)
        }
    }

    private func dispose() {
        phase = .closed
        watch?.cancel()
        watch = nil
        timer?.cancel()
        timer = nil
        PQfinish(handle)
        handle = nil
    }
}

/// libpq's cancel request: a connection of its own to the server, and blocking.
///
/// Sendable because libpq lets another thread use it, and it is used once and freed there.
final class CancelRequest: @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { PQfreeCancel(handle) }

    func send() {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
            _ = PQcancel(handle, message.baseAddress, Int32(message.count))
        }
    }
}
