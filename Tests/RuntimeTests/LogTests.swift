import Shared
import Testing

@testable import Runtime

@Suite struct LogTests {
    private final class Lines: Sendable {
        private let lock = Lock()
        // Guarded by `lock`.
        nonisolated(unsafe) private var lines: [String] = []
        func add(_ line: [UInt8]) { lock.withLock { lines.append(String(decoding: line, as: UTF8.self)) } }
        var all: [String] { lock.withLock { lines } }
    }

    @Test func `an event is one JSON object on one line, with its fields and its trace`() throws {
        let lines = Lines()
        let log = Log(program: "telephony") { lines.add($0) }.child(("workspace", "w1"))
        let trace = TraceContext.new()
        TraceContext.$current.withValue(trace) {
            log.warn(
                "call.dropped", ("reason", "line\nbreak \"quoted\""), ("seconds", 12), ("share", 0.5), ("known", true))
        }
        let line = try #require(lines.all.first)
        #expect(line.filter { $0 == "\n" }.count == 1 && line.hasSuffix("}\n"))
        let json = try JSON.parse(line)
        #expect(json["at"]?.string.flatMap { Instant(iso: $0) } != nil)
        #expect(json["level"] == "warn")
        #expect(json["program"] == "telephony")
        #expect(json["event"] == "call.dropped")
        #expect(json["trace_id"]?.string == trace.traceIDText)
        #expect(json["workspace"] == "w1")
        #expect(json["reason"] == "line\nbreak \"quoted\"")
        #expect(json["seconds"] == 12)
        #expect(json["share"] == 0.5)
        #expect(json["known"] == true)
    }

    @Test func `lines below the level are not written`() {
        let lines = Lines()
        let log = Log(program: "auth", least: .warn) { lines.add($0) }
        log.debug("one")
        log.info("two")
        log.warn("three")
        log.error("four")
        #expect(lines.all.count == 2)
    }
}
