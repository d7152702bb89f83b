/// What bounds a server's connections, and why.
public struct ServerLimits: Sendable {
    public var head = HeadLimits()
    /// 10 s from a request's first byte to the end of its head: a phone on a bad line needs 2, a slowloris all it gets.
    public var headSeconds = 10
    /// 60 s between requests: longer than browsers keep unused connections worth keeping.
    public var idleSeconds = 60
    /// 20 s without a byte of a body that is being waited for.
    public var bodyStallSeconds = 20
    /// A body may take its stall time plus its size at this rate (bytes/s, a modem's), so that dripping one byte
    /// every 19 s does not hold a connection for ever.
    public var bodyRateMin = 240
    /// 30 s without the peer taking a byte of the answer.
    public var writeStallSeconds = 30
    /// Up to 64 KiB of an unread body are swallowed to save the connection; beyond, closing is cheaper.
    public var drainMax = 64 * 1024
    /// After the last answer on a connection with unread input, wait this long so that the answer is not lost to a
    /// reset (RFC 9112 §9.6).
    public var lingerSeconds = 2
    /// A stop waits this long for requests under way (their own deadline), and leaves the rest of the time to others.
    public var drainSeconds = 10
    /// Answers to pipelined requests are sent together up to this many bytes.
    public var pipelineMax = 64 * 1024
    /// Per loop. A connection costs about 5 KiB idle, so this is 100 MiB; the kernel's table is the other limit.
    public var connectionsMax = 20_000

    public init() {}
}
