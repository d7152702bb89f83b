import CKafka
import Runtime
import Shared

/// Reads topics on the loop that made it. Not `Sendable`.
///
/// *Shared*: members of a group share the partitions and commit what was stored. *Broadcast*: reads every partition by
/// itself and commits nothing.
///
/// **A log that began anew.** Publishers stamp records with the topic's epoch (``epochHeader``), which grows when they find
/// the broker's log shorter than what they published. A reader that meets a higher epoch in the middle of a partition goes
/// back to its beginning: offsets of the old log mean nothing in the new one. What it then reads twice, its inbox knows.
public final class Subscription {
    public enum Kind: Sendable {
        case shared(group: String)
        case broadcast(from: Start)
    }
    public enum Start: Sendable { case beginning, end }

    public static let epochHeader = "epoch"

    private let settings: KafkaSettings
    private let kind: Kind
    private let topics: [String]
    private let handle: Handle
    private let rebalanced: Rebalanced
    private let log: Log
    private let arrived = Signal()
    private var buffer: [Record] = []
    private var pollTimer: Runtime.Timer?
    private var isPaused = false
    private var isClosed = false
    private var failure: KafkaError?
    private var epochs: [TopicPartition: Int64] = [:]
    /// Where each partition of a broadcast stood when it began: read up to there, one has caught up.
    private var targets: [TopicPartition: Int64] = [:]
    private var positions: [TopicPartition: Int64] = [:]
    private var assignment: [TopicPartition] = []

    public struct TopicPartition: Hashable, Sendable {
        public var topic: String
        public var partition: Int32
    }

    /// Records held here at most before the library is told to pause.
    private static let bufferMax = 4_096
    private static let drainMax = 1_024
    /// A group member that is not polled for `max.poll.interval.ms` (5 minutes) leaves it; an idle topic wakes nobody.
    private static let pollEvery: Duration = .seconds(20)

    public init(_ settings: KafkaSettings, _ kind: Kind, topics: [String], log: Log) throws {
        self.settings = settings
        self.kind = kind
        self.topics = topics
        self.log = log
        var group: String?
        if case .shared(let name) = kind { group = name }
        let rebalanced = Rebalanced()
        self.rebalanced = rebalanced
        handle = try Handle(RD_KAFKA_CONSUMER, settings.consumer(group: group)) { options in
            rd_kafka_conf_set_opaque(options, Unmanaged.passUnretained(rebalanced).toOpaque())
            rd_kafka_conf_set_rebalance_cb(options) { client, code, partitions, opaque in
                guard let client, let partitions, let opaque else { return }
                Unmanaged<Rebalanced>.fromOpaque(opaque).takeUnretainedValue().call(client, code, partitions)
            }
        }
        rebalanced.subscription = self
    }

    /// What the library calls back into; made before the subscription is whole.
    private final class Rebalanced {
        weak var subscription: Subscription?

        func call(
            _ client: OpaquePointer, _ code: rd_kafka_resp_err_t,
            _ partitions: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
        ) {
            if let subscription, !subscription.isClosed, EventLoop.current != nil {
                subscription.rebalance(client, code, partitions)
            } else {
                // Closing, on a thread that may block: only the library's own state is left to put in order.
                _ = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
                    ? rd_kafka_incremental_assign(client, partitions) : rd_kafka_incremental_unassign(client, partitions)
            }
        }
    }

    /// Joins. Records come from then on.
    public func start() async throws {
        switch kind {
        case .shared:
            let list = rd_kafka_topic_partition_list_new(Int32(topics.count))
            defer { rd_kafka_topic_partition_list_destroy(list) }
            for topic in topics { rd_kafka_topic_partition_list_add(list, settings.topicPrefix + topic, -1) }
            let code = rd_kafka_subscribe(handle.client, list)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError.failed("subscribe", code) }
        case .broadcast(let start):
            try await assignAll(from: start)
        }
        handle.start { [unowned self] in drain() }
        handle.rearm()
        pollAgain()
    }

    /// Every record that has arrived, at least one; waits for it.
    /// - Throws: `CancellationError`, ``KafkaError/stopped``.
    public func next() async throws -> [Record] {
        while buffer.isEmpty {
            if let failure { throw failure }
            if isClosed { throw KafkaError.stopped }
            try await arrived.wait()
        }
        let records = buffer
        buffer.removeAll(keepingCapacity: true)
        if isPaused {
            isPaused = false
            handle.rearm()
        }
        return records
    }

    /// Marks a record as handled: the group continues after it. Call it after the effects are committed.
    public func store(_ record: Record) {
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        guard let entry = rd_kafka_topic_partition_list_add(list, settings.topicPrefix + record.topic, record.partition)
        else { return }
        entry.pointee.offset = record.offset + 1
        // Refused when the partition has just gone to another member, who will handle the record again: the inbox knows.
        _ = rd_kafka_offsets_store(handle.client, list)
    }

    /// Whether a broadcast has read all that was there when it began.
    public var isCaughtUp: Bool { targets.allSatisfy { positions[$0.key, default: 0] >= $0.value } }

    /// Records of the assigned partitions not read yet, as far as the library knows.
    public var lag: Int64 {
        var sum: Int64 = 0
        for place in assignment {
            var low: Int64 = 0
            var high: Int64 = 0
            let name = settings.topicPrefix + place.topic
            guard rd_kafka_get_watermark_offsets(handle.client, name, place.partition, &low, &high)
                == RD_KAFKA_RESP_ERR_NO_ERROR, high >= 0
            else { continue }
            sum += max(0, high - (positions[place] ?? max(low, 0)))
        }
        return sum
    }

    /// Whether a group member has its partitions (or a broadcast its own).
    public var isAssigned: Bool { !assignment.isEmpty }

    /// Leaves the group, committing what was stored.
    public func close() async {
        guard !isClosed else { return }
        isClosed = true
        pollTimer?.cancel()
        arrived.fire()
        let handle = handle
        if case .shared = kind {
            // Closing calls back for the revoked partitions from the closing thread's own queue; off the loop it may
            // wait for the coordinator without stopping anyone.
            rd_kafka_commit(handle.client, nil, 1)
            _ = try? await Blocking.shared.run { rd_kafka_consumer_close(handle.client) }
        }
        await handle.close()
    }

    // MARK: Inside

    private func pollAgain() {
        pollTimer = EventLoop.required().after(Self.pollEvery) { [weak self] in
            self?.drain()
            self?.pollAgain()
        }
    }

    /// Takes what the library has, up to a limit, and wakes the reader.
    private func drain() {
        guard !isClosed, !isPaused else { return }
        var taken = 0
        while taken < Self.drainMax {
            guard let message = rd_kafka_consumer_poll(handle.client, 0) else { break }
            take(message)
            rd_kafka_message_destroy(message)
            taken += 1
        }
        if buffer.count >= Self.bufferMax {
            isPaused = true  // the library's own queue fills, and then it stops fetching
        } else if taken == Self.drainMax {
            handle.rearm()
        }
        if !buffer.isEmpty { arrived.fire() }
    }

    private func take(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        let code = message.pointee.err
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            switch code {
            case RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
                return  // the library goes on trying
            default:
                log.warn("kafka.read_failed", ("error", "\(String(cString: rd_kafka_err2str(code)))"))
                return
            }
        }
        let record = Record(message, prefix: settings.topicPrefix)
        let place = TopicPartition(topic: record.topic, partition: record.partition)
        if let text = record.header(Self.epochHeader), let epoch = Int64(text) {
            let known = epochs.updateValue(epoch, forKey: place)
            if let known, epoch > known, record.offset > 0 {
                log.warn(
                    "kafka.log_began_anew", ("topic", "\(record.topic)"), ("partition", .int(Int64(record.partition))))
                seek(place, to: Int64(RD_KAFKA_OFFSET_BEGINNING))
                return
            }
        }
        positions[place] = record.offset + 1
        buffer.append(record)
    }

    private func seek(_ place: TopicPartition, to offset: Int64) {
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        let entry = rd_kafka_topic_partition_list_add(list, settings.topicPrefix + place.topic, place.partition)
        entry?.pointee.offset = offset
        let error = rd_kafka_seek_partitions(handle.client, list, 0)
        if let error { rd_kafka_error_destroy(error) }
        positions[place] = 0
    }

    private func rebalance(
        _ client: OpaquePointer, _ code: rd_kafka_resp_err_t,
        _ partitions: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) {
        let places = Self.places(partitions, prefix: settings.topicPrefix)
        if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            rd_kafka_incremental_assign(client, partitions)
            assignment += places
        } else {
            // What was read of a lost partition and not handled is handled by its new owner.
            let lost = Set(places)
            assignment.removeAll { lost.contains($0) }
            for place in lost {
                epochs[place] = nil
                positions[place] = nil
            }
            rd_kafka_incremental_unassign(client, partitions)
        }
    }

    private static func places(
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>, prefix: String
    ) -> [TopicPartition] {
        (0..<Int(list.pointee.cnt)).map { index in
            let entry = list.pointee.elems[index]
            let topic = entry.topic.map { String(cString: $0) } ?? ""
            return TopicPartition(topic: String(topic.dropFirst(prefix.count)), partition: entry.partition)
        }
    }

    /// Finds the partitions of the topics, waiting for topics that do not exist yet, and reads all of them.
    private func assignAll(from start: Start) async throws {
        var places: [TopicPartition] = []
        try await Retry.forever {
            places = try await Topics.partitions(of: topics, handle: handle, settings)
        }
        let list = rd_kafka_topic_partition_list_new(Int32(places.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for place in places {
            let (low, high) = try await Topics.watermarks(place, handle: handle, settings)
            let entry = rd_kafka_topic_partition_list_add(list, settings.topicPrefix + place.topic, place.partition)
            // An offset rather than "end": a record that arrives between asking and reading is not skipped.
            let first = start == .beginning ? low : high
            entry?.pointee.offset = first
            positions[place] = first
            targets[place] = high
        }
        assignment = places
        let code = rd_kafka_assign(handle.client, list)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaError.failed("assign", code) }
    }
}
