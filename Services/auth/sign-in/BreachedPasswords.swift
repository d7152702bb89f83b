import Glibc
import Runtime
import Shared

/// A file of passwords that have leaked, as SHA-1 in hexadecimal, one a line and sorted; what follows a colon is passed
/// over, so the "ordered by hash" list of Have I Been Pwned can be used as it is, and so can one of prefixes (ten digits
/// or more). Looked up by halving: some 35 short reads in 40 GB.
///
/// `@unchecked Sendable`: the descriptor is only read at given places, which any number of threads may do.
final class BreachedPasswords: @unchecked Sendable {
    private let descriptor: Int32
    private let size: Int
    private let pool = Blocking(threads: 2, queueMax: 256)

    private static let lineMax = 128
    private static let digitsMin = 10

    struct Unusable: Error, CustomStringConvertible {
        let path: String
        let reason: String
        var description: String { "the list of breached passwords \(path) \(reason)" }
    }

    init(path: String) throws(Unusable) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unusable(path: path, reason: "cannot be read") }
        var status = stat()
        fstat(descriptor, &status)
        size = Int(status.st_size)
        guard let first = line(after: 0)?.digits else {
            throw Unusable(path: path, reason: "does not begin with a line of hexadecimal SHA-1")
        }
        guard line(after: size / 2).map({ !$0.digits.lexicographicallyPrecedes(first) }) ?? true
        else { throw Unusable(path: path, reason: "is not sorted") }
    }

    deinit { close(descriptor) }

    func contains(_ password: String) async throws -> Bool {
        let hash = Array(Digest.hex(Digest.sha1(Array(password.utf8))).uppercased().utf8)
        return try await pool.run { self.find(hash) }
    }

    /// The first line whose hash is not below the wanted one is it, or nothing is.
    private func find(_ hash: [UInt8]) -> Bool {
        var low = 0
        var high = size
        while low < high {
            let middle = (low + high) / 2
            guard let line = line(after: middle) else {
                high = middle
                continue
            }
            let wanted = hash.prefix(line.digits.count)
            if line.digits[...] == wanted { return true }
            if line.digits.lexicographicallyPrecedes(wanted) { low = line.end } else { high = middle }
        }
        return false
    }

    /// The first whole line that begins at or after `place`; the file's first line begins at 0.
    private func line(after place: Int) -> (digits: [UInt8], end: Int)? {
        var bytes = [UInt8](repeating: 0, count: 2 * Self.lineMax)
        // One byte earlier: a line that begins just here is told by the line end before it.
        let from = max(0, place - 1)
        let count = pread(descriptor, &bytes, bytes.count, off_t(from))
        guard count > 0 else { return nil }
        var start = 0
        if place > 0 {
            guard let end = bytes[..<count].firstIndex(of: 0x0A) else { return nil }
            start = end + 1
        }
        guard start < count else { return nil }
        let end = bytes[start..<count].firstIndex(of: 0x0A) ?? count
        let digits = bytes[start..<end].prefix { $0 != 0x3A && $0 > 0x20 }.map { $0 >= 0x61 ? $0 & 0xDF : $0 }
        guard (Self.digitsMin...40).contains(digits.count),
            digits.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) })
        else { return nil }
        return (digits, from + end + 1)
    }
}
