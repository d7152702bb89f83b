import Runtime

/// What a connection has received and not used yet, and how it gets more.
///
/// Bytes are read into a buffer that all connections of a loop share; only what is left over after looking at them is
/// kept, so an idle connection holds no buffer. Confined to its connection's loop.
final class Inbound {
    let transport: Transport
    private let scratch: Scratch
    private var pending: [UInt8] = []
    private var at = 0

    init(_ transport: Transport, scratch: Scratch, leftover: [UInt8] = []) {
        self.transport = transport
        self.scratch = scratch
        pending = leftover
    }

    /// Unused bytes at hand.
    var count: Int { pending.count - at }

    /// Hands the unused bytes over and forgets them.
    func takeAll() -> [UInt8] {
        defer {
            pending = []
            at = 0
        }
        return at == 0 ? pending : Array(pending[at...])
    }

    /// Runs `look` over the unused bytes; it says how many of them it used.
    func look<T>(_ look: (UnsafeBufferPointer<UInt8>) throws -> (used: Int, T)) rethrows -> T {
        let (used, result) = try pending.withUnsafeBufferPointer {
            try look(UnsafeBufferPointer(rebasing: $0[at...]))
        }
        at += used
        if at == pending.count {
            pending = []
            at = 0
        }
        return result
    }

    /// Waits for bytes and runs `look` over all that are unused; nil when the peer has closed its side.
    func more<T>(_ look: (UnsafeBufferPointer<UInt8>) throws -> (used: Int, T)) async throws -> T? {
        if transport.isGreedy() { await Task.yield() }
        while true {
            switch try poll(look) {
            case .seen(let result): return result
            case .again: try await transport.waitReadable()
            case .end: return nil
            }
        }
    }

    enum Poll<T> {
        /// What `look` made of the bytes.
        case seen(T)
        /// Nothing there at the moment.
        case again
        /// The peer has closed its side.
        case end
    }

    /// Reads once, without waiting, and runs `look` over all that is unused.
    @inline(__always)
    func poll<T>(_ look: (UnsafeBufferPointer<UInt8>) throws -> (used: Int, T)) throws -> Poll<T> {
        switch try transport.tryRead(scratch.memory) {
        case .end: return .end
        case .again: return .again
        case .bytes(let count):
            let fresh = UnsafeBufferPointer(rebasing: scratch.bytes[..<count])
            if at < pending.count {
                if at > 0 {
                    pending.removeSubrange(..<at)
                    at = 0
                }
                pending.append(contentsOf: fresh)
                return .seen(try self.look(look))
            }
            let (used, result) = try look(fresh)
            if used < count {
                pending = Array(fresh[used...])
                at = 0
            }
            return .seen(result)
        }
    }

    /// Whether bytes or the end of the stream can be had without waiting.
    func drop(upTo max: Int) async throws -> Bool {
        var left = max - takeAll().count
        while left > 0 {
            guard let count = try await more({ ($0.count, $0.count) }) else { return true }
            left -= count
        }
        return false
    }
}

/// 64 KiB that the connections of one loop read into by turns; nobody keeps it over a suspension.
///
/// `@unchecked Sendable`: used on the loop it was asked for, and only handed out there.
final class Scratch: @unchecked Sendable {
    private static let all = PerLoop { Scratch() }

    /// The one of the current loop, kept as long as somebody reads with it.
    static func ofLoop() -> Scratch { all.ofLoop }

    /// As much as a socket usually holds, so that one read empties it.
    static let size = 64 * 1024
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(memory.bindMemory(to: UInt8.self)) }

    deinit { memory.deallocate() }
}
