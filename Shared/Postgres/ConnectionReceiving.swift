import CPostgres
import Runtime

// How a connection reads answers.

extension Connection {
    func onReady(_ readiness: Readiness) {
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
    func receive() {
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
