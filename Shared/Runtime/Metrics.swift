import Synchronization

/// What a program counts, for Prometheus to read. Registering takes a lock, counting does not.
public final class Metrics: Sendable {
    public static let shared = Metrics()

    private struct Registry {
        var families: [String: Family] = [:]
        var order: [String] = []
        var probes: [@Sendable () -> Void] = []
    }

    private struct Family {
        var help: String
        var kind: String
        var series: [String: any Series] = [:]
        var order: [String] = []
    }

    /// Series of one name. Above it new label values share one series, so a stranger's input cannot fill the memory.
    public static let seriesMax = 1000

    private let registry = Lock()
    // Guarded by `registry`.
    nonisolated(unsafe) private var state = Registry()

    public init() {}

    public func counter(_ name: String, _ help: String, _ labels: (String, String)...) -> Counter {
        series(name, help, "counter", labels) { Counter() }
    }

    public func gauge(_ name: String, _ help: String, _ labels: (String, String)...) -> Gauge {
        series(name, help, "gauge", labels) { Gauge() }
    }

    /// A counter of time, set by a probe to what the system has counted.
    func seconds(_ name: String, _ help: String) -> Gauge {
        series(name, help, "counter", []) { Gauge() }
    }

    /// - Parameter buckets: upper bounds in the unit of the name, rising.
    public func histogram(
        _ name: String, _ help: String, buckets: [Double] = Histogram.seconds, _ labels: (String, String)...
    ) -> Histogram {
        series(name, help, "histogram", labels) { Histogram(buckets: buckets) }
    }

    /// Called before each rendering, to set gauges that are read rather than kept.
    public func probe(_ read: @escaping @Sendable () -> Void) {
        registry.withLock { state.probes.append(read) }
    }

    private func series<S: Series>(
        _ name: String, _ help: String, _ kind: String, _ labels: [(String, String)], _ make: () -> S
    ) -> S {
        let text = labels.map { "\($0.0)=\"\(Self.escape($0.1))\"" }.joined(separator: ",")
        return registry.withLock {
            if state.families[name] == nil {
                state.families[name] = Family(help: help, kind: kind)
                state.order.append(name)
            }
            let full = (state.families[name]?.series.count ?? 0) >= Self.seriesMax
            let key = full ? labels.map { "\($0.0)=\"other\"" }.joined(separator: ",") : text
            if let known = state.families[name]?.series[key] as? S { return known }
            let fresh = make()
            state.families[name]?.series[key] = fresh
            state.families[name]?.order.append(key)
            return fresh
        }
    }

    private static func escape(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x5C || $0 == 0x0A }) else { return text }
        return text.map { $0 == "\"" ? "\\\"" : $0 == "\\" ? "\\\\" : $0 == "\n" ? "\\n" : String($0) }.joined()
    }

    /// The exposition format, version 0.0.4.
    public func render() -> String {
        for probe in registry.withLock({ state.probes }) { probe() }
        return registry.withLock {
            var text = ""
            for name in state.order {
                guard let family = state.families[name] else { continue }
                text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind)\n"
                for key in family.order { family.series[key]?.render(name, key, into: &text) }
            }
            return text
        }
    }
}

/// One line, or one histogram, of the exposition.
protocol Series: Sendable {
    func render(_ name: String, _ labels: String, into text: inout String)
}

private func braced(_ labels: String, _ more: String = "") -> String {
    let all = labels.isEmpty ? more : more.isEmpty ? labels : "\(labels),\(more)"
    return all.isEmpty ? "" : "{\(all)}"
}

/// Goes up only.
public final class Counter: Series {
    private let value = Atomic<Int64>(0)
    public func add(_ amount: Int = 1) { value.wrappingAdd(Int64(amount), ordering: .relaxed) }
    public var count: Int64 { value.load(ordering: .relaxed) }

    func render(_ name: String, _ labels: String, into text: inout String) {
        text += "\(name)\(braced(labels)) \(count)\n"
    }
}

/// Goes up and down.
public final class Gauge: Series {
    private let bits = Atomic<UInt64>(0)
    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    public func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: seen) + amount).bitPattern
            let (done, now) = bits.weakCompareExchange(expected: seen, desired: next, ordering: .relaxed)
            if done { return }
            seen = now
        }
    }

    func render(_ name: String, _ labels: String, into text: inout String) {
        text += "\(name)\(braced(labels)) \(value)\n"
    }
}

/// How values are spread.
public final class Histogram: Series {
    /// From a quarter of a millisecond to ten seconds.
    public static let seconds = [
        0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    private let buckets: [Double]
    private let counts: [Counter]
    private let sum = Gauge()

    init(buckets: [Double]) {
        self.buckets = buckets
        counts = (0...buckets.count).map { _ in Counter() }
    }

    public func observe(_ value: Double) {
        counts[buckets.firstIndex { value <= $0 } ?? buckets.count].add()
        sum.add(value)
    }

    /// For a histogram of seconds.
    public func observe(nanoseconds: Int64) { observe(Double(nanoseconds) / 1e9) }

    public func observe(_ duration: Duration) {
        let parts = duration.components
        observe(Double(parts.seconds) + Double(parts.attoseconds) / 1e18)
    }

    func render(_ name: String, _ labels: String, into text: inout String) {
        var total: Int64 = 0
        for (place, count) in counts.enumerated() {
            total += count.count
            let bound = place < buckets.count ? "\(buckets[place])" : "+Inf"
            text += "\(name)_bucket\(braced(labels, "le=\"\(bound)\"")) \(total)\n"
        }
        text += "\(name)_sum\(braced(labels)) \(sum.value)\n\(name)_count\(braced(labels)) \(total)\n"
    }
}
