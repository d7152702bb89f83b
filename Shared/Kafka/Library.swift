import CKafka

/// The librdkafka this program was loaded with.
public enum Library {
    /// Major, minor, revision.
    public static var version: String { rd_kafka_version_str().map { String(cString: $0) } ?? "unknown" }

    /// 2.0.2 (Debian 12) skips the tagged fields of newer protocol versions wrongly, fixed in 2.2.0: against a modern
    /// broker it fails in ways that look like anything but this.
    static let versionMin: Int32 = 0x0202_0000

    /// - Throws: ``LibraryTooOld``. Every client of this module checks before it starts.
    public static func check() throws(LibraryTooOld) {
        try check(rd_kafka_version(), version)
    }

    static func check(_ number: Int32, _ version: String) throws(LibraryTooOld) {
        guard number >= versionMin else { throw LibraryTooOld(version: version) }
    }
}

public struct LibraryTooOld: Error, Sendable, CustomStringConvertible {
    public let version: String
    public var description: String {
        "librdkafka \(version) is too old: at least 2.2.0 is needed (older ones misread modern brokers' answers); "
            + "put a newer librdkafka.so.1 on the library path"
    }
}
