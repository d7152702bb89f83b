import Runtime

/// Something of a loop on its way to that same loop.
///
/// `@unchecked Sendable`: it is made on a loop and opened again only in work of that loop; the type system sees a
/// journey where there is none.
struct Confined<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

extension EventLoop {
    /// Runs the closure once the present callback of librdkafka has returned: clients cannot be freed inside one.
    func afterCallback(_ work: @escaping () -> Void) {
        let work = Confined(work)
        execute { work.value() }
    }
}
