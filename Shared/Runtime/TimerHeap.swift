/// A timer of one loop. Cancelling removes it from the heap at once, so nothing is kept alive by a far deadline.
///
/// Touched only on the loop that made it.
public final class Timer {
    /// ``MonotonicClock`` nanoseconds.
    let due: Int64
    /// Where it stands in the heap; -1 when it does not.
    fileprivate var place = -1
    private var fire: (() -> Void)?
    /// Used only while `place` says the timer is in it, and the heap takes its timers out before it goes. A weak reference
    /// would cost more than the rest of a timer.
    private unowned(unsafe) let heap: TimerHeap

    init(due: Int64, heap: TimerHeap, fire: @escaping () -> Void) {
        self.due = due
        self.heap = heap
        self.fire = fire
    }

    public func cancel() {
        fire = nil
        if place >= 0 { heap.remove(self) }
    }

    func run() {
        let fire = fire
        self.fire = nil
        fire?()
    }
}

/// A binary heap of timers that knows where each stands, so that cancelling is O(log n).
final class TimerHeap {
    /// Plain memory to move about; the heap holds one reference to each of its timers.
    private struct Entry {
        let due: Int64
        let timer: Unmanaged<Timer>
    }

    private var heap: [Entry] = []

    deinit {
        for entry in heap {
            entry.timer.takeUnretainedValue().place = -1
            entry.timer.release()
        }
    }

    var next: Int64? { heap.first?.due }
    var count: Int { heap.count }

    func add(_ timer: Timer) {
        heap.append(Entry(due: timer.due, timer: .passRetained(timer)))
        up(heap[heap.count - 1], from: heap.count - 1)
    }

    func remove(_ timer: Timer) {
        let place = timer.place
        timer.place = -1
        guard let last = heap.popLast() else { return }
        defer { Unmanaged.passUnretained(timer).release() }
        guard place < heap.count else { return }
        // The last one takes the free place, then goes where it belongs.
        if place > 0, last.due < heap[(place - 1) / 2].due { up(last, from: place) } else { down(last, from: place) }
    }

    /// The first timer due at `now`, taken out.
    func pop(dueAt now: Int64) -> Timer? {
        guard let first = heap.first, first.due <= now else { return nil }
        let timer = first.timer.takeUnretainedValue()
        remove(timer)
        return timer
    }

    private func up(_ entry: Entry, from start: Int) {
        heap.withUnsafeMutableBufferPointer { heap in
            var place = start
            while place > 0 {
                let parent = (place - 1) / 2
                guard entry.due < heap[parent].due else { break }
                Self.put(heap[parent], at: place, &heap)
                place = parent
            }
            Self.put(entry, at: place, &heap)
        }
    }

    private func down(_ entry: Entry, from start: Int) {
        heap.withUnsafeMutableBufferPointer { heap in
            var place = start
            while true {
                var child = 2 * place + 1
                guard child < heap.count else { break }
                if child + 1 < heap.count, heap[child + 1].due < heap[child].due { child += 1 }
                guard heap[child].due < entry.due else { break }
                Self.put(heap[child], at: place, &heap)
                place = child
            }
            Self.put(entry, at: place, &heap)
        }
    }

    @inline(__always)
    private static func put(_ entry: Entry, at place: Int, _ heap: inout UnsafeMutableBufferPointer<Entry>) {
        heap[place] = entry
        entry.timer._withUnsafeGuaranteedRef { $0.place = place }
    }
}
