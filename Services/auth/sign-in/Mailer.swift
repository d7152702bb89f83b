import Glibc
import HTTP
import Postgres
import Runtime
import Shared

/// Sends the mails that wait, each at least once, and tries again for as long as they are of use.
final class Mailer: Component {
    /// Where mails go.
    enum Way: Sendable {
        case server(MailServer)
        /// A folder as mail programs know it: https://cr.yp.to/proto/maildir.html
        case folder(Maildir)
        /// Neither is set: they wait until one is, or until they are of no use.
        case none
    }

    let name = "mailer"
    private let accounts: Accounts
    private let way: Way
    private let from: MailMessage.Sender?
    private let log: Log
    private let work = Guarded<Task<Void, Never>?>(nil)
    private let sent = Metrics.shared.counter("switchboard_mails_sent_total", "Mails the mail server has taken.")
    private let failed = Metrics.shared.counter("switchboard_mails_failed_total", "Tries that failed.")

    /// Longer than the longest dialogue with the server: if this program dies in one, the mail waits no longer.
    private static let lease: Duration = .seconds(60)
    private static let lookEvery: Duration = .seconds(1)

    init(_ accounts: Accounts, way: Way, from: MailMessage.Sender?, log: Log) {
        self.accounts = accounts
        self.way = way
        self.from = from
        self.log = log
    }

    func start(on group: EventLoopGroup) async throws {
        if case .none = way {
            log.warn("mail.nowhere", ("remedy", "set EMAIL_HOST or EMAIL_MAILDIR; mails wait until then"))
            return
        }
        let loop = group.loops[0]
        let task = loop.spawn("mailer") { await self.run() }
        work.withLock { $0 = task }
    }

    func stop(deadline: Duration) async {
        let task = work.withLock { $0 }
        task?.cancel()
        // A mail that is being handed over is taken or not before the program ends.
        await task?.value
    }

    private func run() async {
        let rung = Signal()
        let loop = EventLoop.required()
        let bell = Bell(rung)
        accounts.mailBell.onRing { loop.execute { bell.signal.fire() } }
        var failures = 0
        while !Task.isCancelled {
            do {
                while try await sendSome() > 0 {}
                failures = 0
            } catch is CancellationError {
                return
            } catch {
                failures += 1
                log.warn("mail.not_read", ("error", "\(error)"))
            }
            let pause = failures == 0 ? Self.lookEvery : Retry.forever.delay(after: failures)
            do { try await withDeadline(pause) { try await rung.wait() } } catch is DeadlineExceeded {} catch { return }
        }
    }

    /// `@unchecked Sendable`: the signal is only touched on the mailer's loop, where the closure that carries it runs.
    private final class Bell: @unchecked Sendable {
        let signal: Signal
        init(_ signal: Signal) { self.signal = signal }
    }

    /// How many were tried.
    func sendSome() async throws -> Int {
        let database = accounts.database
        let due = try await MailStore.take(max: 1, for: Self.lease, database)
        for each in due {
            guard let from, let message = accounts.open(each, from: from) else {
                log.error(
                    "mail.unreadable", ("mail", "\(each.id.text)"), ("remedy", "it was sealed with another SECRET_KEY"))
                try await MailStore.done(each.id, database)
                continue
            }
            do {
                switch way {
                case .server(let server): try await server.send(message)
                case .folder(let folder): try await folder.put(message)
                case .none: return 0
                }
                sent.add()
                try await MailStore.done(each.id, database)
            } catch let error as MailError where error.isFinal {
                failed.add()
                log.warn("mail.refused", ("mail", "\(each.id.text)"), ("error", "\(error)"))
                try await MailStore.done(each.id, database)
            } catch is CancellationError {
                try await MailStore.later(each.id, at: .now(), database)
                throw CancellationError()
            } catch {
                failed.add()
                let wait = Self.wait(after: each.attempts)
                log.warn(
                    "mail.not_sent", ("mail", "\(each.id.text)"), ("attempts", .int(each.attempts)),
                    ("seconds", .int(wait.components.seconds)), ("error", "\(error)"))
                try await MailStore.later(each.id, at: .now() + wait, database)
            }
        }
        return due.count
    }

    /// 5 s, doubled up to ten minutes: a mail server that is restarted is back soon, and links live for an hour.
    static func wait(after attempts: Int) -> Duration {
        min(.seconds(5 << min(max(attempts - 1, 0), 10)), .seconds(600))
    }
}

/// A folder of mails, one file each.
struct Maildir: Sendable {
    let path: String
    private let pool = Blocking(threads: 1, queueMax: 64)

    init(path: String) { self.path = path }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Whole or not at all: written under `tmp`, then moved to `new`.
    func put(_ message: MailMessage) async throws {
        try await pool.run { try write(message) }
    }

    private func write(_ message: MailMessage) throws(Failure) {
        for folder in ["", "/tmp", "/new", "/cur"] where mkdir(path + folder, 0o700) != 0 && errno != EEXIST {
            throw Failure(description: "the folder \(path)\(folder) cannot be made (errno \(errno))")
        }
        // The id makes a second try replace the first.
        let name = "\(message.date.seconds).\(message.id).switchboard"
        let descriptor = open("\(path)/tmp/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(description: "no file can be made in \(path)/tmp (errno \(errno))") }
        // Files keep plain line ends, as mail programs expect.
        let bytes = message.bytes.filter { $0 != 0x0D }
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        let isSafe = written == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isSafe, rename("\(path)/tmp/\(name)", "\(path)/new/\(name)") == 0 else {
            throw Failure(description: "the mail could not be written below \(path) (errno \(errno))")
        }
    }
}
