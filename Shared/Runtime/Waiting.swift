/// The work was not done in time.
public struct DeadlineExceeded: Error, Sendable {
    public let after: Duration
    public init(after: Duration) { self.after = after }
}

/// Runs `body` on this loop and cancels it when it takes longer than `limit`. Returns only when `body` has ended.
/// - Throws: ``DeadlineExceeded`` when `body` failed after its time was up; otherwise what `body` throws.
public func withDeadline<T>(_ limit: Duration, _ body: @escaping () async throws -> T) async throws -> T {
    let loop = EventLoop.required()
    let work = Confined(body)
    // Written and read on this loop only.
    nonisolated(unsafe) var hasEnded = false
    let task = Task.immediate(executorPreference: loop) { () -> Confined<Result<T, any Error>> in
        defer { hasEnded = true }
        do { return Confined(.success(try await work.value())) } catch { return Confined(.failure(error)) }
    }
    // A body that did not have to wait needs no timer.
    if hasEnded { return try await task.value.value.get() }
    var expired = false
    let timer = loop.after(limit) {
        expired = true
        task.cancel()
    }
    defer { timer.cancel() }
    let result = await withTaskCancellationHandler {
        await task.value.value
    } onCancel: {
        task.cancel()
    }
    if expired, case .failure = result { throw DeadlineExceeded(after: limit) }
    return try result.get()
}

/// `@unchecked Sendable`: what is inside never leaves the loop; only the type system thinks it travels.
private struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// A condition of one loop: tasks wait until somebody fires it. Not `Sendable`.
public final class Signal {
    private let loop: EventLoop
    private var waiters: [Waiter] = []

    public init() { loop = .required() }

    /// Wakes everyone who waits now.
    public func fire() {
        let woken = waiters
        waiters.removeAll()
        for waiter in woken { waiter.finish(.success(())) }
    }

    /// - Throws: `CancellationError`.
    public func wait() async throws {
        waiters.removeAll { $0.isFinished }
        let waiter = Waiter(loop: loop)
        waiters.append(waiter)
        try await waiter.value()
    }
}

/// A bounded queue between tasks of one loop. Not `Sendable`.
public final class AsyncQueue<Element> {
    /// Those before `head` have been taken and are nil.
    private var elements: [Element?] = []
    private var head = 0
    private let max: Int
    private var isFinished = false
    private let filled = Signal()
    private let drained = Signal()

    public init(max: Int) { self.max = max }

    public var count: Int { elements.count - head }

    /// False when the queue is full or finished.
    public func tryPush(_ element: Element) -> Bool {
        guard count < max, !isFinished else { return false }
        elements.append(element)
        filled.fire()
        return true
    }

    /// Waits for room.
    /// - Throws: `CancellationError`, also when the queue is finished.
    public func push(_ element: Element) async throws {
        while !tryPush(element) {
            if isFinished { throw CancellationError() }
            try await drained.wait()
        }
    }

    /// The oldest element; nil when the queue is finished and empty.
    public func next() async throws -> Element? {
        while count == 0 {
            if isFinished { return nil }
            try await filled.wait()
        }
        // Taken out, not only passed: a long queue must not keep what others have finished with.
        let element = elements[head].take()
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 1024 {
            elements.removeFirst(head)
            head = 0
        }
        drained.fire()
        return element
    }

    /// No more elements; those inside can still be taken.
    public func finish() {
        isFinished = true
        filled.fire()
        drained.fire()
    }
}
