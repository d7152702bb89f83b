import Glibc
import HTTP
import Runtime
import Shared
import Testing

/// A directory of its own below the system's temporary one, gone with the test.
private final class Directory {
    let path: String

    init() throws {
        var template = Array("/tmp/switchboard-static-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no temporary directory") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func write(_ name: String, _ text: String) throws {
        guard let file = fopen("\(path)/\(name)", "w") else { throw Failure("cannot write \(name)") }
        fputs(text, file)
        fclose(file)
    }

    func make(_ name: String) { mkdir("\(path)/\(name)", 0o755) }

    deinit {
        for name in ["index.html", "app.js", "sub/style.css", "sub/.hidden", ".env", "link.txt", "empty.txt"] {
            unlink("\(path)/\(name)")
        }
        rmdir("\(path)/sub")
        rmdir(path)
    }
}

@Suite struct StaticTests {
    private let directory: Directory
    private let client: TestClient
    private let files: StaticFiles

    init() throws {
        directory = try Directory()
        directory.make("sub")
        try directory.write("index.html", "<p>Grüße</p>")
        try directory.write("app.js", "let a = 1")
        try directory.write("sub/style.css", "p {}")
        try directory.write("sub/.hidden", "no")
        try directory.write(".env", "SECRET=1")
        try directory.write("empty.txt", "")
        symlink("/etc/passwd", "\(directory.path)/link.txt")
        files = try StaticFiles(directory: directory.path)
        client = TestClient(router([files.route("/assets", "Assets", maxAge: .seconds(60))]))
    }

    @Test(arguments: [
        ("/assets/app.js", "text/javascript; charset=utf-8", "let a = 1"),
        ("/assets/sub/style.css", "text/css; charset=utf-8", "p {}"),
        ("/assets/index.html", "text/html; charset=utf-8", "<p>Grüße</p>"),
        ("/assets/", "text/html; charset=utf-8", "<p>Grüße</p>"),
        ("/assets", "text/html; charset=utf-8", "<p>Grüße</p>"),
        ("/assets/empty.txt", "text/plain; charset=utf-8", ""),
    ])
    func `a file is served with its type`(_ path: String, _ type: String, _ text: String) async throws {
        let response = await client.get(path)
        #expect(response.status == 200)
        #expect(response.headers["Content-Type"] == type)
        #expect(response.headers["Cache-Control"] == "public, max-age=60")
        #expect(response.headers["X-Content-Type-Options"] == "nosniff")
        #expect(response.text == text)
    }

    @Test(arguments: [
        "/assets/../../etc/passwd", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/..%2f..%2fetc%2fpasswd",
        "/assets/sub/../app.js", "/assets//etc/passwd", "/assets/.env", "/assets/sub/.hidden", "/assets/link.txt",
        "/assets/nothing.js", "/assets/sub", "/assets/app.js/", "/assets/app.js%00",
    ])
    func `nothing else can be had`(_ path: String) async throws {
        #expect(await client.get(path).status == 404)
    }

    @Test func `a browser that has it is told so`() async throws {
        let tag = try #require(await client.get("/assets/app.js").headers["ETag"])
        #expect(tag.hasPrefix("\""))
        let again = await client.get("/assets/app.js", headers: ["If-None-Match": tag])
        #expect(again.status == 304)
        #expect(again.headers["Cache-Control"] == "public, max-age=60")
        #expect(await client.get("/assets/index.html", headers: ["If-None-Match": tag]).status == 200)
    }

    @Test func `what is read has a limit, and a directory must exist`() throws {
        #expect(throws: StaticFiles.Failure.self) { try StaticFiles(directory: directory.path, bytesMax: 10) }
        #expect(throws: StaticFiles.Failure.self) { try StaticFiles(directory: directory.path + "/nothing") }
        #expect(files.paths == ["app.js", "empty.txt", "index.html", "sub/style.css"])
    }

    @Test func `text can be cut before it is served`() throws {
        let changed = files.replacing("app.js") { _ in Array("cut".utf8) }
        let request = Request(.get, "/x")
        let response = try #require(changed.response("app.js", request))
        #expect(response.headers["ETag"] != files.response("app.js", request)?.headers["ETag"])
        #expect(changed.contents("app.js") == Array("cut".utf8))
    }
}
