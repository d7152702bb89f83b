import Glibc

/// Nanoseconds that only ever grow. `ContinuousClock` counts in 128-bit attoseconds, which timers compared by the dozen
/// would pay for.
public enum MonotonicClock {
    public static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Rounded up: what waits for it never wakes early. At most a century, which the sum with now must survive.
    static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        guard seconds < 3_000_000_000 else { return 3_000_000_000 * 1_000_000_000 }
        return max(0, seconds * 1_000_000_000 + (attoseconds + 999_999_999) / 1_000_000_000)
    }
}
