import Shared
import TestSupport
import Testing

@testable import HTTP

/// What a mail looks like; that a real server takes it is shown in Tests/acceptance/test_mail.py.
@Suite struct MailTests {
    private static func message(
        subject: String = "Hello", text: String = "One line.\n", name: String = "Switchboard", id: String = "1"
    ) throws -> [String] {
        let from = try #require(EmailAddress("no-reply@example.com"))
        let to = try #require(EmailAddress("ann@example.org"))
        let mail = MailMessage(
            id: id, from: .init(name: name, address: from), to: to, subject: subject, text: text,
            date: Instant(seconds: 1_767_323_045))
        let whole = String(decoding: mail.bytes, as: UTF8.self)
        // Every line end is CRLF: a bare one would be refused, or smuggle.
        #expect(whole.replacing("\r\n", with: "").utf8.allSatisfy { $0 != 0x0A && $0 != 0x0D })
        return whole.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test func `a mail has the fields it must have`() throws {
        let lines = try Self.message()
        #expect(
            lines == [
                "Date: Fri, 02 Jan 2026 03:04:05 +0000", "From: \"Switchboard\" <no-reply@example.com>",
                "To: <ann@example.org>", "Message-ID: <1@example.com>", "Subject: Hello",
                "Auto-Submitted: auto-generated", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
                "Content-Transfer-Encoding: quoted-printable", "", "One line.", "",
            ])
    }

    @Test(arguments: [
        "Hello\r\nBcc: everybody@example.com", "Hello\nBcc: everybody@example.com", "Hello\rBcc: x",
        "Hello\r\n\r\nA body of their own", "=?utf-8?B?QQ==?=\r\nBcc: x",
    ])
    func `nothing that is put in begins a line of the head`(_ text: String) throws {
        for lines in [
            try Self.message(subject: text), try Self.message(name: text), try Self.message(id: text),
            try Self.message(subject: text, name: text, id: text),
        ] {
            let head = lines.prefix { !$0.isEmpty }
            #expect(head.allSatisfy { !$0.lowercased().hasPrefix("bcc") })
            #expect(head.filter { !$0.hasPrefix(" ") }.count == 9)
            #expect(lines.drop { !$0.isEmpty }.count == 3)
        }
    }

    @Test func `a subject that is not plain travels in encoded words of whole characters`() throws {
        let subject = "Grüße aus Köln, " + String(repeating: "日本語", count: 20)
        let lines = try Self.message(subject: subject)
        let start = try #require(lines.firstIndex { $0.hasPrefix("Subject: ") })
        let folded = [String(lines[start].dropFirst(9))] + lines[(start + 1)...].prefix { $0.hasPrefix(" ") }
        #expect(folded.count > 1 && folded.allSatisfy { $0.utf8.count <= 76 })
        var decoded = ""
        for word in folded.map({ $0.drop { $0 == " " } }) {
            #expect(word.hasPrefix("=?utf-8?B?") && word.hasSuffix("?="))
            let bytes = try #require(Digest.decodeBase64(word.dropFirst(10).dropLast(2)))
            decoded += try #require(String(validating: bytes, as: UTF8.self))
        }
        #expect(decoded == subject)
    }

    @Test func `lines are short, and long ones, dots and odd characters come through`() throws {
        let text = "A = B \nlink https://example.com/#token=" + String(repeating: "x", count: 200) + "\n.\nZürich\n"
        let body = try Self.message(text: text).drop { !$0.isEmpty }.dropFirst()
        #expect(body.allSatisfy { $0.utf8.count <= 76 })
        #expect(body.first == "A =3D B=20" && body.contains(".") && body.contains("Z=C3=BCrich"))
        let joined = body.joined(separator: "\n").replacing("=\n", with: "")
        #expect(joined.contains("https://example.com/#token=3D" + String(repeating: "x", count: 200)))
    }

    @Test(arguments: [
        ("a@example.com", "", "a@example.com"), ("Us <a@example.com>", "Us", "a@example.com"),
        ("\"Us & Co\" <a@example.com>", "Us & Co", "a@example.com"),
    ])
    func `a sender is read in both spellings`(_ text: String, _ name: String, _ address: String) throws {
        let sender = try #require(MailMessage.Sender(text))
        #expect(sender.name == name && sender.address.text == address)
    }

    @Test(arguments: ["", "nobody", "Us <nobody>", "Us <a@example.com", "<>"])
    func `what is no sender is refused`(_ text: String) { #expect(MailMessage.Sender(text) == nil) }

    @Test func `nobody there is a reason to try again`() async throws {
        let server = MailServer(host: "127.0.0.1", port: 1, security: .none)
        let address = try #require(EmailAddress("a@example.com"))
        let mail = MailMessage(
            id: "1", from: .init(address: address), to: address, subject: "", text: "", date: .now())
        try await onLoop {
            let error = await #expect(throws: MailError.self) { try await server.send(mail) }
            #expect(error?.isFinal == false)
        }
    }
}
