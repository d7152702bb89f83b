/// One value per loop, made when it is first asked for there and kept as long as somebody uses it.
///
/// `@unchecked Sendable`: the table is only reached under the lock, and a value is only handed out on its own loop.
public final class PerLoop<Value: AnyObject>: @unchecked Sendable {
    private struct Weak {
        weak var value: Value?
    }

    private let lock = Lock()
    private var all: [ObjectIdentifier: Weak] = [:]
    private let make: @Sendable () -> Value

    public init(_ make: @escaping @Sendable () -> Value) { self.make = make }

    public var ofLoop: Value {
        let loop = ObjectIdentifier(EventLoop.required())
        return lock.withLock {
            if let value = all[loop]?.value { return value }
            all = all.filter { $0.value.value != nil }
            let value = make()
            all[loop] = Weak(value: value)
            return value
        }
    }
}
