import CLinux
import Glibc
import Synchronization

/// One thread, one epoll, and every handler that ever started on it: the executor of its tasks, so a request never
/// changes thread and what belongs to a loop needs no lock.
///
/// `@unchecked Sendable`: `remote`, `sleeping` and `stopping` are shared under `lock` or atomically; everything else is
/// touched on the loop's own thread only, which `precondition(isCurrent)` guards at each entry.
public final class EventLoop: TaskExecutor, @unchecked Sendable {
    /// The loop's place in its group; also a label of its metrics.
    public let index: Int

    // Shared between threads.
    private let lock = Lock()
    private var remote: [Work] = []
    private let sleeping = Atomic<Bool>(false)
    private let stopping = Atomic<Bool>(false)

    // The loop's own.
    private let epoll: Int32
    private let wakeup: Int32
    private var local: [Work] = []
    /// Empty between rounds; trades places with `remote`, so that neither allocates anew.
    private var arrived: [Work] = []
    private var watches: [WatchSlot] = []
    private var freeSlots: [Int] = []
    /// By descriptor, the slot whose watch epoll knows; -1 for none.
    private var owners: [Int] = []
    private let timers = TimerHeap()
    /// ``MonotonicClock`` as read once per round, when epoll returned.
    private var roundBegan = MonotonicClock.now()
    /// The longest round since somebody asked, nanoseconds.
    private let lagWorst = Atomic<Int64>(0)

    enum Work {
        case job(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    private struct WatchSlot {
        var watch: Watch?
        /// Told apart from an earlier user of the same slot in reports already fetched.
        var generation: UInt32 = 0
    }

    /// Jobs run in a row before descriptors are looked at again, so a busy task starves no socket.
    private static let jobsPerRound = 256
    /// Descriptors reported per call.
    private static let eventsMax: Int32 = 256

    public init(index: Int = 0) {
        self.index = index
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(epoll >= 0 && wakeup >= 0, "no descriptors left: raise the open files limit (ulimit -n)")
        cl_epoll_add(epoll, wakeup, EPOLLIN.rawValue, UInt64.max)
    }

    deinit {
        for slot in watches { slot.watch?.forget() }
        close(wakeup)
        close(epoll)
    }

    // MARK: From any thread

    /// The loop this thread runs, if it runs one.
    public static var current: EventLoop? {
        guard let pointer = cl_loop() else { return nil }
        return Unmanaged<EventLoop>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// The loop this thread runs. Off any loop this is a mistake in the program, and it stops.
    public static func required() -> EventLoop {
        guard let loop = current else { preconditionFailure("this must run on an event loop") }
        return loop
    }

    @inline(__always)
    var isCurrent: Bool { cl_loop() == Unmanaged.passUnretained(self).toOpaque() }

    public func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

    /// Runs the closure on the loop, soon.
    public func execute(_ work: @escaping @Sendable () -> Void) { add(.closure(work)) }

    /// Starts a task that lives on this loop; on the loop itself it runs at once up to its first wait.
    /// - Parameter name: what the task is, for those who read the call; nothing is done with it.
    @discardableResult
    public func spawn(
        _ name: StaticString = "", _ body: @escaping @Sendable () async -> Void
    ) -> Task<Void, Never> {
        isCurrent
            ? Task.immediate(executorPreference: self) { await body() }
            : Task(executorPreference: self) { await body() }
    }

    /// Runs the body as a task of this loop and returns what it returned. The way onto a loop for callers that are on none.
    ///
    /// Not a continuation: one that is resumed by another thread before it is awaited is a race to ThreadSanitizer
    /// (`docs/decisions/0010-waiting-across-threads.md`).
    public func run<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
        await
            (isCurrent
            ? Task.immediate(executorPreference: self) { await body() }
            : Task(executorPreference: self) { await body() })
            .value
    }

    private func add(_ work: Work) {
        if isCurrent {
            local.append(work)
            return
        }
        lock.withLock { remote.append(work) }
        wake()
    }

    private func wake() {
        // Only a sleeping loop is worth a system call, and only the first who finds it asleep makes it.
        guard sleeping.exchange(false, ordering: .sequentiallyConsistent) else { return }
        var one: UInt64 = 1
        _ = write(wakeup, &one, 8)
    }

    // MARK: On the loop

    /// Observes a descriptor; a level-triggered watch reports nothing until its interest is set.
    public func watch(
        _ descriptor: Int32, _ trigger: Watch.Trigger = .level, _ onReady: @escaping (Readiness) -> Void
    ) -> Watch {
        precondition(isCurrent)
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = watches.count
            watches.append(WatchSlot())
        }
        let watch = Watch(descriptor, loop: self, slot: slot, trigger: trigger, onReady)
        watches[slot].watch = watch
        watches[slot].generation &+= 1
        register(watch, slot)
        return watch
    }

    private func register(_ watch: Watch, _ slot: Int) {
        let descriptor = watch.descriptor
        var code = cl_epoll_add(epoll, descriptor, watch.events, tag(slot))
        // A library closed a descriptor before it told us and got the same number again: the newer watch takes over.
        if code != 0, errno == EEXIST { code = cl_epoll_change(epoll, descriptor, watch.events, tag(slot)) }
        guard code == 0, descriptor >= 0 else {
            // Nothing will ever be reported, so whoever waits is told to look for himself.
            _ = after(.zero) { [weak watch] in watch?.onReady?([.read, .write, .hangup]) }
            return
        }
        while owners.count <= Int(descriptor) { owners.append(-1) }
        owners[Int(descriptor)] = slot
    }

    func change(_ watch: Watch, slot: Int) {
        precondition(isCurrent)
        guard owns(watch, slot) else { return }
        let code = cl_epoll_change(epoll, watch.descriptor, watch.events, tag(slot))
        // Closed and opened again behind our back: epoll forgot it with the close.
        if code != 0, errno == ENOENT { register(watch, slot) }
    }

    func remove(_ watch: Watch, slot: Int) {
        precondition(isCurrent)
        guard watches[slot].watch === watch else { return }
        if owns(watch, slot) {
            cl_epoll_remove(epoll, watch.descriptor)
            owners[Int(watch.descriptor)] = -1
        }
        watches[slot].watch = nil
        watches[slot].generation &+= 1
        freeSlots.append(slot)
    }

    /// False when the number belongs to a newer watch by now.
    private func owns(_ watch: Watch, _ slot: Int) -> Bool {
        let descriptor = Int(watch.descriptor)
        return owners.indices.contains(descriptor) && owners[descriptor] == slot
    }

    private func tag(_ slot: Int) -> UInt64 { UInt64(watches[slot].generation) << 32 | UInt64(slot) }

    /// Calls `fire` on this loop after `delay`, never early.
    public func after(_ delay: Duration, _ fire: @escaping () -> Void) -> Timer {
        precondition(isCurrent)
        let due = MonotonicClock.now() + MonotonicClock.nanoseconds(delay)
        let timer = Timer(due: due, heap: timers, fire: fire)
        timers.add(timer)
        return timer
    }

    /// - Throws: `CancellationError`, at once, when the task is cancelled.
    public func sleep(for delay: Duration) async throws {
        let waiter = Waiter(loop: self)
        let timer = after(delay) { waiter.finish(.success(())) }
        defer { timer.cancel() }
        try await waiter.value()
    }

    /// Sleeps on the current loop.
    public static func sleep(for delay: Duration) async throws { try await required().sleep(for: delay) }

    // MARK: The round

    /// Runs until ``stop()``; the calling thread is the loop.
    func run() {
        cl_set_loop(Unmanaged.passUnretained(self).toOpaque())
        defer { cl_set_loop(nil) }
        roundBegan = MonotonicClock.now()
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Int(Self.eventsMax)) { events in
            while !stopping.load(ordering: .acquiring) {
                runJobs()
                let now = MonotonicClock.now()
                let lag = now - roundBegan
                if lag > lagWorst.load(ordering: .relaxed) { lagWorst.store(lag, ordering: .relaxed) }
                let count = wait(events, untilNextTimer(now))
                roundBegan = MonotonicClock.now()
                for place in 0..<max(0, count) { report(events, place) }
                while let timer = timers.pop(dueAt: roundBegan) { timer.run() }
            }
        }
    }

    /// How long, at worst since the last call, one round kept everyone else on the loop waiting. From any thread.
    public func takeLag() -> Duration { .nanoseconds(lagWorst.exchange(0, ordering: .relaxed)) }

    func stop() {
        stopping.store(true, ordering: .releasing)
        sleeping.store(true, ordering: .sequentiallyConsistent)
        wake()
    }

    private func wait(_ events: UnsafeMutableBufferPointer<epoll_event>, _ timeout: Int32) -> Int32 {
        guard local.isEmpty, timeout != 0 else {
            return epoll_wait(epoll, events.baseAddress, Self.eventsMax, 0)
        }
        sleeping.store(true, ordering: .sequentiallyConsistent)
        // Whoever added work before it could see us asleep is found here; whoever comes later writes the eventfd.
        let hasWork = lock.withLock { !remote.isEmpty }
        let count = epoll_wait(epoll, events.baseAddress, Self.eventsMax, hasWork ? 0 : timeout)
        sleeping.store(false, ordering: .sequentiallyConsistent)
        return count
    }

    /// Milliseconds; -1 for no timer, 0 when there is work at once.
    private func untilNextTimer(_ now: Int64) -> Int32 {
        guard local.isEmpty else { return 0 }
        guard let next = timers.next else { return -1 }
        // Rounded up: a timer that fires early would have to be asked again.
        return next <= now ? 0 : Int32(clamping: (next - now + 999_999) / 1_000_000)
    }

    private func report(_ events: UnsafeMutableBufferPointer<epoll_event>, _ place: Int32) {
        guard let base = events.baseAddress else { return }
        let tag = cl_data(base, place)
        if tag == UInt64.max {
            var count: UInt64 = 0
            _ = read(wakeup, &count, 8)
            return
        }
        let slot = Int(tag & 0xFFFF_FFFF)
        guard slot < watches.count, watches[slot].generation == UInt32(tag >> 32) else { return }
        watches[slot].watch?.onReady?(Readiness(events: cl_events(base, place)))
    }

    private func runJobs() {
        lock.withLock { swap(&remote, &arrived) }
        if !arrived.isEmpty {
            local.append(contentsOf: arrived)
            arrived.removeAll(keepingCapacity: true)
        }
        var done = 0
        while done < local.count, done < Self.jobsPerRound {
            let work = local[done]
            done += 1
            switch work {
            case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
            case .closure(let closure): closure()
            }
        }
        if done == local.count { local.removeAll(keepingCapacity: true) } else { local.removeFirst(done) }
    }
}
