import Passwords
import Runtime
import Shared

/// The program's own binary, for what it does in other processes.
let authProgram = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 } + "/.build/debug/auth"

extension Passwords {
    /// Hashed as in service, by processes of the built program.
    static func ofTest(threads: Int = 2) throws -> Passwords {
        try Passwords(pool: Blocking(threads: threads, queueMax: 64), program: authProgram) { Digest.randomBytes($0) }
    }
}
