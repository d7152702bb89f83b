/// Where a reader stands in one partition, and whether it still stands in the same log.
///
/// An offset means nothing in a log that was written anew (a broker that keeps its log in memory and was restarted, a
/// cluster that was rebuilt): the reader would wait at a place that comes late, or go on in the middle. So after every
/// lost connection the last record read is read once more. If it is no longer there, or another one is, the log is a new
/// one, and reading starts at its beginning.
struct ReadPosition: Equatable {
    struct Mark: Equatable {
        let offset: Int64
        let fingerprint: Int
    }

    enum Trust: Equatable {
        /// Records are what follows the last one.
        case sure
        /// The connection was lost: nothing is believed until the log's end is known.
        case doubtful
        /// The last record is being read again.
        case comparing
        /// Reading begins at this offset. The record before it is fetched first, as something to compare later.
        case anchoring(at: Int64)
    }

    enum Verdict: Equatable {
        case deliver
        case drop
        /// This is another log: go to its beginning.
        case restart
    }

    /// Where to read next.
    enum Seek: Equatable {
        case offset(Int64)
        case beginning
    }

    private(set) var last: Mark?
    private(set) var trust: Trust = .sure
    /// The offset after the last record seen, when one was.
    private(set) var next: Int64?

    init() {}

    /// Begins at an offset of a log that has something before it or not.
    init(startingAt offset: Int64, first: Int64) {
        next = offset
        if offset > first { trust = .anchoring(at: offset) }
    }

    mutating func read(_ offset: Int64, fingerprint: Int) -> Verdict {
        switch trust {
        case .doubtful: return .drop
        case .sure: break
        case .comparing:
            trust = .sure
            guard let last, last.offset == offset, last.fingerprint == fingerprint else {
                self.last = nil
                next = nil
                return .restart
            }
            return .drop
        case .anchoring(let start):
            if offset < start {
                last = Mark(offset: offset, fingerprint: fingerprint)
                if offset == start - 1 { trust = .sure }
                return .drop
            }
            trust = .sure
        }
        last = Mark(offset: offset, fingerprint: fingerprint)
        next = offset + 1
        return .deliver
    }

    mutating func disconnected() {
        // Nothing read yet: there is nothing to compare, and nothing that could be skipped.
        if last != nil { trust = .doubtful }
    }

    /// The partition's end is known again. Tells where to go on; nil when there was no doubt.
    mutating func located(end: Int64) -> Seek? {
        guard trust == .doubtful, let last else { return nil }
        guard end > last.offset else {
            self.last = nil
            next = nil
            trust = .sure
            return .beginning
        }
        trust = .comparing
        return .offset(last.offset)
    }
}
