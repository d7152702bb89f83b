import CArgon2
import Runtime

/// Argon2id hashes of passwords, made and checked off the event loops in a pool of their own, so that a flood of log-ins
/// slows nothing but log-ins.
///
/// Parameters after the OWASP recommendation: 19 MiB, two passes, one lane (about 31 ms on one core).
public struct Passwords: Sendable {
    /// The PHC string of a hash, `$argon2id$v=19$…`; what the database keeps.
    public struct Hash: Sendable, Equatable {
        public let text: String
        public init(text: String) { self.text = text }
    }

    static let memoryKiB: UInt32 = 19_456
    static let passes: UInt32 = 2
    static let lanes: UInt32 = 1
    static let saltBytes = 16
    static let hashBytes = 32

    private let pool: Blocking
    private let salt: @Sendable (Int) -> [UInt8]
    /// What an unknown user's password is checked against, so that the answer takes as long as a known one's.
    private let nobody: Hash

    /// - Parameters:
    ///   - pool: one thread per core at most: more would only make each log-in slower.
    ///   - salt: that many random bytes.
    public init(pool: Blocking, salt: @escaping @Sendable (Int) -> [UInt8]) throws {
        self.pool = pool
        self.salt = salt
        nobody = try Self.make("nobody has this password", salt: salt(Self.saltBytes))
    }

    /// - Throws: ``Blocking/Full`` when more log-ins wait than the pool takes; ``Failure`` when memory is short.
    public func hash(_ password: String) async throws -> Hash {
        let salt = salt(Self.saltBytes)
        return try await pool.run { try Self.make(password, salt: salt) }
    }

    /// Whether the password is the one behind the hash. With `nil` (an unknown user) it takes the same time and is false.
    public func matches(_ password: String, _ hash: Hash?) async throws -> Bool {
        let known = hash ?? nobody
        let same = try await pool.run { Self.verify(password, known) }
        return same && hash != nil
    }

    /// Argon2 refused; the code is libargon2's.
    public struct Failure: Error, Sendable {
        public let code: Int32
    }

    static func make(_ password: String, salt: [UInt8]) throws(Failure) -> Hash {
        let bytes = Array(password.utf8)
        let length = argon2_encodedlen(
            passes, memoryKiB, lanes, UInt32(salt.count), UInt32(hashBytes), Argon2_id)
        var encoded = [CChar](repeating: 0, count: length)
        let code = argon2id_hash_encoded(
            passes, memoryKiB, lanes, bytes, bytes.count, salt, salt.count, hashBytes, &encoded, length)
        guard code == ARGON2_OK.rawValue else { throw Failure(code: code) }
        return Hash(text: String(decoding: encoded.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    static func verify(_ password: String, _ hash: Hash) -> Bool {
        let bytes = Array(password.utf8)
        return argon2id_verify(hash.text, bytes, bytes.count) == ARGON2_OK.rawValue
    }
}
