import CKafka
import Runtime

/// Reads topics, on the loop it was made on. Not `Sendable`.
///
/// *Shared*: the members of a group divide the partitions, and where they are is kept by the broker: `store` what is done.
/// *Broadcast*: every partition is read from its beginning or from its end, and nothing is kept.
///
/// It creates topics that are missing, waits for brokers that are away, learns new partitions, and notices when the log is
/// not the one it was reading (`ReadPosition`): then it reads the new one from its beginning and delivers all of it.
public final class Subscription {
    public enum Start: Sendable { case beginning, end }

    enum Kind {
        case shared(group: String)
        case broadcast(Start)
    }

    let settings: KafkaSettings
    let kind: Kind
    let topics: [TopicDescription]
    let loop: EventLoop
    let client: ConsumerClient
    let troubles = Trouble()
    var positions: [Partition: ReadPosition] = [:]
    /// Ends seen when a broadcast began.
    var targets: [Partition: Int64] = [:]
    var hasStarted = false
    var isSettling = false
    var mustSettleAgain = false
    var isClosed = false

    private let arrived = Signal()
    /// Taken from librdkafka while nobody asked for it.
    private var held: [Record] = []
    private var isWaiting = false
    private var isInterrupted = false
    private var isPaused = false
    private var lastAsked = ContinuousClock.now
    private var ticks = 0
    private var timer: Timer?
    private let gauges: [String: Gauge]

    /// A member that does not poll for `max.poll.interval.ms` (five minutes) leaves its group, and one that does not poll
    /// for a moment delays every rebalance. An idle topic wakes nobody, so a clock does.
    private static let tick: Duration = .seconds(1)
    /// Ticks without anyone asking for records before fetching is paused.
    private static let patience = 2
    /// Ticks between looks for new partitions.
    static let discovery = 30
    /// Bytes handed over at once.
    private static let bytesMax = 8 << 20

    /// Joins the group as soon as the broker answers.
    public static func shared(
        group: String, topics: [TopicDescription], settings: KafkaSettings
    ) throws -> Subscription {
        try Subscription(.shared(group: group), topics, settings)
    }

    /// Reads every partition. What is written after `isReady` turned true is read, from either start.
    public static func broadcast(
        topics: [TopicDescription], from start: Start, settings: KafkaSettings
    ) throws -> Subscription {
        try Subscription(.broadcast(start), topics, settings)
    }

    private init(_ kind: Kind, _ topics: [TopicDescription], _ settings: KafkaSettings) throws {
        self.kind = kind
        self.topics = topics
        self.settings = settings
        loop = .required()
        troubles.text = "waiting for the broker"
        client = try ConsumerClient(kind, settings)
        var gauges: [String: Gauge] = [:]
        for topic in topics {
            gauges[topic.name] = Metrics.shared.gauge(
                "switchboard_consumer_lag", "Records of the topic this member has not read yet.",
                ("consumer", kind.label),
                ("topic", topic.name))
        }
        self.gauges = gauges
        client.owner = self
        schedule()
        settle()
    }

    // MARK: Reading

    /// The next records in order within each partition; waits for at least one. None only after `interrupt`.
    /// - Throws: `CancellationError`, ``KafkaClosed``.
    public func next(max: Int = 500) async throws -> [Record] {
        while true {
            try Task.checkCancellation()
            if isClosed { throw KafkaClosed() }
            lastAsked = .now
            let records = take(max)
            if !records.isEmpty { return records }
            isWaiting = true
            defer { isWaiting = false }
            try await arrived.wait()
            if isInterrupted {
                isInterrupted = false
                return []
            }
        }
    }

    /// Has `next` return to whoever waits in it.
    public func interrupt() {
        guard isWaiting else { return }
        isInterrupted = true
        arrived.fire()
    }

    /// Marks records as done; the group goes on after them. Call it when their effects are committed. Records of partitions
    /// that have gone to another member meanwhile are passed over: that member handles them again.
    public func store(_ records: [Record]) {
        var offsets: [Partition: Int64] = [:]
        for record in records { offsets[record.place] = Swift.max(offsets[record.place] ?? 0, record.offset + 1) }
        client.store(offsets.filter { positions[$0.key] != nil })
    }

    /// Partitions this member reads.
    public var assigned: [Partition] { Array(positions.keys) }

    /// Whether a broadcast has read everything that was there when it began, or a member has been given its part.
    public var isReady: Bool {
        guard hasStarted else { return false }
        return targets.allSatisfy { target in
            (positions[target.key]?.next ?? 0) >= target.value
        }
    }

    /// Why nothing can be read at present. From any thread.
    public nonisolated var trouble: String? { troubles.text }

    /// Leaves: what was stored is committed first.
    public func close() async {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        arrived.fire()
        if case .shared = kind, hasStarted { await client.leave() }
        await client.close()
    }

    // MARK: Taking records

    func wake() { arrived.fire() }

    private func take(_ max: Int) -> [Record] {
        var records = held
        held.removeAll()
        if isPaused {
            isPaused = false
            client.resume(assigned)
        }
        var bytes = 0
        while records.count < max, bytes < Self.bytesMax, let taken = client.poll() {
            guard let record = accept(taken) else { continue }
            bytes += record.value?.count ?? 0
            records.append(record)
        }
        return records
    }

    private func accept(_ taken: ConsumerClient.Taken) -> Record? {
        switch taken {
        case .record(let record):
            // Not ours (any more): it was on its way when the partition was taken from us.
            guard var position = positions[record.place] else { return nil }
            let verdict = position.read(record.offset, fingerprint: record.fingerprint)
            positions[record.place] = position
            switch verdict {
            case .deliver: return record
            case .drop: return nil
            case .restart:
                newLog(record.place)
                client.seek([(record.place, .beginning)])
                return nil
            }
        case .end(let place, let offset):
            if let target = targets[place], offset >= target { targets[place] = nil }
            return nil
        case .unknownTopic:
            settle()
            return nil
        case .nothing: return nil
        }
    }

    func newLog(_ place: Partition) {
        settings.log.warn("kafka.new_log", ("topic", "\(place.topic)"), ("partition", .int(Int64(place.number))))
    }

    // MARK: The clock

    private func schedule() {
        timer = loop.after(Self.tick) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.ticked()
            self.schedule()
        }
    }

    private func ticked() {
        ticks += 1
        if isWaiting {
            arrived.fire()
        } else if lastAsked.duration(to: .now) > Self.tick * Self.patience {
            // Whoever reads is busy, perhaps waiting for its database. Stay in the group, and fetch nothing more.
            if !isPaused {
                isPaused = true
                client.pause(assigned)
            }
            while held.count < 1000, let taken = client.poll() {
                if let record = accept(taken) { held.append(record) }
            }
        }
        if ticks.isMultiple(of: 5) { measureLag() }
        if case .broadcast = kind, ticks.isMultiple(of: Self.discovery) { settle() }
    }

    private func measureLag() {
        var lag: [String: Int64] = [:]
        for (place, position) in positions {
            lag[place.topic, default: 0] += client.lag(place, next: position.next)
        }
        for (topic, gauge) in gauges { gauge.set(Double(lag[topic] ?? 0)) }
    }

    // MARK: What the group decides

    func assign(_ places: [Partition]) {
        for place in places { positions[place] = ReadPosition() }
        // librdkafka remembers the pause of a partition that was taken away and came back.
        if isPaused { client.pause(places) } else { client.resume(places) }
        troubles.text = nil
        settings.log.info("kafka.assigned", ("partitions", .int(Int64(positions.count))))
    }

    func revoke(_ places: [Partition]) {
        for place in places { positions[place] = nil }
        held.removeAll { positions[$0.place] == nil }
    }

    /// No broker answers.
    func disconnected(_ reason: String) {
        if troubles.text == nil { settings.log.warn("kafka.disconnected", ("reason", "\(reason)")) }
        troubles.text = reason
        for place in positions.keys { positions[place]?.disconnected() }
        held.removeAll()
        settle()
    }
}

extension Subscription.Kind {
    var label: String {
        switch self {
        case .shared(let group): group
        case .broadcast: "broadcast"
        }
    }
}
