import Runtime

/// Where the broker is and how this program talks to it.
public struct KafkaSettings: Sendable {
    /// What the timing is tuned for.
    public enum Profile: String, CaseIterable, Sendable {
        /// Kafka's own defaults: a cluster that other programs share.
        case server
        /// One broker on this machine: joins in a second, records in milliseconds, reconnects at once.
        case local
    }

    /// `host:port`, several separated by commas.
    public var brokers: String
    public var profile: Profile
    /// The program's name; shown in the broker's logs and ours.
    public var clientID: String
    /// Put in front of every topic's name on the broker and taken off again, so that several installations or tests share
    /// a broker without meeting. Nobody above this module sees it. Groups keep their names: with the prefix in front, three
    /// members of one were seen to wait for ever at the embedded broker.
    public var topicPrefix: String
    /// librdkafka's own names, applied last: `security.protocol`, `sasl.username` …
    public var options: [(name: String, value: String)]
    public var log: Log
    /// How long the embedded broker keeps a fetch that finds nothing. It does not answer as soon as something comes but
    /// looks once more after half of this, so half of it is what an event may wait, and each look costs the broker a
    /// little: some 5 % of a core for an idle reader at 5 ms, 2 % at 25, nothing to speak of at 50 and more.
    /// At 5 ms an idle local platform took half a core for it, at 20 a quarter, and a frame is 11 ms later.
    private var fetchWaitMilliseconds = 20

    public init(
        brokers: String, profile: Profile = .server, clientID: String, topicPrefix: String = "",
        options: [(name: String, value: String)] = [], log: Log? = nil
    ) {
        self.brokers = brokers
        self.profile = profile
        self.clientID = clientID
        self.topicPrefix = topicPrefix
        self.options = options
        self.log = log ?? Log(program: clientID)
    }

    /// Reads `KAFKA_BROKERS`, `KAFKA_PROFILE` (server), `KAFKA_TOPIC_PREFIX` (none) and `KAFKA_OPTIONS`
    /// (`name=value,name=value`, none).
    public init(_ settings: Settings, clientID: String, log: Log? = nil) {
        self.init(
            brokers: settings.string("KAFKA_BROKERS"),
            profile: settings.choice("KAFKA_PROFILE", default: .server),
            clientID: clientID,
            topicPrefix: settings.string("KAFKA_TOPIC_PREFIX", default: ""),
            options: settings.optional("KAFKA_OPTIONS", "name=value, several separated by commas", Self.options) ?? [],
            log: log)
    }

    /// nil when a piece is no `name=value`.
    private static func options(_ text: String) -> [(name: String, value: String)]? {
        var found: [(name: String, value: String)] = []
        for piece in text.split(separator: ",") {
            guard let mark = piece.firstIndex(of: "="), mark != piece.startIndex else { return nil }
            found.append((String(piece[..<mark].filter { $0 != " " }), String(piece[piece.index(after: mark)...])))
        }
        return found
    }

    /// For readers nobody waits for: on the local broker they look ten times less often. A cluster answers a waiting fetch
    /// as soon as there is something, so there it changes nothing.
    public var unhurried: KafkaSettings {
        var settings = self
        settings.fetchWaitMilliseconds = 50
        return settings
    }

    /// The name a topic has on the broker.
    func onBroker(_ topic: String) -> String { topicPrefix + topic }

    /// The name a topic of the broker has in this program.
    func inProgram(_ topic: String) -> String {
        topic.hasPrefix(topicPrefix) ? String(topic.dropFirst(topicPrefix.count)) : topic
    }

    // MARK: What librdkafka is told

    private var common: [(name: String, value: String)] {
        var options = [
            ("bootstrap.servers", brokers), ("client.id", clientID), ("socket.keepalive.enable", "true"),
            // A small request must not wait until the one before it is acknowledged.
            ("socket.nagle.disable", "true"),
            // Connection failures come as events too, and those we report once instead of every 100 ms.
            ("log.connection.close", "false"),
        ]
        if profile == .local {
            options += [
                ("reconnect.backoff.ms", "100"), ("reconnect.backoff.max.ms", "500"),
                // A broker that came back empty gets its topics a moment later; look for them soon.
                ("topic.metadata.refresh.interval.ms", "1000"),
                ("topic.metadata.refresh.fast.interval.ms", "50"),
            ]
        }
        return options
    }

    var producer: [(name: String, value: String)] {
        common + [
            ("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "0"),
            // librdkafka never gives up on a record by itself: if one of a key timed out and the next got through, the
            // order would be lost. `Producer` gives up on everything under way at once.
            ("message.timeout.ms", "0"),
            // The same partition for a key as every Java client chooses.
            ("partitioner", "murmur2_random"),
            // A topic created by accident has the wrong number of partitions. `Topics.ensure` creates them.
            ("allow.auto.create.topics", "false"),
            ("topic.metadata.propagation.max.ms", profile == .local ? "5000" : "30000"),
            ("queue.buffering.max.messages", "100000"), ("queue.buffering.max.kbytes", "262144"),
        ] + options
    }

    func consumer(group: String) -> [(name: String, value: String)] {
        var mine =
            common + [
                ("group.id", group), ("auto.offset.reset", "earliest"),
                ("enable.auto.offset.store", "false"),
                ("partition.assignment.strategy", "cooperative-sticky"),
                // What may wait in memory: 64 MB, or 100,000 records.
                ("queued.max.messages.kbytes", "65536"), ("queued.min.messages", "20000"),
            ]
        if profile == .local {
            // The embedded broker waits half a session before a join completes.
            mine += [
                ("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "500"),
                ("fetch.wait.max.ms", "\(fetchWaitMilliseconds)"),
                ("auto.commit.interval.ms", "1000"), ("fetch.error.backoff.ms", "50"),
            ]
        }
        return mine + options
    }

    var admin: [(name: String, value: String)] {
        common + [("allow.auto.create.topics", "false")] + options
    }
}
