import Runtime

/// What `make bench` measures inside one process; what needs the whole platform is in deploy/local/benchmarks. One line
/// per measurement, its columns separated by tabs: what, ours, other, ratio, goal.
///
/// `benchmarks` measures everything, `benchmarks json http` some of it.
@main
enum Benchmarks {
    static let subjects: [(name: String, measure: @Sendable () async throws -> [Measurement])] = [
        ("json", { jsonOfAPage() }),
        ("tokens", { try await checksOfATokenThatIsKnown() }),
        ("outbox", { try await writesWithOutbox() }),
        ("events", { try await eventsOnTheirWay() }),
        ("http", { try await answersOverHTTP() }),
    ]

    static func main() async throws {
        let wanted = CommandLine.arguments.dropFirst()
        let group = EventLoopGroup(count: 1)
        group.start()
        for subject in subjects where wanted.isEmpty || wanted.contains(subject.name) {
            for measurement in try await measured(on: group.loops[0], subject.measure) { print(measurement.line) }
        }
        group.stop()
    }

    /// On a loop, where connections live.
    private static func measured(
        on loop: EventLoop, _ measure: @escaping @Sendable () async throws -> [Measurement]
    ) async throws -> [Measurement] {
        try await withCheckedThrowingContinuation { continuation in
            loop.spawn("benchmark") {
                do { continuation.resume(returning: try await measure()) } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }
}
