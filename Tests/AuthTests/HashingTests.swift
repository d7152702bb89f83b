import Foundation
import Glibc
import Shared
import TestSupport
import Testing

@testable import Passwords
@testable import Runtime

@Suite struct HashingTests {
    @Test func `what is asked of a companion is read as it was written`() {
        for work in [
            Work.make(salt: [0, 1, 255], "pass word"), .verify(.init(text: "$argon2id$v=19$…"), "ünï\n"),
            .make(salt: [], ""),
        ] {
            #expect(Work(work.bytes) == work)
        }
        #expect(Work([]) == nil && Work([0x6D, 0, 9, 1]) == nil && Work([0x78, 0, 0]) == nil)
    }

    @Test func `a password matches its hash, and no other, and nobody's never`() async throws {
        try await onLoop {
            let passwords = try Passwords.ofTest()
            let hash = try await passwords.hash("correct horse")
            #expect(hash.text.hasPrefix("$argon2id$v=19$m=7168,t=5,p=1$"))
            #expect(try await passwords.matches("correct horse", hash))
            #expect(try await !passwords.matches("correct horse ", hash))
            #expect(try await !passwords.matches("nobody has this password", nil))
            #expect(Passwords.verify("correct horse", hash), "any other program reads it too")
        }
    }

    @Test func `a companion is kept, comes after everybody else, and is replaced when it dies`() async throws {
        try await onLoop {
            let companions = Companions(
                path: authProgram, command: "hash", pool: Blocking(threads: 1, queueMax: 1), timeMax: .seconds(60))
            let work = Work.make(salt: Array(repeating: 7, count: 16), "a").bytes
            let answer = try await companions.ask(work)
            let first = try #require(companions.resting.first)
            #expect(try await companions.ask(work) == answer)
            #expect(companions.resting == [first])
            #expect(getsid(first) == first, "a session of its own")
            kill(first, SIGKILL)
            #expect(try await companions.ask(work) == answer)
            #expect(companions.resting.count == 1 && companions.resting != [first])
        }
    }

    @Test func `while every core has something else to do, a companion steps aside`() async throws {
        try await onLoop {
            let companions = Companions(
                path: authProgram, command: "hash", pool: Blocking(threads: 1, queueMax: 1), timeMax: .seconds(60))
            let work = Work.make(salt: Array(repeating: 7, count: 16), "a").bytes
            _ = try await companions.ask(work)
            let companion = try #require(companions.resting.first)
            let before = try Self.waits(of: companion)
            let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            let (busy, seen) = (Blocking(threads: cores, queueMax: cores), Tally())
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<cores { group.addTask { try await busy.run { while seen.count == 0 {} } } }
                group.addTask { _ = try await companions.ask(work) }
                // Whatever else hashes meanwhile gets hardly a core either, so no longer than it takes to be seen.
                defer { seen.add() }
                // Reading what it is asked is one or two.
                try await eventually("stepping aside") { try Self.waits(of: companion) - before > 5 }
            }
        }
    }

    /// How often its threads have let go of their core by themselves.
    private static func waits(of process: pid_t) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").map { thread in
            let status = try String(contentsOfFile: "/proc/\(process)/task/\(thread)/status", encoding: .utf8)
            let line = status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") }
            return line?.split(separator: "\t").last.flatMap { Int($0) } ?? 0
        }.reduce(0, +)
    }

    @Test func `one that answers nothing is given up in time`() async throws {
        try await onLoop {
            let deaf = Companions(
                path: "/bin/sleep", command: "60", pool: Blocking(threads: 1, queueMax: 1), timeMax: .milliseconds(50))
            await #expect(throws: Worker.Failure.timeout) { _ = try await deaf.ask([1]) }
            #expect(deaf.resting.isEmpty)
        }
    }
}
