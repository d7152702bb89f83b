import Glibc
import HTTP
import Shared
import TestSupport
import Testing

@testable import Auth

@Suite struct BreachedPasswordsTests {
    /// A file that exists inside the body.
    private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
        let path = "/tmp/switchboard-breached-\(EventID().text)"
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        defer { unlink(path) }
        try await body(path)
    }

    private static func hash(_ password: String) -> String {
        Digest.hex(Digest.sha1(Array(password.utf8))).uppercased()
    }

    @Test(arguments: [1, 2, 3, 500])
    func `every listed password is found and no other, in any form of the list`(_ count: Int) async throws {
        let hashes = (0..<count).map { Self.hash("leaked \($0)") }.sorted()
        let forms = [
            hashes.map { "\($0):\(Int.random(in: 1...9_999_999))\r\n" }.joined(),
            hashes.joined(separator: "\n"), hashes.map { $0.lowercased() + "\n" }.joined(),
            hashes.map { $0.prefix(12) + "\n" }.joined(),
        ]
        for form in forms {
            try await withFile(form) { path in
                let list = try BreachedPasswords(path: path)
                let all = (0..<count).map { "leaked \($0)" } + (0..<50).map { "safe \($0)" }
                let found = try await onLoop {
                    var found: [String] = []
                    for password in all where try await list.contains(password) { found.append(password) }
                    return found
                }
                #expect(found == Array(all.prefix(count)))
            }
        }
    }

    @Test(arguments: ["", "password\n", "ABC\n", "FFFFFFFFFFFF\nAAAAAAAAAAAA\nBBBBBBBBBBBB\n"])
    func `what is no such list is refused at the start`(_ text: String) async throws {
        try await withFile(text) { path in
            #expect(throws: BreachedPasswords.Unusable.self) { try BreachedPasswords(path: path) }
        }
        #expect(throws: BreachedPasswords.Unusable.self) { try BreachedPasswords(path: "/nowhere/at/all") }
    }

    @Test func `a leaked password is refused where one is chosen`() async throws {
        try await withFile(Self.hash("thoroughly leaked phrase") + ":3\n") { path in
            let list = try BreachedPasswords(path: path)
            try await SignInRig.run({ $0.breached = list }) { rig in
                let leaked = JSON.string("thoroughly leaked phrase")
                let refused = await rig.post(
                    "/api/auth/register/", ["email": "ann@example.com", "password": leaked])
                #expect(refused.complains(of: "password") && refused.text.contains("leak"))
                let tokens = try await rig.register()
                let changed = await rig.post(
                    "/api/dashboard/user/change-password/",
                    ["current_password": .string(SignInRig.password), "new_password": leaked], token: tokens.access)
                #expect(changed.complains(of: "new_password"))
            }
        }
    }
}
