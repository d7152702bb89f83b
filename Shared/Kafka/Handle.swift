import CKafka
import Runtime

/// One librdkafka client on one loop, and the descriptor that says when it has something for us.
///
/// librdkafka writes the descriptor only when its queue turns from empty to non-empty: whoever stops before the queue is
/// empty must look again without being told.
final class Handle {
    let client: OpaquePointer
    let queue: OpaquePointer
    let loop: EventLoop
    private let wakeup = Wakeup()
    private var watch: Watch?

    enum Kind {
        case producer, consumer

        var type: rd_kafka_type_t { self == .producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER }
    }

    /// - Parameters:
    ///   - prepare: sets callbacks; they run on this loop, inside `poll`.
    ///   - onReady: the queue is no longer empty.
    init(
        _ kind: Kind, _ options: [(name: String, value: String)],
        prepare: (OpaquePointer) -> Void, onReady: @escaping () -> Void
    ) throws {
        try Library.check()
        let configuration = try Handle.configuration(options)
        prepare(configuration)
        client = try Handle.client(kind, configuration)
        if kind == .consumer { rd_kafka_poll_set_consumer(client) }
        guard let queue = kind == .producer ? rd_kafka_queue_get_main(client) : rd_kafka_queue_get_consumer(client)
        else {
            rd_kafka_destroy(client)
            throw KafkaError(RD_KAFKA_RESP_ERR__UNKNOWN_GROUP)
        }
        self.queue = queue
        loop = .required()
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(queue, wakeup.descriptor, &one, 8)
        let watch = loop.watch(wakeup.descriptor) { [wakeup] _ in
            wakeup.clear()
            onReady()
        }
        watch.set(read: true, write: false)
        self.watch = watch
    }

    /// Frees everything away from the loop: librdkafka joins its threads, which takes about a millisecond, longer when it
    /// is in the middle of connecting. The handle must not be used any more.
    func destroy() async {
        guard let watch else { return }
        watch.cancel()
        self.watch = nil
        rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        rd_kafka_queue_destroy(queue)
        let client = Address(client)
        do {
            try await Blocking.shared.run { client.destroy() }
        } catch {
            client.destroy()
        }
    }

    // MARK: Making one

    static func client(_ kind: Kind, _ configuration: OpaquePointer) throws -> OpaquePointer {
        var text = [CChar](repeating: 0, count: 512)
        // Takes the configuration over, but only when it succeeds.
        guard let client = rd_kafka_new(kind.type, configuration, &text, text.count) else {
            rd_kafka_conf_destroy(configuration)
            throw KafkaError(rd_kafka_last_error(), String(nullTerminated: text))
        }
        return client
    }

    static func configuration(_ options: [(name: String, value: String)]) throws -> OpaquePointer {
        guard let configuration = rd_kafka_conf_new() else { throw KafkaError(RD_KAFKA_RESP_ERR__FAIL) }
        var text = [CChar](repeating: 0, count: 512)
        for (name, value) in options {
            guard rd_kafka_conf_set(configuration, name, value, &text, text.count) == RD_KAFKA_CONF_OK else {
                rd_kafka_conf_destroy(configuration)
                throw KafkaError(RD_KAFKA_RESP_ERR__INVALID_ARG, String(nullTerminated: text))
            }
        }
        rd_kafka_conf_set_log_cb(configuration) { _, level, facility, message in
            LibraryLog.line(level, facility, message)
        }
        return configuration
    }

    /// A client on its way to the thread that destroys it: nobody else has it any more.
    private struct Address: @unchecked Sendable {
        private let client: OpaquePointer
        init(_ client: OpaquePointer) { self.client = client }

        func destroy() {
            // Consumers were closed before, or are given up: leaving the group is not worth waiting for here.
            rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
        }
    }
}

/// What librdkafka itself has to say, from whichever of its threads.
enum LibraryLog {
    private static let log = Log(program: "librdkafka")
    private static let warning: Int32 = 4

    static func line(_ level: Int32, _ facility: UnsafePointer<CChar>?, _ message: UnsafePointer<CChar>?) {
        let facility = facility.map { String(cString: $0) } ?? ""
        // Connections that fail or come back are reported by whoever uses them, once.
        guard level <= warning, facility != "FAIL", facility != "ERROR" else { return }
        log.warn(
            "kafka.library", ("facility", "\(facility)"), ("message", "\(message.map { String(cString: $0) } ?? "")"))
    }
}

extension String {
    init(nullTerminated text: [CChar]) {
        self.init(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
