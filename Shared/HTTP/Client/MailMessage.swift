import Shared

/// A mail of ours: one recipient, one text in UTF-8 (RFC 5322, RFC 2045 to 2047).
public struct MailMessage: Sendable, Equatable {
    /// `Switchboard <no-reply@example.com>` or the address alone.
    public struct Sender: Sendable, Hashable {
        public let name: String
        public let address: EmailAddress

        public init(name: String = "", address: EmailAddress) {
            self.name = name
            self.address = address
        }

        /// Reads both spellings; nil for anything else.
        public init?(_ text: String) {
            guard let open = text.lastIndex(of: "<") else {
                guard let address = EmailAddress(text) else { return nil }
                self.init(address: address)
                return
            }
            guard text.hasSuffix(">"), let address = EmailAddress(String(text[text.index(after: open)...].dropLast()))
            else { return nil }
            let name = text[..<open].trimmingWhitespace().filter { $0 != "\"" }
            self.init(name: name, address: address)
        }
    }

    /// The part of `Message-ID` before the `@`; the same at every try, so that a mail sent twice is seen to be one.
    public var id: String
    public var from: Sender
    public var to: EmailAddress
    public var subject: String
    public var text: String
    public var date: Instant

    public init(id: String, from: Sender, to: EmailAddress, subject: String, text: String, date: Instant) {
        self.id = id
        self.from = from
        self.to = to
        self.subject = subject
        self.text = text
        self.date = date
    }

    /// The whole message, lines ended by CRLF. Nothing that was put in can begin a line of the head.
    public var bytes: [UInt8] {
        let domain = from.address.text.split(separator: "@").last.map(String.init) ?? "localhost"
        let plainID = id.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        let head = [
            "Date: \(MailText.date(date))",
            "From: \(from.name.isEmpty ? "" : MailText.phrase(from.name) + " ")<\(from.address.text)>",
            "To: <\(to.text)>",
            "Message-ID: <\(plainID)@\(domain)>",
            "Subject: \(MailText.unstructured(subject))",
            // No holiday notices in return (RFC 3834).
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
        ]
        return Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + MailText.quotedPrintable(text)
    }
}

/// How text is written in a mail.
enum MailText {
    /// `Fri, 02 Jan 2026 03:04:05 +0000` (RFC 5322 §3.3).
    static func date(_ instant: Instant) -> String {
        let time = instant.civil
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        // 1970-01-01 was a Thursday.
        let day = Int(((instant.seconds / 86_400) % 7 + 7) % 7)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(days[day]), \(two(time.day)) \(months[time.month - 1]) \(time.year) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) +0000"
    }

    /// A subject: as it is when it is plain and short, in encoded words otherwise (RFC 2047).
    static func unstructured(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && !text.contains("=?")
        return isPlain && text.utf8.count <= 60 ? text : encodedWords(text)
    }

    /// A sender's name.
    static func phrase(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
        return isPlain && text.utf8.count <= 60 ? "\"\(text)\"" : encodedWords(text)
    }

    /// Each word whole characters, 75 octets at most, one a line. Line ends and controls become spaces.
    private static func encodedWords(_ text: String) -> String {
        var words: [String] = []
        var piece: [UInt8] = []
        for scalar in text.unicodeScalars {
            let clean: Unicode.Scalar = scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar
            let bytes = Array(String(clean).utf8)
            // 45 octets are 60 characters of base64, and 12 of "=?utf-8?B??=".
            if piece.count + bytes.count > 45 {
                words.append("=?utf-8?B?\(Digest.base64(piece))?=")
                piece = []
            }
            piece += bytes
        }
        if !piece.isEmpty { words.append("=?utf-8?B?\(Digest.base64(piece))?=") }
        return words.joined(separator: "\r\n ")
    }

    /// RFC 2045 §6.7: lines of 76 characters at most, however long the text's own are.
    static func quotedPrintable(_ text: String) -> [UInt8] {
        var out: [UInt8] = []
        var column = 0
        func put(_ piece: [UInt8], isLast: Bool) {
            // Room for the "=" of a soft break, unless the line ends here.
            if column + piece.count > (isLast ? 76 : 75) {
                out += [0x3D, 0x0D, 0x0A]
                column = 0
            }
            out += piece
            column += piece.count
        }
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, line) in lines.enumerated() {
            let octets = Array(line.utf8)
            for (place, octet) in octets.enumerated() {
                let isLast = place == octets.count - 1
                let isBlank = octet == 0x20 || octet == 0x09
                let isPlain = (0x21...0x7E).contains(octet) && octet != 0x3D || isBlank && !isLast
                put(isPlain ? [octet] : escaped(octet), isLast: isLast)
            }
            if index < lines.count - 1 || !octets.isEmpty { out += [0x0D, 0x0A] }
            column = 0
        }
        return out
    }

    private static func escaped(_ octet: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [0x3D, digits[Int(octet >> 4)], digits[Int(octet & 15)]]
    }
}
