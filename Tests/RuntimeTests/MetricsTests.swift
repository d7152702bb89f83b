import Testing

@testable import Runtime

@Suite struct MetricsTests {
    @Test func `counters, gauges and histograms are written as Prometheus reads them`() {
        let metrics = Metrics()
        metrics.counter("calls_total", "Calls.", ("direction", "inbound")).add(3)
        metrics.counter("calls_total", "Calls.", ("direction", "out\"b\\o\nund")).add()
        metrics.gauge("depth", "Rows waiting.").set(2.5)
        let histogram = metrics.histogram("wait_seconds", "Waits.", buckets: [0.1, 1], ("pool", "0"))
        for value in [0.05, 0.1, 0.5, 7] { histogram.observe(value) }
        histogram.observe(.milliseconds(100))
        #expect(
            metrics.render() == #"""
                # HELP calls_total Calls.
                # TYPE calls_total counter
                calls_total{direction="inbound"} 3
                calls_total{direction="out\"b\\o\nund"} 1
                # HELP depth Rows waiting.
                # TYPE depth gauge
                depth 2.5
                # HELP wait_seconds Waits.
                # TYPE wait_seconds histogram
                wait_seconds_bucket{pool="0",le="0.1"} 3
                wait_seconds_bucket{pool="0",le="1.0"} 4
                wait_seconds_bucket{pool="0",le="+Inf"} 5
                wait_seconds_sum{pool="0"} 7.75
                wait_seconds_count{pool="0"} 5

                """#)
    }

    @Test func `the same name and labels are the same series`() {
        let metrics = Metrics()
        metrics.counter("hits_total", "Hits.", ("route", "/a")).add()
        metrics.counter("hits_total", "Hits.", ("route", "/a")).add()
        #expect(metrics.counter("hits_total", "Hits.", ("route", "/a")).count == 2)
    }

    @Test func `a stranger's label values cannot fill the memory`() {
        let metrics = Metrics()
        for number in 0..<(Metrics.seriesMax + 500) {
            metrics.counter("paths_total", "Paths.", ("path", "/\(number)")).add()
        }
        let lines = metrics.render().split(separator: "\n").filter { $0.hasPrefix("paths_total") }
        #expect(lines.count == Metrics.seriesMax + 1)
        #expect(lines.last == #"paths_total{path="other"} 500"#)
    }

    @Test func `a probe is asked at each rendering`() {
        let metrics = Metrics()
        let gauge = metrics.gauge("depth", "Rows.")
        metrics.probe { gauge.add(1) }
        _ = metrics.render()
        #expect(metrics.render().contains("depth 2.0\n"))
    }

    @Test func `counting from several threads loses nothing`() async {
        let metrics = Metrics()
        let (counter, gauge) = (metrics.counter("c_total", "C."), metrics.gauge("g", "G."))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.add()
                        gauge.add(1)
                    }
                }
            }
        }
        #expect(counter.count == 40_000)
        #expect(gauge.value == 40_000)
    }

    @Test func `a process shows its memory, its descriptors, its time and its loops' lag`() async throws {
        let metrics = Metrics()
        let group = EventLoopGroup(count: 2)
        group.start()
        defer { group.stop() }
        ProcessMetrics.register(group, in: metrics)
        // Keeps the first loop for a while, which the next reading must tell.
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            group.loops[0].execute {
                let end = ContinuousClock.now + .milliseconds(30)
                while ContinuousClock.now < end {}
                // Resumed a round later, when the long one has been noted.
                group.loops[0].execute { group.loops[0].execute { done.resume() } }
            }
        }
        var values: [Substring: Double] = [:]
        for line in metrics.render().split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            values[parts[0]] = Double(parts[1])
        }
        #expect(values["process_resident_memory_bytes", default: 0] > 1_000_000)
        #expect(values["process_open_fds", default: 0] > 3)
        #expect(values["process_cpu_seconds_total", default: 0] > 0)
        #expect(values["process_start_time_seconds", default: 0] > 1_700_000_000)
        #expect(values["event_loop_lag_seconds{loop=\"0\"}", default: 0] >= 0.03)
    }
}
