import Runtime

extension Subscription {
    /// Asks the broker for the topics, creating those that are missing, until it answers: at the start, after every lost
    /// connection, and now and then for new partitions.
    func settle() {
        mustSettleAgain = true
        guard !isSettling, !isClosed else { return }
        isSettling = true
        let me = Confined(self)
        loop.spawn("kafka.settle") { await me.value.settleUntilDone() }
    }

    private func settleUntilDone() async {
        defer { isSettling = false }
        var failures = 0
        while mustSettleAgain, !isClosed {
            mustSettleAgain = false
            do {
                let survey = try await Topics.survey(topics, settings: settings)
                if isClosed { return }
                try apply(survey)
                failures = 0
            } catch {
                failures += 1
                mustSettleAgain = true
                troubles.text = "\(error)"
                do {
                    try await EventLoop.sleep(for: Retry.forever.delay(after: failures))
                } catch { return }
            }
        }
    }

    private func apply(_ survey: [Partition: Range<Int64>]) throws {
        let isFirst = !hasStarted
        switch kind {
        case .shared:
            if isFirst {
                try client.subscribe(topics.map(\.name))
                hasStarted = true
            } else {
                troubles.text = nil
            }
        case .broadcast(let start):
            if isFirst { targets = survey.compactMapValues { $0.upperBound > $0.lowerBound ? $0.upperBound : nil } }
            try read(survey, isFirst: isFirst, from: start)
            hasStarted = true
            troubles.text = nil
        }
        var seeks: [(Partition, ReadPosition.Seek)] = []
        for (place, offsets) in survey {
            guard let seek = positions[place]?.located(end: offsets.upperBound) else { continue }
            if seek == .beginning { newLog(place) }
            seeks.append((place, seek))
        }
        client.seek(seeks)
        wake()
    }

    /// Takes up partitions it does not read yet. Those that appear later are read from their beginning: everything in them
    /// was written after this reader began.
    private func read(_ survey: [Partition: Range<Int64>], isFirst: Bool, from start: Start) throws {
        let new = survey.filter { positions[$0.key] == nil }
        guard !new.isEmpty else { return }
        var starts: [(Partition, Int64)] = []
        for (place, position) in positions { starts.append((place, position.next ?? survey[place]?.lowerBound ?? 0)) }
        for (place, offsets) in new {
            // An explicit offset, not "the end": what is written between this answer and the first fetch is not missed.
            let offset = isFirst && start == .end ? offsets.upperBound : offsets.lowerBound
            let position = ReadPosition(startingAt: offset, first: offsets.lowerBound)
            positions[place] = position
            starts.append((place, position.trust == .sure ? offset : offset - 1))
        }
        try client.assign(starts)
    }
}
