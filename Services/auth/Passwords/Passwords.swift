import CArgon2
import Runtime

/// Argon2id hashes of passwords, made and checked by processes of their own (``Companions``), so that a flood of log-ins
/// slows nothing but log-ins.
///
/// Of the parameters OWASP calls equal those that move the least memory: 7 MiB, five passes, one lane (about 13 ms on one
/// core). 19 MiB empty the cache that everybody else computes in (decision 0027).
public struct Passwords: Sendable {
    /// The PHC string of a hash, `$argon2id$v=19$…`; what the database keeps.
    public struct Hash: Sendable, Equatable {
        public let text: String
        public init(text: String) { self.text = text }
    }

    static let memoryKiB: UInt32 = 7_168
    static let passes: UInt32 = 5
    static let lanes: UInt32 = 1
    static let saltBytes = 16
    static let hashBytes = 32

    private let companions: Companions
    private let salt: @Sendable (Int) -> [UInt8]
    /// What an unknown user's password is checked against, so that the answer takes as long as a known one's.
    private let nobody: Hash

    /// How long one may take where everybody else comes first; without others it is a hundredth of that.
    private static let timeMax: Duration = .seconds(20)

    /// - Parameters:
    ///   - pool: one process for each of its threads; fewer than there are cores, or everybody waits for log-ins.
    ///   - program: whose command `hash` computes; this very program in service.
    ///   - salt: that many random bytes.
    public init(
        pool: Blocking, program: String = "/proc/self/exe", salt: @escaping @Sendable (Int) -> [UInt8]
    ) throws {
        companions = Companions(path: program, command: "hash", pool: pool, timeMax: Self.timeMax)
        self.salt = salt
        nobody = try Self.make("nobody has this password", salt: salt(Self.saltBytes))
    }

    /// - Throws: ``Blocking/Full`` when more log-ins wait than the pool takes; ``Failure`` when memory is short.
    public func hash(_ password: String) async throws -> Hash {
        let answer = try await companions.ask(Work.make(salt: salt(Self.saltBytes), password).bytes)
        guard let text = String(validating: answer, as: UTF8.self), text.hasPrefix("$argon2id$") else {
            throw Failure(code: answer.first.map { Int32(Int8(bitPattern: $0)) } ?? 0)
        }
        return Hash(text: text)
    }

    /// Whether the password is the one behind the hash. With `nil` (an unknown user) it takes the same time and is false.
    public func matches(_ password: String, _ hash: Hash?) async throws -> Bool {
        let known = hash ?? nobody
        let same = try await companions.ask(Work.verify(known, password).bytes)
        return same == [1] && hash != nil
    }

    /// Argon2 refused; the code is libargon2's.
    public struct Failure: Error, Sendable {
        public let code: Int32
    }

    /// The command `hash`: computes what ``Passwords`` of another process asks for, until it is gone.
    public static func compute() {
        Companions.serve { request in
            switch Work(request) {
            case .make(let salt, let password):
                do throws(Failure) {
                    return Array(try make(password, salt: salt).text.utf8)
                } catch {
                    return [UInt8(bitPattern: Int8(truncatingIfNeeded: error.code))]
                }
            case .verify(let hash, let password): return [verify(password, hash) ? 1 : 0]
            case nil: return []
            }
        }
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

/// What is asked of a companion: a letter, the length of the first part in two bytes, the first part, the password.
enum Work: Equatable {
    case make(salt: [UInt8], _ password: String)
    case verify(Passwords.Hash, _ password: String)

    var bytes: [UInt8] {
        let (letter, first, password): (Character, [UInt8], String) =
            switch self {
            case .make(let salt, let password): ("m", salt, password)
            case .verify(let hash, let password): ("v", Array(hash.text.utf8), password)
            }
        let length = [UInt8(truncatingIfNeeded: first.count >> 8), UInt8(truncatingIfNeeded: first.count)]
        return Array(letter.utf8) + length + first + password.utf8
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 3 else { return nil }
        let end = 3 + (Int(bytes[1]) << 8 | Int(bytes[2]))
        guard end <= bytes.count else { return nil }
        let first = bytes[3..<end]
        let password = String(decoding: bytes[end...], as: UTF8.self)
        switch bytes[0] {
        case UInt8(ascii: "m"): self = .make(salt: Array(first), password)
        case UInt8(ascii: "v"): self = .verify(Passwords.Hash(text: String(decoding: first, as: UTF8.self)), password)
        default: return nil
        }
    }
}
