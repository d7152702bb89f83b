import CZip

/// The parts of a DOCX, unpacked within limits that are checked while bytes come out, not only against what the archive
/// says of itself.
final class Archive {
    private let handle: OpaquePointer
    private let limits: DocumentLimits
    /// Kept as long as the archive reads from it.
    private let bytes: UnsafeMutableRawBufferPointer

    init(_ file: [UInt8], _ limits: DocumentLimits) throws(Unreadable) {
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: file.count, alignment: 1)
        bytes.copyBytes(from: file)
        var error = zip_error_t()
        zip_error_init(&error)
        defer { zip_error_fini(&error) }
        guard let source = zip_source_buffer_create(bytes.baseAddress, zip_uint64_t(bytes.count), 0, &error) else {
            bytes.deallocate()
            throw Unreadable("is a broken archive")
        }
        guard let handle = zip_open_from_source(source, ZIP_RDONLY, &error) else {
            zip_source_free(source)
            bytes.deallocate()
            throw Unreadable("is a broken or truncated archive")
        }
        self.handle = handle
        self.limits = limits
        let count = Int(zip_get_num_entries(handle, 0))
        guard count <= limits.entriesMax else {
            throw Unreadable("has \(count) parts, more than \(limits.entriesMax)")
        }
    }

    deinit {
        zip_discard(handle)
        bytes.deallocate()
    }

    func has(_ name: String) -> Bool { zip_name_locate(handle, name, 0) >= 0 }

    /// A part's bytes; nil when there is none of that name.
    func part(_ name: String) throws(Unreadable) -> [UInt8]? {
        var about = zip_stat_t()
        zip_stat_init(&about)
        guard zip_stat(handle, name, 0, &about) == 0 else { return nil }
        guard about.encryption_method == UInt16(ZIP_EM_NONE) else {
            throw Unreadable("is encrypted; upload it without a password")
        }
        let most = min(limits.expandedMax, max(Int(about.comp_size) * limits.ratioMax, 1 << 20))
        guard about.size <= UInt64(most) else { throw Unreadable("unpacks to far more than a document has") }
        guard let entry = zip_fopen(handle, name, 0) else { throw Unreadable("is a broken or truncated archive") }
        defer { zip_fclose(entry) }
        var whole: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = piece.withUnsafeMutableBytes { zip_fread(entry, $0.baseAddress, zip_uint64_t($0.count)) }
            guard count >= 0 else { throw Unreadable("is a broken or truncated archive") }
            if count == 0 { return whole }
            whole += piece[..<Int(count)]
            guard whole.count <= most else { throw Unreadable("unpacks to far more than a document has") }
        }
    }
}
