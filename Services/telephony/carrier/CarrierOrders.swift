import Postgres
import Runtime
import Shared

/// Carries out what was asked of the carrier, as a reaction to a committed intent (design §4: "commit the intent first
/// and reconcile after a crash by asking, never by blindly redialling").
///
/// Woken by every commit that leaves an order; a look every second finds what a crash left behind.
final class CarrierOrders: Component {
    let name = "carrier-orders"
    private let telephony: Telephony
    private let log: Log
    private let tasks = TaskBag()

    /// At once and per replica: enough for hundreds of dials a second, few enough to respect the carrier's own limit.
    private static let batchMax = 16
    /// An order asked for so long ago was left by a crash: its asker's own timeout is half of it.
    private static let leftAfter = Duration.seconds(20)
    private static let attemptsMax = 5
    /// Callbacks are remembered this long; older replays meet terminal calls.
    private static let callbacksKept = Duration.seconds(30 * 86_400)

    init(_ telephony: Telephony) {
        self.telephony = telephony
        log = telephony.log.child(("component", "carrier-orders"))
    }

    func start(on group: EventLoopGroup) async throws {
        let loop = group.next()
        tasks.add(loop.spawn("carrier-orders") { await self.run() })
        tasks.add(loop.spawn("carrier-reconcile") { await self.reconcile() })
    }

    func stop(deadline: Duration) async { await tasks.stop() }

    // MARK: Orders

    private func run() async {
        let woken = telephony.ordersWaiting.listen()
        while !Task.isCancelled {
            do {
                while try await round() {}
                try await woken.wait(atMost: .seconds(1))
            } catch is CancellationError {
                return
            } catch {
                log.warn("carrier_orders.failed", ("error", "\(error)"))
                try? await EventLoop.sleep(for: .seconds(1))
            }
        }
    }

    /// True when there may be more.
    private func round() async throws -> Bool {
        let orders = try await OrderStore.claim(
            max: Self.batchMax, leftBefore: .now() - Self.leftAfter, in: telephony.database)
        await withTaskGroup(of: Void.self) { group in
            for order in orders { group.addTask { await self.carryOut(order) } }
        }
        return orders.count == Self.batchMax
    }

    private func carryOut(_ order: CarrierOrder) async {
        do {
            switch order.kind {
            case .dial, .dialAgent: try await dial(order)
            case .hangUp, .redirect: try await instruct(order)
            }
        } catch {
            // Whatever is not settled stays "asked" and is looked up once it is old enough.
            log.warn(
                "carrier_order.unsettled", ("order", .int(order.id)), ("kind", "\(order.kind.rawValue)"),
                ("error", "\(error)"))
        }
    }

    private func instruct(_ order: CarrierOrder) async throws {
        guard let sid = order.sid else { return try await OrderStore.finish(order.id, in: telephony.database) }
        do throws(Carrier.Failure) {
            if order.kind == .hangUp {
                try await telephony.carrier.hangUp(sid)
            } else {
                try await telephony.carrier.redirect(sid, telephony.links.voice(order.call))
            }
        } catch {
            switch error {
            case .refused: break  // The call is over at the carrier's; there is nothing left to tell it.
            case .busy, .unknown: return try await again(order, "\(error)")
            }
        }
        try await OrderStore.finish(order.id, in: telephony.database)
    }

    private func again(_ order: CarrierOrder, _ problem: String) async throws {
        guard order.attempts < Self.attemptsMax else { return try await settle(order, failed: problem) }
        let wait = Duration.milliseconds(250 << min(order.attempts, 6))
        try await OrderStore.postpone(order.id, until: .now() + wait, problem, in: telephony.database)
    }

    // MARK: Dialling

    private func dial(_ order: CarrierOrder) async throws {
        guard let from = order.from, let to = order.to else { return }
        guard let call = try await CallStore.find(order.call, in: telephony.database) else { return }
        if call.status.isTerminal { return try await settle(order, failed: "the call had ended") }
        if order.kind == .dial, let sid = call.sid { return try await placed(order, sid) }
        if let refusal = try await refusal(order, call) { return try await settle(order, failed: refusal) }
        if order.isLeftover, let sid = try await lookUp(order, from, to) { return try await placed(order, sid) }
        if order.isLeftover {
            guard order.attempts <= Self.attemptsMax else {
                return try await settle(order, failed: "carrier_unreachable")
            }
            // The carrier has had time to know of it and does not: it never arrived, so it may be placed.
            try await OrderStore.askAgain(order.id, in: telephony.database)
        }
        do throws(Carrier.Failure) {
            let sid = try await telephony.carrier.dial(request(order, from, to))
            try? await placed(order, sid)
        } catch {
            switch error {
            case .refused(_, let code, let message):
                let reason = code.map { "carrier_refused_\($0)" } ?? "carrier_refused"
                log.info("dial.refused", ("call", "\(order.call.text)"), ("reason", "\(reason): \(message)"))
                try await settle(order, failed: reason)
            case .busy: try await again(order, "the carrier is busy")
            case .unknown(let why):
                // Perhaps it rings. It stays asked, and is looked up before anything else happens.
                log.warn("dial.unknown", ("call", "\(order.call.text)"), ("error", "\(why)"))
            }
        }
    }

    /// Why the customer must not be called any more. An order that may have reached the carrier is looked up first.
    private func refusal(_ order: CarrierOrder, _ call: Call) async throws -> String? {
        guard order.kind == .dial, !order.isLeftover, let to = PhoneNumber(call.to) else { return nil }
        return try await BlockedNumberStore.refusal(to, in: call.workspace, telephony.database).map { "\($0)" }
    }

    private func request(_ order: CarrierOrder, _ from: String, _ to: String) -> Carrier.Dial {
        let links = telephony.links
        guard order.kind == .dialAgent, let escalation = order.escalation else {
            return Carrier.Dial(
                from: from, to: to, instructions: links.voice(order.call), status: links.status(order.call),
                answeringMachine: telephony.policy.detectsMachines ? links.answeredBy(order.call) : nil)
        }
        return Carrier.Dial(
            from: from, to: to, instructions: links.agentVoice(escalation), status: links.agentStatus(escalation),
            ringSeconds: 25)
    }

    /// The call this order placed before its asker went silent, if the carrier knows one that is nobody else's.
    private func lookUp(_ order: CarrierOrder, _ from: String, _ to: String) async throws -> String? {
        let since = order.askedAt - .seconds(5)
        for placed in try await telephony.carrier.find(from, to, since)
        where placed.createdAt >= since && placed.createdAt <= order.askedAt + Self.leftAfter {
            if try await !OrderStore.knows(sid: placed.report.sid, in: telephony.database) { return placed.report.sid }
        }
        return nil
    }

    /// The carrier has the call. If ours has ended meanwhile, it is hung up.
    private func placed(_ order: CarrierOrder, _ sid: String) async throws {
        try await telephony.database.transaction { (tx: borrowing Transaction) in
            OrderStore.finish(order.id, sid: sid, tx)
            guard var call = try await CallStore.lock(order.call, tx) else { return }
            if order.kind == .dial, call.sid == nil {
                call.sid = sid
                call.updatedAt = .now()
                CallStore.save(&call, after: [], tx)
            }
            if call.status.isTerminal { OrderStore.hangUp(sid, call: call.id, tx) }
        }
    }

    /// The order came to nothing: the call failed, or the next human is called.
    private func settle(_ order: CarrierOrder, failed reason: String) async throws {
        let now = Instant.now()
        _ = try await telephony.change(order.call) { call, tx in
            OrderStore.fail(order.id, reason, tx)
            guard !call.status.isTerminal else { return nil }
            switch order.kind {
            case .dial: return call.fail(reason, at: now)
            case .dialAgent:
                guard var escalation = try await EscalationStore.open(of: call.id, tx), escalation.status == .pending,
                    escalation.agent == order.agent
                else { return nil }
                return try await HandOver.next(&escalation, of: &call, at: now, tx)
            case .hangUp, .redirect: return nil
            }
        }
    }

    // MARK: Reconciling

    /// Asks the carrier about live calls nothing was heard of: callbacks are lost when we are down.
    private func reconcile() async {
        while !Task.isCancelled {
            do {
                try await EventLoop.sleep(for: .seconds(5))
                let silent = try await CallStore.claimSilent(
                    before: .now() - telephony.policy.reconcileAfter, max: 50, in: telephony.database)
                for (id, sid) in silent { try await ask(id, sid) }
                try await OrderStore.sweep(before: .now() - Self.callbacksKept, max: 1000, in: telephony.database)
                try await BlockedNumberStore.sweep(telephony.database)
                try await InterventionStore.sweep(before: .now() - .seconds(60), in: telephony.database)
            } catch is CancellationError {
                return
            } catch {
                log.warn("carrier_reconcile.failed", ("error", "\(error)"))
            }
        }
    }

    private func ask(_ id: CallID, _ sid: String?) async throws {
        // Without the carrier's id its dial is still being settled, by the orders above.
        guard let sid else { return }
        let report: CarrierReport
        do throws(Carrier.Failure) {
            // A call the carrier does not know is over, however it went.
            report = try await telephony.carrier.look(sid) ?? CarrierReport(sid: sid, state: .failed, at: .now())
        } catch {
            return log.warn("carrier_reconcile.unanswered", ("call", "\(id.text)"), ("error", "\(error)"))
        }
        _ = try await telephony.change(id) { call, _ in
            let changes = call.apply(report)
            return changes.isEmpty ? nil : changes
        }
    }
}

/// Wakes one waiting task, from any thread. A wake-up while nobody waits is kept.
///
/// `@unchecked Sendable`: the listener is set once, at start, and everything it touches happens on its loop.
final class Wakeup: @unchecked Sendable {
    /// The waiting side, on one loop.
    final class Listener: @unchecked Sendable {
        fileprivate let loop = EventLoop.required()
        private let signal = Signal()
        private var isDue = false

        fileprivate func wake() {
            loop.execute {
                self.isDue = true
                self.signal.fire()
            }
        }

        /// - Throws: `CancellationError`.
        func wait(atMost limit: Duration) async throws {
            if !isDue {
                let timer = loop.after(limit) { self.signal.fire() }
                defer { timer.cancel() }
                try await signal.wait()
            }
            isDue = false
        }
    }

    private let lock = Lock()
    private var listener: Listener?

    func listen() -> Listener {
        let made = Listener()
        lock.withLock { listener = made }
        return made
    }

    func fire() { lock.withLock { listener }?.wake() }
}

/// The long-running tasks of a component, stopped together.
///
/// `@unchecked Sendable`: guarded by the lock.
final class TaskBag: @unchecked Sendable {
    private let lock = Lock()
    private var tasks: [Task<Void, Never>] = []

    func add(_ task: Task<Void, Never>) { lock.withLock { tasks.append(task) } }

    func stop() async {
        let all = lock.withLock {
            defer { tasks = [] }
            return tasks
        }
        for task in all { task.cancel() }
        for task in all { await task.value }
    }
}
