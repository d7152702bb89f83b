/// A timer of one loop. Cancelling removes it from the heap at once, so nothing is kept alive by a far deadline.
///
/// Touched only on the loop that made it.
public final class Timer {
    let due: ContinuousClock.Instant
    fileprivate(set) var place = -1
    private var fire: (() -> Void)?
    private weak var heap: TimerHeap?

    init(due: ContinuousClock.Instant, heap: TimerHeap, fire: @escaping () -> Void) {
        self.due = due
        self.heap = heap
        self.fire = fire
    }

    public func cancel() {
        fire = nil
        if place >= 0 { heap?.remove(self) }
    }

    func run() {
        let fire = fire
        self.fire = nil
        fire?()
    }
}

/// A binary heap of timers that knows where each stands, so that cancelling is O(log n).
final class TimerHeap {
    private var heap: [Timer] = []

    var next: ContinuousClock.Instant? { heap.first?.due }
    var count: Int { heap.count }

    func add(_ timer: Timer) {
        timer.place = heap.count
        heap.append(timer)
        up(timer.place)
    }

    func remove(_ timer: Timer) {
        let place = timer.place
        timer.place = -1
        guard let last = heap.popLast(), last !== timer else { return }
        heap[place] = last
        last.place = place
        up(place)
        down(last.place)
    }

    /// The first timer due at `now`, taken out.
    func pop(dueAt now: ContinuousClock.Instant) -> Timer? {
        guard let first = heap.first, first.due <= now else { return nil }
        remove(first)
        return first
    }

    private func up(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].due < heap[parent].due else { return }
            swap(place, parent)
            place = parent
        }
    }

    private func down(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child].due < heap[least].due {
                least = child
            }
            guard least != place else { return }
            swap(place, least)
            place = least
        }
    }

    private func swap(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].place = a
        heap[b].place = b
    }
}
