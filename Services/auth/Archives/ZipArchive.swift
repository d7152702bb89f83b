import CArchive
import Glibc

/// Writes a ZIP archive front to back, so that only what has not been taken out yet is in memory and no file is needed.
///
/// `@unchecked Sendable`: its owner calls one method at a time; libarchive's handle is bound to no thread.
public final class ZipArchive: @unchecked Sendable {
    /// libarchive refused; its own words.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    private let archive: OpaquePointer
    private let output: Output
    private var isClosed = false

    /// Bytes on their way out of the library.
    private final class Output {
        var bytes: [UInt8] = []
    }

    public init() throws(Failure) {
        guard let archive = archive_write_new() else { throw Failure(description: "no memory for an archive") }
        self.archive = archive
        output = Output()
        archive_write_set_format_zip(archive)
        // No padding after the last byte.
        archive_write_set_bytes_in_last_block(archive, 1)
        try check(
            archive_write_open2(
                archive, Unmanaged.passUnretained(output).toOpaque(), nil,
                { _, context, bytes, count in
                    guard let context, let bytes else { return -1 }
                    let output = Unmanaged<Output>.fromOpaque(context).takeUnretainedValue()
                    output.bytes.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
                    return count
                }, nil, nil))
    }

    deinit {
        // What is flushed now goes nowhere, but `output` still lives.
        archive_write_free(archive)
    }

    /// Begins a file; its length need not be known.
    public func begin(_ name: String, at seconds: Int64) throws(Failure) {
        guard let entry = archive_entry_new() else { throw Failure(description: "no memory for an entry") }
        defer { archive_entry_free(entry) }
        archive_entry_set_pathname(entry, name)
        archive_entry_set_filetype(entry, 0o100000)
        archive_entry_set_perm(entry, 0o600)
        archive_entry_set_mtime(entry, time_t(seconds), 0)
        archive_entry_unset_size(entry)
        try check(archive_write_header(archive, entry))
    }

    public func write(_ bytes: [UInt8]) throws(Failure) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                archive_write_data(archive, $0.baseAddress.map { $0 + sent }, bytes.count - sent)
            }
            guard count > 0 else { throw failure() }
            sent += count
        }
    }

    /// Ends the file begun last.
    public func end() throws(Failure) { try check(archive_write_finish_entry(archive)) }

    /// Writes the directory; nothing can be added afterwards.
    public func close() throws(Failure) {
        guard !isClosed else { return }
        isClosed = true
        try check(archive_write_close(archive))
    }

    /// How many bytes wait to be taken.
    public var waiting: Int { output.bytes.count }

    /// The bytes since they were last taken.
    public func take() -> [UInt8] {
        defer { output.bytes.removeAll() }
        return output.bytes
    }

    private func check(_ code: Int32) throws(Failure) {
        guard code == ARCHIVE_OK || code == ARCHIVE_WARN else { throw failure() }
    }

    private func failure() -> Failure {
        Failure(
            description: archive_error_string(archive).map { String(cString: $0) } ?? "the archive cannot be written")
    }
}
