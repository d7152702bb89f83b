import Glibc
import Shared

/// A directory of assets, read once at start and served from memory. Only what was found then can be asked for, so no
/// path leads out of it.
public struct StaticFiles: Sendable {
    struct File: Sendable {
        let bytes: [UInt8]
        let type: String
        let etag: ETag
    }

    /// Why a directory cannot be served.
    public enum Failure: Error, Sendable {
        case unreadable(path: String)
        case tooLarge(max: Int)
    }

    private let files: [String: File]

    /// Reads every regular file below the directory; names that begin with a dot and symbolic links are left out.
    /// - Parameter bytesMax: of all files together: they stay in memory for good.
    public init(directory: String, bytesMax: Int = 64 << 20) throws(Failure) {
        var found: [String: File] = [:]
        var left = bytesMax
        try StaticFiles.read(directory, "", &found, &left, bytesMax)
        files = found
    }

    /// Files made by the program itself, by path.
    public init(_ contents: [String: [UInt8]]) {
        files = contents.reduce(into: [:]) { files, entry in
            files[entry.key] = StaticFiles.file(entry.key, entry.value)
        }
    }

    /// Paths relative to the directory, sorted.
    public var paths: [String] { files.keys.sorted() }

    /// The same files with some changed or added: for text that must be cut before it is served.
    public func replacing(_ path: String, _ change: ([UInt8]) -> [UInt8]) -> StaticFiles {
        var contents = files.mapValues(\.bytes)
        if let bytes = contents[path] { contents[path] = change(bytes) }
        return StaticFiles(contents)
    }

    public func contents(_ path: String) -> [UInt8]? { files[path]?.bytes }

    /// The file at the path; "" and paths that end in a slash mean `index.html` there. nil when there is none.
    /// - Parameter maxAge: how long a browser may use it without asking.
    public func response(_ path: String, _ request: Request, maxAge: Duration = .seconds(3600)) -> Response? {
        let name = path.isEmpty || path.hasSuffix("/") ? path + "index.html" : path
        guard let file = files[name] else { return nil }
        var response = Response.bytes(type: file.type, file.bytes)
        response.headers.add("Cache-Control", "public, max-age=\(maxAge.components.seconds)")
        return response.conditional(request, etag: file.etag)
    }

    /// A route that serves everything below the prefix.
    public func route(_ prefix: String, _ summary: String, maxAge: Duration = .seconds(3600)) -> Route {
        Route.get(
            "\(prefix)/{file*}", summary, tag: "assets", family: .plain, access: .everyone, limit: .none,
            returns: [200: nil, 304: nil, 404: nil], produces: "application/octet-stream"
        ) { request in
            guard let response = response(request.parameter("file"), request, maxAge: maxAge) else {
                throw Problem.notFound(.notFound, "There is no such file.")
            }
            return response
        }
    }

    // MARK: - Reading

    private static func read(
        _ directory: String, _ prefix: String, _ found: inout [String: File], _ left: inout Int, _ max: Int
    ) throws(Failure) {
        guard let entries = opendir(directory) else { throw .unreadable(path: directory) }
        defer { closedir(entries) }
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            let path = "\(directory)/\(name)"
            var info = stat()
            guard lstat(path, &info) == 0 else { throw .unreadable(path: path) }
            switch info.st_mode & S_IFMT {
            case S_IFDIR: try read(path, prefix + name + "/", &found, &left, max)
            case S_IFREG:
                left -= Int(info.st_size)
                if left < 0 { throw .tooLarge(max: max) }
                found[prefix + name] = file(name, try contents(of: path, Int(info.st_size)))
            default: continue
            }
        }
    }

    private static func contents(of path: String, _ size: Int) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path: path) }
        defer { close(descriptor) }
        var isWhole = true
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
                guard got > 0 else {
                    isWhole = got == 0
                    return
                }
                count += got
            }
        }
        guard isWhole else { throw .unreadable(path: path) }
        return bytes
    }

    private static func file(_ name: String, _ bytes: [UInt8]) -> File {
        let tag = Digest.base64URL(Array(Digest.sha256(bytes).prefix(16)))
        return File(bytes: bytes, type: type(of: name), etag: .strong(tag))
    }

    /// By the name's ending. Text is UTF-8: browsers guess otherwise.
    static func type(of name: String) -> String {
        let ending = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
        return types[ending] ?? "application/octet-stream"
    }

    private static let types: [String: String] = [
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
        "mjs": "text/javascript; charset=utf-8", "json": "application/json", "map": "application/json",
        "txt": "text/plain; charset=utf-8", "md": "text/markdown; charset=utf-8", "xml": "application/xml",
        "svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
        "webp": "image/webp", "ico": "image/x-icon", "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf",
        "pdf": "application/pdf", "wasm": "application/wasm", "mp3": "audio/mpeg", "wav": "audio/wav",
    ]
}
