import Glibc
import HTTP
import Runtime

/// The HTTP core against nginx: the same small JSON answer, both on two threads, `wrk -c64`, by turns in the same run so
/// that what else the machine does hits both. Also processor time per request of our side, and the growth of memory under
/// keep-alive.
func answersOverHTTP(rounds: Int = 3, seconds: Int = 3) async throws -> [Measurement] {
    let what = "small JSON answer, against nginx"
    guard let wrk = Program.find("wrk") else { return [Measurement(what: what, ours: "not measured: wrk is missing")] }
    let group = EventLoopGroup(count: 2)
    group.start()
    defer { group.stop() }
    let body = Array(#"{"status":"ok","calls":12,"active":true}"#.utf8)
    let server = Server(port: 0, host: "127.0.0.1") { _ in .bytes(type: "application/json", body) }
    try await server.start(on: group)
    let nginx = try Program.find("nginx").map { try Nginx($0, answer: body) }
    defer { nginx?.stop() }

    var ours: [Double] = []
    var theirs: [Double] = []
    var costs: [Double] = []
    var memory: [Int] = []
    for _ in 0..<rounds {
        if let nginx { theirs.append(try await load(wrk, nginx.port, seconds).rate) }
        let before = processorTime()
        let result = try await load(wrk, server.boundPort, seconds)
        costs.append((processorTime() - before) / Double(max(1, result.requests)) * 1e6)
        ours.append(result.rate)
        memory.append(residentKiB())
    }
    await server.stop(deadline: .seconds(1))
    let growth = memory.count > 1 ? memory[memory.count - 1] - memory[0] : 0
    return [
        Measurement(
            what: what, ours: perSecond(median(ours)), other: theirs.isEmpty ? "no nginx" : perSecond(median(theirs)),
            ratio: theirs.isEmpty ? nil : median(ours) / median(theirs), goal: "≥ 0.9"),
        Measurement(what: "  processor time of one answer", ours: "\(tenths(median(costs))) µs"),
        Measurement(what: "  memory gained after the first round", ours: "\(growth) KiB"),
    ]
}

private func load(_ wrk: String, _ port: Int, _ seconds: Int) async throws -> (requests: Int, rate: Double) {
    let text = try await Blocking.shared.run {
        try Program.output(wrk, ["-c64", "-t2", "-d\(seconds)s", "http://127.0.0.1:\(port)/"])
    }
    var requests = 0
    var rate = 0.0
    for line in text.split(separator: "\n") {
        let words = line.split(separator: " ")
        if line.contains(" requests in "), let first = words.first { requests = Int(first) ?? 0 }
        if line.hasPrefix("Requests/sec:"), let last = words.last { rate = Double(last) ?? 0 }
    }
    return (requests, rate)
}

/// nginx in a folder of its own, answering everything with the same bytes.
private struct Nginx {
    let port: Int
    private let process: pid_t
    private let folder: String

    init(_ path: String, answer: [UInt8]) throws {
        port = Program.freePort()
        var template = Array("/tmp/switchboard-nginx-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Program.Failure(reason: "no folder for nginx") }
        folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let text = """
            daemon off;
            worker_processes 2;
            pid \(folder)/pid;
            error_log \(folder)/error.log;
            events { worker_connections 1024; }
            http {
                access_log off;
                keepalive_requests 1000000000;
                client_body_temp_path \(folder)/a; proxy_temp_path \(folder)/b; fastcgi_temp_path \(folder)/c;
                uwsgi_temp_path \(folder)/d; scgi_temp_path \(folder)/e;
                server {
                    listen 127.0.0.1:\(port) reuseport;
                    default_type application/json;
                    location / { return 200 '\(String(decoding: answer, as: UTF8.self))'; }
                }
            }
            """
        guard let file = fopen(folder + "/nginx.conf", "w") else { throw Program.Failure(reason: "no file for nginx") }
        fputs(text, file)
        fclose(file)
        process = try Program.spawn(path, ["-p", folder, "-c", folder + "/nginx.conf"])
        guard Program.waitForPort(port) else { throw Program.Failure(reason: "nginx does not answer") }
    }

    func stop() {
        kill(process, SIGTERM)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        for name in ["nginx.conf", "error.log", "pid"] { unlink(folder + "/" + name) }
        for name in ["a", "b", "c", "d", "e", ""] { rmdir(folder + "/" + name) }
    }
}

private func processorTime() -> Double {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
    return Double(seconds) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
}

private func residentKiB() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
    let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
        separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * Int(getpagesize()) / 1024 : 0
}
