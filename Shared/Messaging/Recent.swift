import Shared

/// Which events this instance has had lately. Pure.
///
/// A broadcast has no inbox. When a broker lost its log and everything is published again, it would act on old events a
/// second time; this keeps those from it, and lets through what it missed.
struct Recent {
    private var known: Set<EventID> = []
    /// In order of arrival; a ring once it is full.
    private var order: [EventID] = []
    private var oldest = 0
    /// Events made before this are not remembered one by one.
    private var floor: Instant
    private let max: Int

    /// - Parameters:
    ///   - floor: republished events made before it are of no interest.
    ///   - max: events remembered.
    init(floor: Instant, max: Int = 65_536) {
        self.floor = floor
        self.max = max
    }

    /// False when the event was here before, or is an old one sent again.
    mutating func admit(_ id: EventID, isRepublished: Bool) -> Bool {
        guard !known.contains(id), !(isRepublished && id.madeAt < floor) else { return false }
        known.insert(id)
        if order.count < max {
            order.append(id)
        } else {
            let forgotten = order[oldest]
            known.remove(forgotten)
            floor = Swift.max(floor, forgotten.madeAt)
            order[oldest] = id
            oldest = (oldest + 1) % max
        }
        return true
    }
}
