import Testing

/// Each rule finds what it forbids, and leaves alone what looks like it.
@Suite struct RuleTests {
    // MARK: Taking sources apart

    @Test func `texts, comments and code are told apart`() {
        let text = SwiftText(
            ####"""
            // one "quoted"
            let a = "two // no comment \(b + "three")" /* four /* nested */ still */ + c
            let d = """
                five "quoted" \(e)
                """
            let f = ##"six \(g) "# \##(h)"##
            """####)
        #expect(text.comments.map(\.text) == ["// one \"quoted\"", "/* four /* nested */ still */"])
        let texts = text.texts.map { $0.text.split { $0 == " " || $0 == "\n" }.joined(separator: " ") }
        #expect(texts == ["three", "two // no comment", "five \"quoted\"", "six \\(g) \"#"])
        let words = text.tokens.map(\.text)
        #expect(["a", "b", "c", "d", "e", "f", "h"].allSatisfy(words.contains))
        #expect(!words.contains("g") && !words.contains("comment") && !words.contains("nested"))
        #expect(text.tokens.first { $0.text == "c" }?.line == 2)
        #expect(text.tokens.first { $0.text == "f" }?.line == 6)
    }

    // MARK: Arrows

    @Test(arguments: [
        ("Shared/Shared/JSON/JSON.swift", "import Runtime"),
        ("Shared/Runtime/Log.swift", "import HTTP"),
        ("Shared/Kafka/Topics.swift", "import CLinux"),
        ("Shared/Messaging/Relay.swift", "@testable import Access"),
        ("Services/billing/Plans.swift", "import Passwords"),
        ("Services/billing/Plans.swift", "import Auth"),
        ("Services/telephony/calls/Call.swift", "import CPostgres"),
        ("Services/auth/Passwords/Hash.swift", "import Postgres"),
        ("Gateway/Forward.swift", "import Postgres"),
        ("Gateway/Forward.swift", "import struct Foundation.Date"),
        ("Shared/Novel/Novel.swift", "import Shared"),
    ])
    func `an import against the arrows is found`(path: String, content: String) {
        #expect(Arrows.check([Source(path, content)]).count == 1)
    }

    @Test func `imports along the arrows are left alone`() {
        let sources = [
            Source(
                "Shared/Runtime/Log.swift",
                "import CLinux\nimport Glibc\nimport Shared\n// import HTTP\nlet a = \"import Kafka\""),
            Source("Services/auth/LogIn.swift", "import Passwords\nimport Postgres"),
            Source("Tests/FlowTests/Flow.swift", "import Foundation"),
        ]
        #expect(Arrows.check(sources).isEmpty)
    }

    @Test func `a C module imported twice is found`() {
        let sources = [
            Source("Shared/HTTP/TLS.swift", "import CTLS"), Source("Shared/Shared/Crypto/Digest.swift", "import CTLS"),
        ]
        #expect(Arrows.check(sources).contains { $0.text.contains("more than one module: HTTP, Shared") })
    }

    // MARK: Places

    @Test(arguments: [
        #"query("SELECT 1")"#, #"let a: Query = "INSERT INTO calls VALUES (\(id))""#,
        #""UPDATE calls SET status = \(s)""#,
        "\"\"\"\n DELETE FROM calls\n \"\"\"", #"let part: Query = "WHERE id = \(id)""#,
    ])
    func `SQL in a use case is found, and not in a store`(content: String) {
        #expect(Places.sql(Source("Services/telephony/calls/EndCall.swift", content)).count == 1)
        #expect(Places.sql(Source("Shared/Program/Program.swift", content)).count == 1)
        for path in [
            "Services/telephony/calls/CallStore.swift", "Services/telephony/calls/ReadCalls.swift",
            "Shared/Messaging/Schema.swift",
        ] {
            #expect(Places.sql(Source(path, content)).isEmpty)
        }
    }

    @Test func `words that are no SQL are left alone`() {
        let content =
            #"// SELECT in a comment"# + "\n" + #"let a = "Select a plan", b = "DELETE", c = "update it", d = "FROM""#
        #expect(Places.sql(Source("Services/telephony/calls/EndCall.swift", content)).isEmpty)
    }

    @Test(arguments: [
        #"let a = getenv("PORT")"#, "let a = Environment.variables", #"let a = settings.string("PORT")"#,
        #"let a = ProcessInfo.processInfo"#,
    ])
    func `reading the environment is found outside a service file`(content: String) {
        #expect(Places.environment(Source("Services/auth/LogIn.swift", content)).count == 1)
        #expect(Places.environment(Source("Services/auth/AuthService.swift", content)).isEmpty)
        #expect(Places.environment(Source("Shared/Runtime/Settings.swift", content)).isEmpty)
    }

    @Test func `other things with the same names are left alone`() {
        let content = #"form.string("name"); json.int("a"); let environment: Environment = x; settings.port"#
        #expect(Places.environment(Source("Services/auth/LogIn.swift", content)).isEmpty)
    }

    // MARK: Habits

    @Test(arguments: [
        "Task { await x() }", "let a = Task(priority: .high) { }", "Task.immediate { }", "Task.detached { }",
        "try await Task.sleep(for: .seconds(1))", "Task<Void, Never> { }", "_ = Task.immediateDetached {}",
        "let a = try! b()", "let a = b!", "let a = b()!.c", "let a = b[0]!", "let a = b as! C", "var a: String!",
        "let a = \"\\(b!)\"", "fatalError(\"no\")", "DispatchQueue.main.async {}", "let a = JSONEncoder()",
        "@MainActor func f() {}", "usleep(5)", "actor Shared {}", "public actor Pool { }",
        "final class A: @unchecked Sendable {}",
        "let names = Mutex<Int>(0)",
    ])
    func `a bad habit is found`(content: String) {
        #expect(Habits.check(Source("Services/auth/LogIn.swift", content)).count == 1)
        #expect(Habits.check(Source("Tests/AuthTests/LogInTests.swift", content)).isEmpty)
    }

    @Test(arguments: [
        "Task.immediate(executorPreference: loop) { }", "Task(executorPreference: loop) { }",
        "let a: Task<Void, Never>?",
        "try Task.checkCancellation()", "if Task.isCancelled {}", "await Task.yield()", "func f(_ task: Task) {}",
        "if !a {}", "if a != b {}", "let a = !b", "return !c", "// b! and try! and Task { }",
        "let a = \"wow! Task { }\"",
        "self.fatalError()", "enum Role { case actor }", "let actor = Role.actor",
        "actor Pool { nonisolated var unownedExecutor: UnownedSerialExecutor { loop } }",
        "/// Sendable because the lock guards it.\nfinal class A: @unchecked Sendable {}",
        "final class A: @unchecked Sendable {\n    // Sendable because the lock guards it.\n}",
    ])
    func `what only looks like a bad habit is left alone`(content: String) {
        #expect(Habits.check(Source("Services/auth/LogIn.swift", content)).map(\.text) == [])
    }

    @Test func `work left for later is found in comments of every kind of file`() {
        let mark = "TO" + "DO"
        #expect(Habits.leftovers(Source("Gateway/Forward.swift", "let a = 1 // \(mark): later")).count == 1)
        #expect(Habits.leftovers(Source("Tests/X.swift", "/* \(mark) */")).count == 1)
        #expect(Habits.leftovers(Source("deploy/local/a.py", "x = 1\n# FIX" + "ME\n")).map(\.line) == [2])
        #expect(Habits.leftovers(Source("Gateway/Forward.swift", "let a = \"\(mark)\"")).isEmpty)
        #expect(Habits.leftovers(Source("Gateway/Forward.swift", "// toDo lists and \(mark)s")).isEmpty)
    }

    @Test func `a test that sleeps is found`() {
        #expect(Habits.sleeps(Source("Tests/A/B.swift", "try await Task.sleep(for: .seconds(1))")).count == 1)
        #expect(Habits.sleeps(Source("Tests/A/B.swift", "usleep(1000)")).count == 1)
        #expect(Habits.sleeps(Source("Tests/A/B.swift", "try await EventLoop.sleep(for: .milliseconds(5))")).isEmpty)
        #expect(Habits.sleeps(Source("Shared/A/B.swift", "usleep(1000)")).isEmpty)
    }
}
