import Glibc
import Shared

/// What every program shows of itself, under the names Prometheus' own clients use, and the lag of its loops.
enum ProcessMetrics {
    static func register(_ group: EventLoopGroup, in metrics: Metrics = .shared) {
        let memory = metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
        let descriptors = metrics.gauge("process_open_fds", "Number of open file descriptors.")
        let processor = metrics.seconds("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
        metrics.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
            .set(Double(Instant.now().microseconds) / 1e6)
        let lags = group.loops.map { loop in
            metrics.gauge(
                "event_loop_lag_seconds", "The longest time one round of the loop took since the last scrape.",
                ("loop", "\(loop.index)"))
        }
        metrics.probe {
            memory.set(residentBytes)
            descriptors.set(openDescriptors)
            processor.set(processorSeconds)
            for (loop, lag) in zip(group.loops, lags) { lag.set(loop.takeLag().inSeconds) }
        }
    }

    /// The second number of /proc/self/statm, in pages.
    static var residentBytes: Double {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 128)
        let count = max(0, read(descriptor, &text, text.count))
        let words = String(decoding: text[..<count], as: UTF8.self).split(separator: " ")
        return (words.count > 1 ? Double(words[1]) ?? 0 : 0) * Double(sysconf(Int32(_SC_PAGESIZE)))
    }

    static var openDescriptors: Double {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Itself, `.` and `..` do not count.
        return Double(max(0, count - 3))
    }

    static var processorSeconds: Double {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
        let whole = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return Double(whole) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
}
