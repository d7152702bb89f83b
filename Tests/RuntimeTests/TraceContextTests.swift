import Testing

@testable import Runtime

@Suite struct TraceContextTests {
    private static let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test func `a traceparent is read and written back`() throws {
        let context = try #require(TraceContext(traceparent: Self.good))
        #expect(context.traceparent == Self.good)
        #expect(context.traceIDText == "4bf92f3577b34da6a3ce929d0e0e4736")
        #expect(context.flags == 1)
    }

    /// W3C Trace Context §3.2 and §3.2.2.
    @Test(arguments: [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds", true),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-00", true),
        ("00-00000000000000000000000000000001-00f067aa0ba902b7-00", true),
        ("", false), ("00", false), ("garbage", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false),
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more", false),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
        ("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x", false),
        (" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", false),
    ])
    func `what is malformed counts as absent`(text: String, valid: Bool) {
        #expect((TraceContext(traceparent: text) != nil) == valid)
    }

    @Test func `a child keeps the trace and the flags and has its own span`() throws {
        let parent = try #require(TraceContext(traceparent: Self.good))
        let child = parent.child()
        #expect(child.traceIDText == parent.traceIDText)
        #expect(child.spanID != parent.spanID)
        #expect(child.flags == parent.flags)
        #expect(TraceContext(traceparent: child.traceparent) == child)
        #expect(TraceContext.new() != TraceContext.new())
    }

    @Test func `the trace travels with the tasks of the work`() async throws {
        try await onOwnLoop {
            let trace = TraceContext.new()
            try await TraceContext.$current.withValue(trace) {
                try await EventLoop.sleep(for: .milliseconds(1))
                #expect(TraceContext.current == trace)
                await EventLoop.required().spawn { #expect(TraceContext.current == trace) }.value
                try await withDeadline(.seconds(5)) { #expect(TraceContext.current == trace) }
            }
            #expect(TraceContext.current == nil)
        }
    }
}
