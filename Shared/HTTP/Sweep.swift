import Runtime

/// The time limits of one loop's connections to servers behind us: one look at each a second is cheaper than winding up
/// a timer per request, and a limit of many seconds may be late by one.
///
/// `@unchecked Sendable`: used on the loop it was asked for.
final class Sweep: @unchecked Sendable {
    private static let all = PerLoop { Sweep() }
    static func ofLoop() -> Sweep { all.ofLoop }

    /// Each leaves before it goes, so none is kept alive from here.
    private var watched: [Unmanaged<Upstream>] = []
    private var timer: Runtime.Timer?
    private(set) var seconds = 0

    /// The sweep at which so many whole seconds from now have certainly passed.
    func tick(after limit: Int) -> Int { seconds + limit + 1 }

    func add(_ upstream: Upstream) {
        upstream.place = watched.count
        watched.append(.passUnretained(upstream))
        if timer == nil { tickLater() }
    }

    func remove(_ upstream: Upstream) {
        let place = upstream.place
        guard place >= 0 else { return }
        upstream.place = -1
        let last = watched.removeLast()
        guard place < watched.count else { return }
        watched[place] = last
        last._withUnsafeGuaranteedRef { $0.place = place }
    }

    private func tickLater() {
        timer = EventLoop.required().after(.seconds(1)) { [weak self] in self?.tick() }
    }

    private func tick() {
        seconds += 1
        // Expiring one may close others: each of these is held while it is looked at.
        for upstream in watched.map({ $0.takeUnretainedValue() }) where upstream.expires <= seconds {
            upstream.expire()
        }
        if watched.isEmpty { timer = nil } else { tickLater() }
    }

    deinit { timer?.cancel() }
}
