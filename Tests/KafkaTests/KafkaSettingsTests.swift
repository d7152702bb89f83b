import Runtime
import Testing

@testable import Kafka

@Suite struct KafkaSettingsTests {
    private func value(_ name: String, in options: [(name: String, value: String)]) -> String? {
        options.last { $0.name == name }?.value
    }

    @Test(arguments: KafkaSettings.Profile.allCases)
    func `a producer is idempotent and waits for all replicas`(_ profile: KafkaSettings.Profile) {
        let options = KafkaSettings(brokers: "a:1", profile: profile, clientID: "test").producer
        #expect(value("enable.idempotence", in: options) == "true")
        #expect(value("acks", in: options) == "all")
        // Giving up on one record of a key and not on the next would reorder them.
        #expect(value("message.timeout.ms", in: options) == "0")
    }

    @Test(arguments: KafkaSettings.Profile.allCases)
    func `a consumer rebalances cooperatively and stores its offsets itself`(_ profile: KafkaSettings.Profile) {
        let options = KafkaSettings(brokers: "a:1", profile: profile, clientID: "test").consumer(group: "g")
        #expect(value("partition.assignment.strategy", in: options) == "cooperative-sticky")
        #expect(value("enable.auto.offset.store", in: options) == "false")
    }

    @Test func `installations that share a cluster share no topics`() {
        let settings = KafkaSettings(brokers: "a:1", clientID: "test", topicPrefix: "blue.")
        #expect(settings.onBroker("telephony.calls") == "blue.telephony.calls")
        #expect(settings.inProgram("blue.telephony.calls") == "telephony.calls")
    }

    @Test func `options of librdkafka are given on, last, and a malformed one is complained of`() {
        func read(_ options: String) -> (settings: Settings, kafka: KafkaSettings) {
            let settings = Settings(["KAFKA_BROKERS": "a:1", "KAFKA_OPTIONS": options])
            return (settings, KafkaSettings(settings, clientID: "test"))
        }
        let good = read("security.protocol=sasl_ssl, sasl.password=a=b,linger.ms=5")
        #expect(good.settings.complaints == [])
        #expect(value("security.protocol", in: good.kafka.admin) == "sasl_ssl")
        #expect(value("sasl.password", in: good.kafka.consumer(group: "g")) == "a=b")
        #expect(value("linger.ms", in: good.kafka.producer) == "5")
        for text in ["security.protocol", "=x", "a=b,c"] {
            let bad = read(text).settings.complaints
            #expect(bad.count == 1 && bad.first?.hasPrefix("KAFKA_OPTIONS ") == true, "\(text)")
        }
    }
}
