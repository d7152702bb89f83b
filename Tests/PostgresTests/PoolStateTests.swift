import Testing

@testable import Postgres

@Suite struct PoolStateTests {
    private func pool(lanes: Int = 2, waiters: Int = 10, depth: Int = 3) -> PoolState {
        PoolState(limits: .init(lanesMax: lanes, waitersMax: waiters, depthMax: depth))
    }

    /// A pool with this many connections open and nothing going on.
    private func connected(_ lanes: Int, depth: Int = 3, waiters: Int = 10) -> PoolState {
        var state = pool(lanes: lanes, waiters: waiters, depth: depth)
        for _ in 1...lanes { _ = state.wait(.exclusive) }
        for lane in 1...lanes { state.connected(lane) }
        for lane in 1...lanes { state.released(lane) }
        _ = state.takeActions()
        return state
    }

    @Test func `the first to ask opens a connection and gets it`() {
        var state = pool()
        #expect(state.takeShared() == nil)
        #expect(state.wait(.shared) == 1)
        #expect(state.takeActions() == [.open(1)])
        state.connected(1)
        #expect(state.takeActions() == [.grant(1, 1)])
    }

    @Test func `statements go to the least busy connection`() {
        var state = connected(2)
        #expect([state.takeShared(), state.takeShared(), state.takeShared(), state.takeShared()] == [1, 2, 1, 2])
        state.finished(2)
        #expect(state.takeShared() == 2)
        #expect(state.takeActions() == [])
    }

    @Test func `statements do not queue behind a slow one while another connection gets on`() {
        var state = connected(2, depth: 10)
        #expect(state.takeShared() == 1)
        for _ in 0..<20 {
            #expect(state.takeShared() == 2)
            state.finished(2)
        }
        #expect([state.takeShared(), state.takeShared(), state.takeShared()] == [2, 2, 2])
        state.finished(1)
        #expect(state.takeShared() == 1)
    }

    @Test func `a busy connection serves while a second one is opened, up to the maximum`() {
        var state = pool(lanes: 2)
        _ = state.wait(.shared)
        state.connected(1)
        _ = state.takeActions()
        #expect(state.takeShared() == 1)
        #expect(state.takeActions() == [.open(2)])
        #expect(state.takeShared() == 1)
        #expect(state.takeActions() == [])
        state.connected(2)
        #expect(state.takeShared() == 2)
        #expect(state.takeActions() == [])
    }

    @Test func `no connection carries more than its depth, and the next statement waits`() {
        var state = connected(1, depth: 2)
        #expect([state.takeShared(), state.takeShared(), state.takeShared()] == [1, 1, nil])
        let ticket = state.wait(.shared)
        #expect(state.takeActions() == [])
        state.finished(1)
        #expect(state.takeActions() == [.grant(ticket ?? 0, 1)])
    }

    @Test func `a transaction has its connection to itself`() {
        var state = connected(2)
        #expect(state.takeExclusive() == 1)
        #expect(state.takeShared() == 2)
        #expect(state.takeShared() == 2)
        #expect(state.takeExclusive() == nil)
    }

    @Test func `a waiting transaction reserves a connection, which drains and is then leased`() {
        var state = connected(2)
        _ = state.takeShared()
        _ = state.takeShared()
        let ticket = state.wait(.exclusive) ?? 0
        #expect(state.takeShared() == 2)
        #expect(state.takeShared() == 2)
        state.finished(2)
        #expect(state.takeActions() == [])
        state.finished(1)
        #expect(state.takeActions() == [.grant(ticket, 1)])
        #expect(state.takeShared() == 2)
    }

    @Test func `a waiting statement goes before a transaction that came later`() {
        var state = connected(1)
        _ = state.takeExclusive()
        let statement = state.wait(.shared) ?? 0
        let transaction = state.wait(.exclusive) ?? 0
        state.released(1)
        #expect(state.takeActions() == [.grant(statement, 1)])
        #expect(state.takeShared() == nil)
        state.finished(1)
        #expect(state.takeActions() == [.grant(transaction, 1)])
    }

    @Test func `transactions are served in the order they came`() {
        var state = connected(1)
        _ = state.takeExclusive()
        let tickets = (0..<3).compactMap { _ in state.wait(.exclusive) }
        for ticket in tickets {
            state.released(1)
            #expect(state.takeActions() == [.grant(ticket, 1)])
        }
    }

    @Test func `a waiter that gave up is not served, and its reservation ends`() {
        var state = connected(1)
        _ = state.takeShared()
        let ticket = state.wait(.exclusive) ?? 0
        #expect(state.takeShared() == nil)
        let left = [state.leave(ticket), state.leave(ticket)]
        #expect(left == [true, false])
        #expect(state.takeShared() == 1)
        state.finished(1)
        state.finished(1)
        #expect(state.takeActions() == [])
    }

    @Test func `the queue is bounded`() {
        var state = pool(lanes: 1, waiters: 2)
        #expect(state.wait(.shared) != nil)
        #expect(state.wait(.exclusive) != nil)
        #expect(state.wait(.shared) == nil)
    }

    @Test func `a failed attempt is repeated after a backoff while somebody waits`() {
        var state = pool()
        let ticket = state.wait(.shared) ?? 0
        _ = state.takeActions()
        state.failed(1)
        #expect(state.takeActions() == [.retry(failures: 1)])
        _ = state.wait(.shared)
        #expect(state.takeActions() == [])
        state.retry()
        #expect(state.takeActions() == [.open(2)])
        state.failed(2)
        #expect(state.takeActions() == [.retry(failures: 2)])
        state.retry()
        state.connected(3)
        #expect(state.takeActions() == [.open(3), .grant(ticket, 3), .grant(ticket + 1, 3)])
        #expect(state.failures == 0)
    }

    @Test func `a permanent failure refuses everybody at once`() {
        var state = pool()
        _ = state.wait(.shared)
        _ = state.wait(.exclusive)
        _ = state.takeActions()
        state.failed(1, permanently: "no such database")
        #expect(
            state.takeActions() == [
                .refuse(1, .permanent("no such database")), .refuse(2, .permanent("no such database")),
                .retry(failures: 1),
            ])
    }

    @Test func `a lost connection is replaced for those who wait, and late reports about it change nothing`() {
        var state = connected(1)
        _ = state.takeExclusive()
        let ticket = state.wait(.exclusive) ?? 0
        state.lost(1)
        #expect(state.takeActions() == [.open(2)])
        state.released(1)
        state.finished(1)
        state.connected(2)
        #expect(state.takeActions() == [.grant(ticket, 2)])
    }

    @Test func `a retiring connection gets nothing new and is closed when empty`() {
        var state = connected(1)
        _ = state.takeShared()
        state.retire(1)
        #expect(state.takeShared() == nil)
        #expect(state.takeActions() == [])
        state.finished(1)
        #expect(state.takeActions() == [.close(1)])
        #expect(state.lanes.isEmpty)
    }

    @Test func `connections nobody used between two sweeps are closed, all but one`() {
        var state = connected(2)
        state.sweep()
        #expect(state.takeActions() == [])
        #expect(state.takeShared() == 1)
        state.sweep()
        #expect(state.takeActions() == [.close(2)])
        state.finished(1)
        state.sweep()
        state.sweep()
        #expect(state.lanes.count == 1)
    }

    @Test func `closing refuses waiters and newcomers and lets what runs come to its end`() {
        var state = connected(2)
        _ = state.takeExclusive()
        _ = state.takeShared()
        let ticket = state.wait(.exclusive) ?? 0
        state.close()
        #expect(state.takeActions() == [.refuse(ticket, .closed)])
        let late = state.wait(.shared) ?? 0
        #expect(state.takeActions() == [.refuse(late, .closed)])
        state.released(1)
        state.finished(2)
        #expect(state.takeActions() == [.close(1), .close(2)])
    }

    /// Random histories: whatever happens, limits hold, nobody is granted twice, and nobody waits while a connection
    /// stands idle.
    @Test(arguments: 0..<50)
    func `random histories keep the rules`(seed: UInt64) {
        var random = Sequence64(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
        var state = pool(lanes: 3, waiters: 20, depth: 4)
        var shared: [Int] = []
        var leased: [Int] = []
        var connecting: [Int] = []
        var waiting: [Int: PoolState.Use] = [:]
        for _ in 0..<500 {
            switch random.next() % 10 {
            case 0...2:
                if let lane = state.takeShared() {
                    shared.append(lane)
                } else if let ticket = state.wait(.shared) {
                    waiting[ticket] = .shared
                }
            case 3:
                if let lane = state.takeExclusive() {
                    leased.append(lane)
                } else if let ticket = state.wait(.exclusive) {
                    waiting[ticket] = .exclusive
                }
            case 4, 5: if let lane = random.pull(&shared) { state.finished(lane) }
            case 6: if let lane = random.pull(&leased) { state.released(lane) }
            case 7: if let lane = random.pull(&connecting) { state.connected(lane) }
            case 8:
                if let lane = random.pull(&connecting) { state.failed(lane) } else { state.retry() }
            default:
                if let lane = state.lanes.filter(\.isReady).first?.id, random.next() % 4 == 0 {
                    shared.removeAll { $0 == lane }
                    leased.removeAll { $0 == lane }
                    state.lost(lane)
                } else if let ticket = waiting.keys.min(), random.next() % 2 == 0 {
                    let left = state.leave(ticket)
                    #expect(left)
                    waiting[ticket] = nil
                } else {
                    state.retry()
                }
            }
            for action in state.takeActions() {
                switch action {
                case .open(let lane): connecting.append(lane)
                case .grant(let ticket, let lane):
                    switch waiting.removeValue(forKey: ticket) {
                    case .shared?: shared.append(lane)
                    case .exclusive?: leased.append(lane)
                    case nil: Issue.record("\(ticket) was granted twice")
                    }
                default: break
                }
            }
            #expect(state.lanes.count <= 3)
            #expect(Set(leased).isDisjoint(with: shared) && Set(leased).count == leased.count)
            #expect(Dictionary(grouping: shared) { $0 }.values.allSatisfy { $0.count <= 4 })
            #expect(state.waiting == waiting.count)
            #expect(
                waiting.isEmpty || !state.lanes.contains(where: \.isIdle), "somebody waits beside an idle connection")
        }
    }
}

/// xorshift, so that a failing history can be run again by its seed.
struct Sequence64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func pull(_ elements: inout [Int]) -> Int? {
        elements.isEmpty ? nil : elements.remove(at: Int(next() % UInt64(elements.count)))
    }
}
