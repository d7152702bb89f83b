import CKafka
import Runtime

/// A librdkafka client and the descriptor it wakes its loop with.
///
/// `@unchecked Sendable`: the library is thread-safe; the watch is touched on the loop only.
final class Handle: @unchecked Sendable {
    let client: OpaquePointer
    let queue: OpaquePointer
    private let wakeup = Wakeup()
    private var watch: Watch?

    /// - Parameter configure: callbacks to set before the client starts.
    /// - Throws: ``KafkaError/unusableSetting(_:)`` with the library's reason.
    init(
        _ kind: rd_kafka_type_t, _ options: [String: String], _ configure: (OpaquePointer) -> Void = { _ in }
    ) throws(KafkaError) {
        try KafkaSettings.checkVersion()
        guard let settings = rd_kafka_conf_new() else { throw .unusableSetting("out of memory") }
        var reason = [CChar](repeating: 0, count: 512)
        for (name, value) in options
        where rd_kafka_conf_set(settings, name, value, &reason, reason.count) != RD_KAFKA_CONF_OK {
            rd_kafka_conf_destroy(settings)
            throw .unusableSetting(Self.text(reason))
        }
        configure(settings)
        guard let client = rd_kafka_new(kind, settings, &reason, reason.count) else {
            rd_kafka_conf_destroy(settings)
            throw .unusableSetting(Self.text(reason))
        }
        self.client = client
        if kind == RD_KAFKA_CONSUMER { rd_kafka_poll_set_consumer(client) }
        let found = kind == RD_KAFKA_CONSUMER ? rd_kafka_queue_get_consumer(client) : rd_kafka_queue_get_main(client)
        guard let found else {
            rd_kafka_destroy(client)
            throw .unusableSetting("the client has no queue")
        }
        queue = found
    }

    private static func text(_ reason: [CChar]) -> String {
        String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Calls `serve` on this loop whenever the queue has turned from empty to not empty.
    func start(_ serve: @escaping () -> Void) {
        let wakeup = wakeup
        let watch = EventLoop.required().watch(wakeup.descriptor) { _ in
            wakeup.clear()
            serve()
        }
        watch.set(read: true, write: false)
        self.watch = watch
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(queue, wakeup.descriptor, &one, 8)
    }

    /// Has `serve` called again: after a drain that stopped before the queue was empty, which the library would not
    /// report.
    func rearm() { wakeup.fire() }

    /// Destroys the client on a thread that may block; the library waits there for its own threads.
    func close() async {
        watch?.cancel()
        watch = nil
        rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        do {
            try await Blocking.shared.run { self.destroy() }
        } catch {
            destroy()  // the pool is full: better a short wait than a leak
        }
    }

    private func destroy() {
        rd_kafka_queue_destroy(queue)
        // A consumer has been closed by then, or its process is ending.
        rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }
}
