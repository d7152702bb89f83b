import CKafka
import Runtime
import Synchronization

/// The producer as its loop sees it: batches in, delivery reports out.
///
/// It holds one client at a time and gives it up, with everything under way, when no broker answers, when librdkafka
/// calls an error fatal, or when a batch stays unanswered too long. That last case is not rare: a broker that comes back
/// empty does not know the producer's id, and librdkafka then asks for a new epoch and tries again for ever.
final class ProducerCore {
    let loop: EventLoop
    let trouble = Trouble()
    /// How often no broker answered any more. Read from any thread.
    let disconnections = Atomic<Int>(0)
    private let settings: KafkaSettings
    private let deadline: Duration
    private var client: ProducerClient?
    /// Batches with records that are not answered yet, by the number of their first record, in that order.
    private var underWay: [Batch] = []
    /// The next record's number: its name between `produce` and its report.
    private var nextNumber = 1
    private var isClosed = false
    private var lastReport = ContinuousClock.now
    private var timer: Timer?
    private lazy var idle = Signal()
    private let sent: Counter
    private let failed: Counter

    init(_ settings: KafkaSettings, deadline: Duration, loop: EventLoop) {
        self.settings = settings
        self.deadline = deadline
        self.loop = loop
        sent = Metrics.shared.counter("kafka_produced_total", "Records acknowledged by the broker.")
        failed = Metrics.shared.counter("kafka_produce_failures_total", "Batches that were not acknowledged.")
    }

    /// Some records that are acknowledged together.
    private final class Batch {
        let records: [Record]
        let first: Int
        let began = ContinuousClock.now
        var deliveries: [Delivery]
        /// How many of the records librdkafka has taken.
        var queued = 0
        var answered = 0
        var error: KafkaError?
        let finish: (Result<[Delivery], any Error>) -> Void

        init(_ records: [Record], first: Int, finish: @escaping (Result<[Delivery], any Error>) -> Void) {
            self.records = records
            self.first = first
            self.finish = finish
            deliveries = Array(repeating: Delivery(partition: -1, offset: -1), count: records.count)
        }

        var isDone: Bool { answered == records.count }
    }

    func send(_ records: [Record], finish: @escaping (Result<[Delivery], any Error>) -> Void) {
        guard !isClosed else { return finish(.failure(KafkaClosed())) }
        let batch = Batch(records, first: nextNumber, finish: finish)
        nextNumber += records.count
        underWay.append(batch)
        watchDeadline()
        fill()
    }

    /// Hands records to librdkafka, oldest first, until its queue is full; the next report makes room.
    private func fill() {
        while let batch = underWay.first(where: { $0.queued < $0.records.count }) {
            do {
                let client = try currentClient()
                while batch.queued < batch.records.count {
                    let record = batch.records[batch.queued]
                    guard try client.produce(record, number: batch.first + batch.queued) else { return }
                    batch.queued += 1
                }
            } catch let error as KafkaError where error.isRecordRefused || error.isUnknownTopic {
                // This one record never leaves; the others of its batch are answered for themselves.
                answer(batch, at: batch.queued, .failure(error))
                batch.queued += 1
                retire()
            } catch {
                return giveUp("\(error)", error)
            }
        }
    }

    private func currentClient() throws -> ProducerClient {
        if let client { return client }
        let made = try ProducerClient(settings, owner: self)
        client = made
        return made
    }

    // MARK: What librdkafka reports

    /// Called for each record, inside `poll`.
    func report(_ number: Int, _ result: Result<Delivery, KafkaError>) {
        lastReport = .now
        // The batches are sorted by their first number.
        var low = 0
        var high = underWay.count
        while low < high {
            let middle = (low + high) / 2
            if underWay[middle].first <= number { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return }
        let batch = underWay[low - 1]
        guard number < batch.first + batch.records.count else { return }
        answer(batch, at: number - batch.first, result)
    }

    private func answer(_ batch: Batch, at place: Int, _ result: Result<Delivery, KafkaError>) {
        batch.answered += 1
        switch result {
        case .success(let delivery): batch.deliveries[place] = delivery
        case .failure(let error): batch.error = batch.error ?? error
        }
    }

    /// After a round of reports: tell whoever waits, and use the room.
    func reported() {
        retire()
        fill()
    }

    private func retire() {
        guard underWay.contains(where: \.isDone) else { return }
        let done = underWay.filter(\.isDone)
        underWay.removeAll(where: \.isDone)
        trouble.text = nil
        for batch in done { finish(batch) }
        if underWay.isEmpty { idle.fire() }
    }

    private func finish(_ batch: Batch) {
        if let error = batch.error {
            failed.add()
            batch.finish(.failure(error))
        } else {
            sent.add(batch.records.count)
            batch.finish(.success(batch.deliveries))
        }
    }

    /// Called inside `poll`; acts after it.
    func problem(_ error: KafkaError) {
        guard error.isOne(of: RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__FATAL), let broken = client else {
            return
        }
        disconnections.add(1, ordering: .relaxed)
        loop.afterCallback { [weak self] in
            guard let self, self.client === broken else { return }
            self.giveUp(error.reason, BrokerUnreachable(reason: error.reason))
        }
    }

    // MARK: Giving up

    private func giveUp(_ reason: String, _ error: any Error) {
        let batches = underWay
        underWay.removeAll()
        if !batches.isEmpty {
            trouble.text = reason
            settings.log.warn("kafka.producer_reset", ("reason", "\(reason)"), ("batches", .int(Int64(batches.count))))
        }
        // A client that has nothing to do may as well wait for the broker by itself, unless its producer id is spent.
        if let client, client.hasProduced || !batches.isEmpty {
            self.client = nil
            client.abandon()
        }
        for batch in batches {
            failed.add()
            batch.finish(.failure(error))
        }
        idle.fire()
    }

    private func watchDeadline() {
        guard timer == nil, let oldest = underWay.first else { return }
        let left = deadline - max(oldest.began, lastReport).duration(to: .now)
        timer = loop.after(max(left, .milliseconds(1))) { [weak self] in
            guard let self else { return }
            self.timer = nil
            if let oldest = self.underWay.first,
                max(oldest.began, self.lastReport).duration(to: .now) >= self.deadline
            {
                let reason = "no acknowledgement within \(self.deadline)"
                self.giveUp(reason, BrokerUnreachable(reason: reason))
            }
            self.watchDeadline()
        }
    }

    func drain(_ limit: Duration) async {
        let end = ContinuousClock.now + limit
        let timer = loop.after(limit) { [idle] in idle.fire() }
        defer { timer.cancel() }
        while !underWay.isEmpty, ContinuousClock.now < end {
            do { try await idle.wait() } catch { return }
        }
    }

    func close() async {
        isClosed = true
        timer?.cancel()
        giveUp("closed", KafkaClosed())
        let client = client
        self.client = nil
        await client?.close()
    }
}
