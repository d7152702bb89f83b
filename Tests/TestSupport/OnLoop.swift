import Runtime

/// The loops all tests share; they run until the test process ends.
public let testLoops: EventLoopGroup = {
    let group = EventLoopGroup(count: 2)
    group.start()
    return group
}()

/// Runs the body as a task of an event loop and hands back what it returned or threw. On a loop already, it just runs.
public func onLoop<Value: Sendable>(
    _ loop: EventLoop? = nil, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    if loop == nil, EventLoop.current != nil { return try await body() }
    let task = Task(executorPreference: loop ?? testLoops.next()) { try await body() }
    return try await withTaskCancellationHandler {
        try await task.value
    } onCancel: {
        task.cancel()
    }
}

public struct NeverHappened: Error, CustomStringConvertible {
    public let description: String
}

/// Waits until the condition holds, looking every few milliseconds; throws at the deadline. Call it on a loop.
public func eventually(
    within deadline: Duration = .seconds(10), _ what: String = "the condition",
    fileID: String = #fileID, line: Int = #line, _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + deadline
    while try await !condition() {
        guard ContinuousClock.now < end else {
            throw NeverHappened(description: "\(what) did not come true within \(deadline) (\(fileID):\(line))")
        }
        try await EventLoop.sleep(for: .milliseconds(5))
    }
}
