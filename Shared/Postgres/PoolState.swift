/// Which connection serves whom, as a pure value: it answers with actions, and `LoopPool` performs them.
///
/// A lane is one connection. Single statements share lanes: many tasks pipeline over the least busy one. A transaction
/// leases a lane for itself; when none is idle, one lane is reserved, which keeps new statements off it until it
/// drained. Waiting is first come, first served, bounded, and ends by a deadline that `LoopPool` keeps.
struct PoolState {
    typealias LaneID = Int
    typealias Ticket = Int

    enum Use { case shared, exclusive }

    enum Refusal: Equatable {
        case closed
        /// The server refuses for good; trying again would change nothing.
        case permanent(String)
    }

    enum Action: Equatable {
        case open(LaneID)
        case close(LaneID)
        case grant(Ticket, LaneID)
        case refuse(Ticket, Refusal)
        /// Call `retry()` after the backoff that belongs to this many failures in a row.
        case retry(failures: Int)
    }

    struct Limits {
        var lanesMax = 4
        var waitersMax = 1024
        /// Statements in flight on one lane. Bounds what is held for a slow server.
        var depthMax = 128
        /// A lane on which nothing finished while this many statements did elsewhere is stuck behind a slow one.
        var stuckAfter = 16
    }

    struct Lane {
        let id: LaneID
        var isReady = false
        var inFlight = 0
        var isLeased = false
        var isReserved = false
        var isRetiring = false
        var wasUsed = true
        /// How many statements had finished on all lanes when this one last got on.
        var progress = 0

        var takesShared: Bool { isReady && !isLeased && !isReserved && !isRetiring }
        var isIdle: Bool { isReady && !isLeased && !isRetiring && inFlight == 0 }
    }

    private(set) var actions: [Action] = []
    private(set) var lanes: [Lane] = []
    private(set) var isClosed = false
    private(set) var failures = 0
    private var isBackingOff = false
    private var shared: [Ticket] = []
    private var exclusive: [Ticket] = []
    private var nextLane = 0
    private var nextTicket = 0
    private var finishedCount = 0
    let limits: Limits

    init(limits: Limits) { self.limits = limits }

    var waiting: Int { shared.count + exclusive.count }
    var inUse: Int { lanes.reduce(0) { $0 + ($1.isLeased || $1.inFlight > 0 ? 1 : 0) } }

    mutating func takeActions() -> [Action] {
        defer { actions.removeAll(keepingCapacity: true) }
        return actions
    }

    // MARK: Asking

    /// A lane for one statement, when there is one now. Balanced by `finished`.
    mutating func takeShared() -> LaneID? {
        guard shared.isEmpty, !isClosed, let index = leastBusy() else { return nil }
        // A busy lane serves, and another is opened beside it for the next one.
        if lanes[index].inFlight > 0 { open(wanted: 1) }
        return share(index)
    }

    /// A lane for one transaction, when one is idle now. Balanced by `released`.
    mutating func takeExclusive() -> LaneID? {
        guard exclusive.isEmpty, shared.isEmpty, !isClosed,
            let index = lanes.firstIndex(where: { $0.isIdle && !$0.isReserved })
        else { return nil }
        lanes[index].isLeased = true
        lanes[index].wasUsed = true
        return lanes[index].id
    }

    /// Joins the queue; nil when it is full. An action grants or refuses later.
    mutating func wait(_ use: Use) -> Ticket? {
        guard waiting < limits.waitersMax else { return nil }
        nextTicket += 1
        if isClosed {
            actions.append(.refuse(nextTicket, .closed))
            return nextTicket
        }
        switch use {
        case .shared: shared.append(nextTicket)
        case .exclusive: exclusive.append(nextTicket)
        }
        serve()
        return nextTicket
    }

    /// The waiter gave up: its deadline passed or its task was cancelled. false when it was granted already.
    mutating func leave(_ ticket: Ticket) -> Bool {
        if let index = shared.firstIndex(of: ticket) {
            shared.remove(at: index)
        } else if let index = exclusive.firstIndex(of: ticket) {
            exclusive.remove(at: index)
        } else {
            return false
        }
        serve()
        return true
    }

    // MARK: What became of lanes

    mutating func connected(_ id: LaneID) {
        guard let index = index(id) else { return }
        failures = 0
        lanes[index].isReady = true
        serve()
    }

    /// A connection attempt failed. A permanent failure ends the wait of everybody.
    mutating func failed(_ id: LaneID, permanently reason: String? = nil) {
        guard let index = index(id) else { return }
        lanes.remove(at: index)
        failures += 1
        if let reason { refuseAll(.permanent(reason)) }
        if !isBackingOff {
            isBackingOff = true
            actions.append(.retry(failures: failures))
        }
    }

    /// The backoff is over.
    mutating func retry() {
        isBackingOff = false
        serve()
    }

    /// A ready connection broke. What was in flight on it was told already.
    mutating func lost(_ id: LaneID) {
        guard let index = index(id) else { return }
        lanes.remove(at: index)
        serve()
    }

    /// A shared statement came to its end.
    mutating func finished(_ id: LaneID) {
        guard let index = index(id), lanes[index].inFlight > 0 else { return }
        lanes[index].inFlight -= 1
        finishedCount += 1
        lanes[index].progress = finishedCount
        settle(index)
    }

    /// A lease came to its end, and the connection is clean.
    mutating func released(_ id: LaneID) {
        guard let index = index(id), lanes[index].isLeased else { return }
        lanes[index].isLeased = false
        settle(index)
    }

    /// Nothing new goes on this lane; it is closed when it is empty. Its place is free for another at once only then.
    mutating func retire(_ id: LaneID) {
        guard let index = index(id), !lanes[index].isRetiring else { return }
        lanes[index].isRetiring = true
        lanes[index].isReserved = false
        settle(index)
    }

    /// Call now and then: closes lanes, all but one, that nobody used since the call before.
    mutating func sweep() {
        for lane in lanes where lane.isIdle && !lane.isReserved && !lane.wasUsed && lanes.count > 1 {
            remove(lane.id)
        }
        for index in lanes.indices { lanes[index].wasUsed = !lanes[index].isIdle }
    }

    /// Refuses everybody from now on and closes each lane as soon as it is empty.
    mutating func close() {
        isClosed = true
        refuseAll(.closed)
        for lane in lanes {
            if lane.isReady { retire(lane.id) } else { remove(lane.id) }
        }
    }

    // MARK: Inside

    private func index(_ id: LaneID) -> Int? { lanes.firstIndex { $0.id == id } }

    private mutating func share(_ index: Int) -> LaneID {
        if lanes[index].inFlight == 0 { lanes[index].progress = finishedCount }
        lanes[index].inFlight += 1
        lanes[index].wasUsed = true
        return lanes[index].id
    }

    /// The lane with the fewest statements on it; those stuck behind a slow one come last.
    private func leastBusy() -> Int? {
        var best: Int?
        var bestLoad = Int.max
        for (index, lane) in lanes.enumerated() where lane.takesShared && lane.inFlight < limits.depthMax {
            let isStuck = lane.inFlight > 0 && finishedCount - lane.progress > limits.stuckAfter
            let load = isStuck ? lane.inFlight + limits.depthMax : lane.inFlight
            if load < bestLoad { (best, bestLoad) = (index, load) }
        }
        return best
    }

    private mutating func settle(_ index: Int) {
        let lane = lanes[index]
        if lane.isRetiring, !lane.isLeased, lane.inFlight == 0 { remove(lane.id) }
        if waiting > 0 { serve() }
    }

    private mutating func remove(_ id: LaneID) {
        lanes.removeAll { $0.id == id }
        actions.append(.close(id))
    }

    private mutating func refuseAll(_ refusal: Refusal) {
        for ticket in (shared + exclusive).sorted() { actions.append(.refuse(ticket, refusal)) }
        shared.removeAll()
        exclusive.removeAll()
        for index in lanes.indices { lanes[index].isReserved = false }
    }

    /// Gives waiters, the oldest first, what is there for them; opens and reserves lanes for the rest.
    private mutating func serve() {
        while grantOldest() {}
        if exclusive.isEmpty {
            for index in lanes.indices { lanes[index].isReserved = false }
        }
        guard waiting > 0 else { return }
        let connecting = lanes.reduce(0) { $0 + ($1.isReady ? 0 : 1) }
        // While the server is in trouble one attempt at a time is enough.
        open(wanted: failures > 0 ? (connecting == 0 ? 1 : 0) : waiting - connecting)
        reserveForExclusive()
    }

    private mutating func grantOldest() -> Bool {
        let sharedFirst = (shared.first ?? .max) < (exclusive.first ?? .max)
        return sharedFirst ? (grantShared() || grantExclusive()) : (grantExclusive() || grantShared())
    }

    private mutating func grantShared() -> Bool {
        guard let ticket = shared.first, let index = leastBusy() else { return false }
        shared.removeFirst()
        actions.append(.grant(ticket, share(index)))
        return true
    }

    private mutating func grantExclusive() -> Bool {
        guard let ticket = exclusive.first,
            let index = lanes.firstIndex(where: { $0.isIdle && $0.isReserved }) ?? lanes.firstIndex(where: \.isIdle)
        else { return false }
        // An older statement that waits for any lane goes first.
        if let older = shared.first, older < ticket, lanes[index].takesShared { return false }
        exclusive.removeFirst()
        lanes[index].isLeased = true
        lanes[index].isReserved = false
        lanes[index].wasUsed = true
        actions.append(.grant(ticket, lanes[index].id))
        return true
    }

    private mutating func reserveForExclusive() {
        guard !exclusive.isEmpty, lanes.count >= limits.lanesMax || failures > 0,
            !lanes.contains(where: \.isReserved)
        else { return }
        let candidates = lanes.indices.filter { lanes[$0].takesShared }
        guard let index = candidates.min(by: { lanes[$0].inFlight < lanes[$1].inFlight }) else { return }
        lanes[index].isReserved = true
    }

    private mutating func open(wanted: Int) {
        guard !isBackingOff, !isClosed, wanted > 0 else { return }
        let alreadyOpening = lanes.contains { !$0.isReady }
        // A statement that is served already asks for at most one lane at a time.
        if waiting == 0 && alreadyOpening { return }
        for _ in 0..<max(0, min(wanted, limits.lanesMax - lanes.count)) {
            nextLane += 1
            lanes.append(Lane(id: nextLane))
            actions.append(.open(nextLane))
        }
    }
}
